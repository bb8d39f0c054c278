package load_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/load"
)

// machine is one with these programs, with a docker that answers, and with
// somebody who listens on these sockets.
func machine(programs, docker string, sockets ...string) load.Machine {
	return load.Machine{
		LookPath: func(name string) (string, error) {
			if strings.Contains(programs, name) {
				return "/usr/bin/" + name, nil
			}
			return "", errNone
		},
		Output: func(_ context.Context, program string, args ...string) ([]byte, error) {
			if docker == "" || program != "/usr/bin/docker" || args[0] != "info" {
				return nil, errNone
			}
			return []byte(docker), nil
		},
		Reach: func(_ context.Context, address string) error {
			if slices.Contains(sockets, address) {
				return nil
			}
			return os.ErrPermission
		},
		Hostname: func() (string, error) { return "here", nil },
	}
}

// absent is a machine without the sockets, where others would be refused.
func absent(m load.Machine) load.Machine {
	m.Reach = func(context.Context, string) error { return os.ErrNotExist }
	return m
}

const (
	classic = `{"Name":"here","Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"]],"Containerd":{"Address":"/run/containerd/containerd.sock"}}`
	stored  = `{"Name":"here","Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],` +
		`"Containerd":{"Address":"/run/docker/containerd.sock","Namespaces":{"Containers":"moby","Plugins":"plugins.moby"}}}`
	storedOld = `{"Name":"here","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`
	elsewhere = `{"Name":"docker-desktop","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`
)

func TestWhereImagesAreLoadedTo(t *testing.T) {
	for _, test := range []struct {
		name      string
		machine   load.Machine
		wish      load.Wish
		want      load.Choice
		says, err string
	}{
		{
			name: "containerd alone", machine: machine("", "", load.DefaultAddress),
			want: load.Choice{Address: load.DefaultAddress, Namespace: "default"},
		},
		{
			name: "a docker client without its daemon", machine: machine("docker podman", "", load.DefaultAddress),
			want: load.Choice{Address: load.DefaultAddress, Namespace: "default"},
		},
		{
			name: "an address that was given wins over docker", machine: machine("docker", classic, load.DefaultAddress), wish: load.Wish{Address: "/tmp/c.sock"},
			want: load.Choice{Address: "/tmp/c.sock", Namespace: "default"},
		},
		{
			name: "docker with a store of its own", machine: machine("docker", classic, load.DefaultAddress),
			want: load.Choice{Program: "/usr/bin/docker"}, says: "every layer is sent, even those that docker has: to send only what is missing, turn on its containerd image store",
		},
		{
			name: "docker that keeps images in containerd", machine: machine("docker", stored, "/run/docker/containerd.sock"),
			want: load.Choice{Address: "/run/docker/containerd.sock", Namespace: "moby"},
		},
		{
			name: "one that does not say where", machine: machine("docker", storedOld, load.DefaultAddress),
			want: load.Choice{Address: load.DefaultAddress, Namespace: "moby"},
		},
		{
			name: "a namespace that was given", machine: machine("docker", storedOld, load.DefaultAddress), wish: load.Wish{Namespace: "other"},
			want: load.Choice{Address: load.DefaultAddress, Namespace: "other"},
		},
		{
			name: "docker whose containerd is for root", machine: machine("docker", stored),
			want: load.Choice{Program: "/usr/bin/docker"}, says: "this user may not use its containerd at /run/docker/containerd.sock; to send only what is missing, run the command as root",
		},
		{
			name: "docker whose containerd is somewhere else", machine: absent(machine("docker", storedOld)),
			want: load.Choice{Program: "/usr/bin/docker"}, says: "its containerd is not at /run/containerd/containerd.sock (file does not exist); to send only what is missing, give its socket with --address, and --namespace=moby",
		},
		{
			name: "docker in a virtual machine", machine: machine("docker", elsewhere, load.DefaultAddress),
			want: load.Choice{Program: "/usr/bin/docker"}, says: "its containerd is on another machine, docker-desktop",
		},
		{
			name: "podman in docker's clothes", machine: machine("docker", `{"host":{}}`),
			want: load.Choice{Program: "/usr/bin/docker"}, says: "every layer is sent",
		},
		{
			name: "podman alone", machine: machine("podman", ""),
			want: load.Choice{Program: "/usr/bin/podman"}, says: "every layer is sent, even those that podman has: it cannot tell which layers it has",
		},
		{
			name: "docker where containerd is too", machine: machine("docker", stored, "/run/docker/containerd.sock"), wish: load.Wish{To: "docker"},
			want: load.Choice{Program: "/usr/bin/docker"}, says: "every layer is sent, even those that docker has",
		},
		{name: "podman that is not there", machine: machine("docker", stored), wish: load.Wish{To: "podman"}, err: "podman is not on PATH"},
		{name: "nothing at all", machine: absent(machine("", "")), err: "no container runtime was found: docker does not answer, containerd does not listen on /run/containerd/containerd.sock, and podman is not installed"},
		{name: "containerd for root alone", machine: machine("", ""), err: "this user may not use containerd's socket /run/containerd/containerd.sock"},
		{name: "another word", machine: machine("", ""), wish: load.Wish{To: "cri-o"}, err: `--to is "cri-o"; it must be containerd, docker, podman or auto`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.machine.Choose(t.Context(), test.wish)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			check(t, err)
			if !strings.Contains(got.GivenUp, test.says) || (test.says == "") != (got.GivenUp == "") {
				t.Errorf("says %q, want %q", got.GivenUp, test.says)
			}
			if got.GivenUp = ""; got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}
