package credentials

import (
	"net"
	"slices"
	"strings"
)

// A key is what an entry of a configuration file is under: a host, or a host and the
// beginning of a repository's name (containers-auth.json(5)). Docker has written it with
// a scheme and a path of the registry's API, and still does for Docker Hub.
type key struct {
	// hosts are the names that the key's host goes by.
	hosts []string
	// path is the beginning of the repository's name, or "".
	path string
	// loose tells that the path may be meant as no more than a part of an address: such
	// an entry is for the whole host too, after all others.
	loose bool
}

// dockerHub is the name by which Docker Hub is known here.
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

// hostNames are the names under which a host may be asked for: without its scheme's own
// port as well as with it.
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

// match tells how well a key fits a repository: the longer its path, the better. Zero is
// a fit of a loose key by its host alone; below zero the key does not fit.
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
