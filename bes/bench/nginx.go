package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// nginxConfig passes calls on as nginx is told to for long streams of small messages.
const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  client_max_body_size 0;
  keepalive_requests 1000000;
  upstream backend { server %[3]s; keepalive 200; }
  server {
    listen %[2]s http2;
    location / { grpc_pass grpc://backend; grpc_read_timeout 1h; grpc_send_timeout 1h; client_body_timeout 1h; }
  }
}
`

// startNginx runs nginx in front of the backend, in one process.
func startNginx(program, backend string) (*process, error) {
	dir, err := os.MkdirTemp("", "bench-nginx")
	if err != nil {
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, address, backend), 0o600); err != nil {
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	p := &process{address: address, command: exec.Command(program, "-p", dir, "-c", config)}
	p.cleanup = func() { _ = os.RemoveAll(dir) }
	var said strings.Builder
	p.command.Stderr = &said
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	p.pids = []int{p.command.Process.Pid}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return p, nil
		}
		if time.Now().After(deadline) {
			p.stop()
			return nil, fmt.Errorf("start nginx: it does not listen: %s", said.String())
		}
	}
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}
