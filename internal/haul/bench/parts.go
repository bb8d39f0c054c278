package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// part is a server that the bench started.
type part struct {
	cmd     *exec.Cmd
	address string
	dir     string
	output  bytes.Buffer
}

func startBazelRemote(ctx context.Context, o options) (*part, error) {
	grpc, http := freeAddress(), freeAddress()
	p := &part{address: grpc, dir: filepath.Join(o.dir, "cas")}
	p.cmd = exec.CommandContext(ctx, o.bazelRemote, "--dir="+p.dir, "--max_size=20", "--storage_mode=uncompressed",
		"--grpc_address="+grpc, "--http_address="+http, "--access_log_level=none")
	return p, p.start(ctx)
}

func startRegistry(ctx context.Context, o options) (*part, error) {
	dir, err := os.MkdirTemp(o.dir, "registry-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	p := &part{address: freeAddress(), dir: dir}
	config := fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %s}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: %q, secret: bench}
`, filepath.Join(dir, "data"), p.address)
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("write registry's config: %w", err)
	}
	p.cmd = exec.CommandContext(ctx, o.registry, "serve", file)
	// A proxy's variables in the environment would make the registry a mirror.
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OTEL_TRACES_EXPORTER=none"}
	return p, p.start(ctx)
}

func (p *part) start(ctx context.Context) error {
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.cmd.Path, err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			p.stop()
			return fmt.Errorf("%s does not listen on %s: %w\n%s", p.cmd.Path, p.address, err, p.output.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *part) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait()
}

func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer listener.Close()
	return listener.Addr().String()
}

// outcome is what an uploader's process tells of itself.
type outcome struct {
	Wall time.Duration
	CPU  time.Duration
	// RSS is the peak of its resident memory, in bytes.
	RSS int64
}

// inNanoseconds is how the processes tell each other of durations.
var inNanoseconds = jsonv1.FormatDurationAsNano(true)

func runUploader(ctx context.Context, plan string) (outcome, error) {
	self, err := os.Executable()
	if err != nil {
		return outcome{}, fmt.Errorf("find own program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "upload", plan)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return outcome{}, fmt.Errorf("run uploader: %w", err)
	}
	var o outcome
	if err := json.Unmarshal(out, &o, inNanoseconds); err != nil {
		return outcome{}, fmt.Errorf("read uploader's outcome: %w", err)
	}
	return o, nil
}
