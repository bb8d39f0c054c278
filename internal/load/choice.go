package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Where images can be loaded to.
const (
	ToAuto       = "auto"
	toContainerd = "containerd"
	toDocker     = "docker"
	toPodman     = "podman"
)

const (
	// DefaultAddress is where containerd listens.
	DefaultAddress = "/run/containerd/containerd.sock"

	// DefaultNamespace is where containerd's own tools look for images.
	DefaultNamespace = "default"

	// dockersNamespace is where docker keeps its images, if it keeps them in
	// containerd.
	dockersNamespace = "moby"
)

// Wish is the place that the user asked for. The zero value leaves the choice open.
type Wish struct {
	// To is one of the constants above; empty is ToAuto.
	To string
	// Address and Namespace are containerd's.
	Address, Namespace string
}

// Choice is where images are loaded to.
type Choice struct {
	// Address and Namespace are containerd's, or empty.
	Address, Namespace string
	// Program is the path of docker or podman, where containerd is not used.
	Program string
	// GivenUp says what the use of a program costs, and how to avoid that cost. It is
	// empty for containerd.
	GivenUp string
}

// Machine is where [Machine.Choose] looks for a container runtime.
type Machine struct {
	// LookPath finds a program.
	LookPath func(name string) (string, error)
	// Output runs a program, and returns what it prints.
	Output func(ctx context.Context, program string, args ...string) ([]byte, error)
	// Reach returns an error unless a process listens on a Unix socket.
	Reach func(ctx context.Context, address string) error
	// Hostname is the machine's name.
	Hostname func() (string, error)
}

// ThisMachine is the machine that the process runs on.
func ThisMachine() Machine {
	return Machine{
		LookPath: exec.LookPath,
		Output: func(ctx context.Context, program string, args ...string) ([]byte, error) {
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			return exec.CommandContext(ctx, program, args...).Output()
		},
		Reach: func(ctx context.Context, address string) error {
			dialer := net.Dialer{Timeout: askTimeout}
			conn, err := dialer.DialContext(ctx, "unix", socketPath(address))
			if err != nil {
				return err
			}
			return conn.Close()
		},
		Hostname: os.Hostname,
	}
}

// askTimeout bounds each question to the machine.
const askTimeout = 10 * time.Second

func socketPath(address string) string { return strings.TrimPrefix(address, "unix://") }

// Choose decides where images are loaded to. The default is the first of: the address
// that was given; docker, if it runs; containerd, if it listens; podman.
func (m Machine) Choose(ctx context.Context, wish Wish) (Choice, error) {
	switch wish.To {
	case toContainerd:
		return wish.containerd(), nil
	case toDocker, toPodman:
		return m.program(wish.To)
	case ToAuto, "":
	default:
		return Choice{}, fmt.Errorf("--to is %q; it must be %s, %s, %s or %s", wish.To, toContainerd, toDocker, toPodman, ToAuto)
	}
	if wish.Address != "" {
		return wish.containerd(), nil
	}
	if info, ok := m.docker(ctx); ok {
		return m.throughDocker(ctx, info, wish)
	}
	reached := m.Reach(ctx, DefaultAddress)
	if reached == nil {
		return wish.containerd(), nil
	}
	if choice, err := m.program(toPodman); err == nil {
		return choice, nil
	}
	if errors.Is(reached, os.ErrPermission) {
		return Choice{}, fmt.Errorf("this user may not use containerd's socket %s, docker does not answer, and podman is not installed; run the command as root, or as a user who may use the socket", DefaultAddress)
	}
	return Choice{}, fmt.Errorf("no container runtime was found: docker does not answer, containerd does not listen on %s, and podman is not installed; "+
		"start one of them, or give containerd's socket with --address", DefaultAddress)
}

func (w Wish) containerd() Choice {
	c := Choice{Address: w.Address, Namespace: w.Namespace}
	if c.Address == "" {
		c.Address = DefaultAddress
	}
	if c.Namespace == "" {
		c.Namespace = DefaultNamespace
	}
	return c
}

func (m Machine) program(name string) (Choice, error) {
	path, err := m.LookPath(name)
	if err != nil {
		return Choice{}, fmt.Errorf("%s is not on PATH: install it, or choose another runtime with --to", name)
	}
	given := "every layer is sent, even those that " + name + " has"
	if name == toPodman {
		given += ": it cannot tell which layers it has"
	}
	return Choice{Program: path, GivenUp: given}, nil
}

// dockerInfo is what is read of `docker info`.
type dockerInfo struct {
	Name         string
	DriverStatus [][2]string
	Containerd   struct {
		Address    string
		Namespaces struct{ Containers string }
	}
}

// docker asks docker's daemon, if there is one.
func (m Machine) docker(ctx context.Context) (dockerInfo, bool) {
	path, err := m.LookPath(toDocker)
	if err != nil {
		return dockerInfo{}, false
	}
	answer, err := m.Output(ctx, path, "info", "--format", "{{json .}}")
	if err != nil {
		return dockerInfo{}, false
	}
	var info dockerInfo
	if err := json.Unmarshal(answer, &info); err != nil {
		return dockerInfo{}, true // podman in docker's clothes, say: load works all the same
	}
	return info, true
}

// usesContainerd tells whether docker keeps its images in containerd.
func (i dockerInfo) usesContainerd() bool {
	return slices.Contains(i.DriverStatus, [2]string{"driver-type", "io.containerd.snapshotter.v1"})
}

// throughDocker gets images to docker, past it where it keeps them in a
// containerd that can be reached.
func (m Machine) throughDocker(ctx context.Context, info dockerInfo, wish Wish) (Choice, error) {
	choice, err := m.program(toDocker)
	if err != nil {
		return Choice{}, err
	}
	if !info.usesContainerd() {
		choice.GivenUp += `: to send only what is missing, turn on its containerd image store ("features": {"containerd-snapshotter": true} in daemon.json)`
		return choice, nil
	}
	in := Choice{Address: info.Containerd.Address, Namespace: info.Containerd.Namespaces.Containers}
	if in.Address == "" {
		in.Address = DefaultAddress
	}
	if wish.Namespace != "" {
		in.Namespace = wish.Namespace
	}
	if in.Namespace == "" {
		in.Namespace = dockersNamespace
	}
	// The daemon may be another machine's, or a virtual one's: its socket is not the
	// one of that name here.
	here, err := m.Hostname()
	if err != nil {
		return Choice{}, fmt.Errorf("check whether docker's daemon is on this machine: %w", err)
	}
	if here != info.Name {
		choice.GivenUp += ": its containerd is on another machine, " + info.Name
		return choice, nil
	}
	switch err := m.Reach(ctx, in.Address); {
	case err == nil:
		return in, nil
	case errors.Is(err, os.ErrPermission):
		choice.GivenUp += ": this user may not use its containerd at " + in.Address + "; to send only what is missing, run the command as root"
	default:
		choice.GivenUp += fmt.Sprintf(": its containerd is not at %s (%v); to send only what is missing, give its socket with --address, and --namespace=%s", in.Address, err, in.Namespace)
	}
	return choice, nil
}
