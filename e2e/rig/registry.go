package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Registry is an OCI registry over plain HTTP.
type Registry struct {
	*Process

	// Host is its HOST:PORT, as an image reference names it.
	Host string
}

// StartRegistry starts an empty registry of the distribution project, version 3.
func StartRegistry(t T) *Registry {
	t.Helper()
	return startRegistry(t, "registry", "")
}

// StartTokenRegistry starts one of version 3 that wants bearer tokens of a service.
func StartTokenRegistry(t T, service *TokenService) *Registry {
	t.Helper()
	return startRegistry(t, "registry", service.config())
}

// StartForeignRegistry starts one of version 3 that takes manifests of layers which
// are elsewhere, at any URL. Others take none.
func StartForeignRegistry(t T) *Registry {
	t.Helper()
	return startRegistry(t, "registry", "validation: {manifests: {urls: {allow: ['^https?://']}}}\n")
}

// StartOldRegistry starts an empty registry of version 2.8, which many still
// run: it knows neither referrers nor OCI-Tag, and more of its own habits.
func StartOldRegistry(t T) *Registry {
	t.Helper()
	return startRegistry(t, "docker-registry", "")
}

const registryConfig = `version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}, cache: {blobdescriptor: inmemory}}
http: {addr: %q}
`

func startRegistry(t T, program, more string) *Registry {
	t.Helper()
	dir, host := TempDir(t), FreeAddress(t)
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, registryConfig+more, filepath.Join(dir, "storage"), host), 0o644); err != nil {
		t.Fatalf("write the registry's configuration: %v", err)
	}
	cmd := exec.Command(Tool(t, program), "serve", file)
	// Version 3 sends traces to a collector unless told not to.
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	p := start(t, dir, program, cmd)
	p.ready(t, answering("http://"+host+"/"))
	return &Registry{Process: p, Host: host}
}
