package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// defaultCertDirs are where docker and podman keep the certificates of registries, in a
// folder for each host (containers-certs.d(5)).
func defaultCertDirs() []string {
	var dirs []string
	if config := os.Getenv("XDG_CONFIG_HOME"); config != "" {
		dirs = append(dirs, filepath.Join(config, "docker", "certs.d"), filepath.Join(config, "containers", "certs.d"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".config", "docker", "certs.d"), filepath.Join(home, ".config", "containers", "certs.d"))
	}
	if runtime.GOOS != "windows" {
		dirs = append(dirs, "/etc/docker/certs.d", "/etc/containers/certs.d")
	}
	return dirs
}

// certFolder is what the folders of a host hold.
type certFolder struct {
	authorities []string
	cert, key   string
}

func (f *certFolder) empty() bool { return len(f.authorities) == 0 && f.cert == "" }

// findCerts looks for the folders of a host: *.crt are authorities, *.cert and *.key of
// one name a client's certificate, of which the first counts.
func findCerts(dirs []string, hostport string) (certFolder, error) {
	var found certFolder
	if strings.Trim(hostport, ".") == "" || strings.ContainsAny(hostport, `/\`) {
		return found, nil
	}
	names := []string{hostport}
	if host, isDefault := strings.CutSuffix(hostport, ":443"); isDefault {
		names = append(names, host)
	} else if !strings.Contains(strings.TrimPrefix(hostport, "["), ":") {
		names = append(names, hostport+":443")
	}
	seen := map[string]bool{}
	for _, dir := range dirs {
		for _, name := range names {
			folder := filepath.Join(dir, name)
			if seen[folder] {
				continue
			}
			seen[folder] = true
			if err := found.add(folder); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

func (f *certFolder) add(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, entry := range entries {
		names[entry.Name()] = true
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		base := strings.TrimSuffix(entry.Name(), filepath.Ext(entry.Name()))
		switch filepath.Ext(entry.Name()) {
		case ".crt":
			f.authorities = append(f.authorities, path)
		case ".cert":
			if !names[base+".key"] {
				return fmt.Errorf("%s: there must be a %s.key in the same folder", path, base)
			}
			if f.cert == "" {
				f.cert, f.key = path, filepath.Join(folder, base+".key")
			}
		case ".key":
			if !names[base+".cert"] {
				return fmt.Errorf("%s: there must be a %s.cert in the same folder; the file of an authority is named *.crt", path, base)
			}
		}
	}
	return nil
}
