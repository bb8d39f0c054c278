package credentials

import (
	"net"
	"slices"
	"strings"
)

// A key is the key of an entry in a configuration file: a host, or a host and the
// beginning of a repository's name (containers-auth.json(5)). Old versions of docker
// wrote a scheme and a path of the registry's API too, and docker still does so for
// Docker Hub.
type key struct {
	// hosts are the names of the key's host.
	hosts []string
	// path is the beginning of the repository's name, or "".
	path string
	// loose tells that the path may be only a part of an address. Such an entry also
	// matches the whole host, after all other entries.
	loose bool
}

// dockerHub is the name that stands for Docker Hub here.
const dockerHub = "docker.io"

// dockerHubs are its names.
var dockerHubs = []string{dockerHub, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}

// parseKey reads a key as people and programs write it.
func parseKey(text string) key {
	scheme, rest, schemed := strings.Cut(strings.TrimSpace(text), "://")
	if !schemed {
		scheme, rest = "", scheme
	}
	host, path, _ := strings.Cut(rest, "/")
	k := key{hosts: hostNames(host, strings.ToLower(scheme)), path: strings.Trim(path, "/")}
	if k.path == "v1" || k.path == "v2" {
		if schemed || slices.Contains(k.hosts, dockerHub) {
			k.path = ""
			return k
		}
		k.loose = true
	}
	k.loose = k.loose || schemed && k.path != ""
	return k
}

// hostNames are the names of a host: with the default port of its scheme, and without
// it.
func hostNames(host, scheme string) []string {
	host = strings.ToLower(host)
	names := []string{host}
	if name, port, err := net.SplitHostPort(host); err == nil {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		if port == "443" && scheme != "http" || port == "80" && scheme == "http" {
			names = append(names, name)
		}
	} else if scheme == "http" {
		names = append(names, host+":80")
	}
	if slices.ContainsFunc(names, func(n string) bool { return slices.Contains(dockerHubs, n) }) {
		names = append(names, dockerHub)
	}
	return names
}

// match tells how well a key matches a repository: the longer its path, the better. Zero
// means that a loose key matches only the host; below zero the key does not match.
func (k key) match(hosts []string, repository string) int {
	if !slices.ContainsFunc(k.hosts, func(h string) bool { return slices.Contains(hosts, h) }) {
		return -1
	}
	if k.path == "" || repository == k.path || strings.HasPrefix(repository, k.path+"/") {
		return len(k.path) + 1
	}
	if k.loose {
		return 0
	}
	return -1
}
