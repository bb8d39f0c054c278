package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/flight"
)

// Files finds credentials in the configuration files of docker and podman, and with the
// credential helpers that those files name. It reads all files. The entry that matches
// the repository best wins, as in podman and skopeo. If several match equally well, the
// first file wins.
type Files struct {
	getenv func(name string) string
	home   func() (string, error)

	// limit is how long a helper may take.
	limit   time.Duration
	helpers flight.Group[authn.AuthConfig]
}

const (
	// helperLimit is how long a credential helper may take.
	helperLimit = 30 * time.Second
	// helperKeep is how long its answer serves other repositories, and helperSulk how
	// long it is not asked again after it has failed.
	helperKeep = 30 * time.Second
	helperSulk = 10 * time.Second
)

// NewFiles makes a keychain of the files that an environment names. The environment of
// the process is [os.Getenv] and [os.UserHomeDir].
func NewFiles(getenv func(name string) string, home func() (string, error)) *Files {
	f := &Files{getenv: getenv, home: home}
	f.limitHelpers(helperLimit)
	return f
}

// limitHelpers sets how long a helper may take. A helper that is killed then reports it,
// before the call gives up.
func (f *Files) limitHelpers(limit time.Duration) {
	f.limit = limit
	f.helpers.Limit, f.helpers.Keep, f.helpers.KeepFailure = limit+10*time.Second, helperKeep, helperSulk
}

// place is where a configuration file may be.
type place struct {
	path string
	// unset says why there is no path.
	unset string
}

// places are the files, the most important first.
func (f *Files) places() []place {
	home, err := f.home()
	if err != nil {
		home = ""
	}
	within := func(dir string, rest ...string) place {
		if dir == "" {
			return place{unset: "home directory (unknown)"}
		}
		return place{path: filepath.Join(append([]string{dir}, rest...)...)}
	}
	all := []place{within(home, ".docker", "config.json")}
	if dir := f.getenv("DOCKER_CONFIG"); dir != "" {
		all[0] = within(dir, "config.json")
	}
	if path := f.getenv("REGISTRY_AUTH_FILE"); path != "" {
		all = append(all, place{path: path})
	} else {
		all = append(all, place{unset: "$REGISTRY_AUTH_FILE (not set)"})
	}
	if dir := f.getenv("XDG_RUNTIME_DIR"); dir != "" {
		all = append(all, within(dir, "containers", "auth.json"))
	} else if runtime.GOOS == "linux" {
		all = append(all, within("/run/containers", fmt.Sprint(os.Getuid()), "auth.json"))
	}
	config := f.getenv("XDG_CONFIG_HOME")
	if config == "" && home != "" {
		config = filepath.Join(home, ".config")
	}
	all = append(all, within(config, "containers", "auth.json"))

	seen := map[place]bool{}
	return slices.DeleteFunc(all, func(p place) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}

// candidate is an entry that matches a repository.
type candidate struct {
	rank int
	// file is the file's number, kind the part of it.
	file, kind int
	path, text string
	// entry has the credential, or helper is asked for the credential of text.
	entry  *entry
	helper string
}

// The parts of a file, the most important first. Docker asks its store first, and keeps
// only an empty entry in auths.
const (
	kindHelper = iota
	kindStore
	kindEntry
)

// Find implements [finder].
func (f *Files) Find(ctx context.Context, target authn.Resource) (Found, error) {
	host := target.RegistryStr()
	repository := strings.TrimPrefix(strings.TrimPrefix(target.String(), host), "/")
	var found Found
	var candidates []candidate
	for i, p := range f.places() {
		if p.path == "" {
			found.Looked = append(found.Looked, p.unset)
			continue
		}
		file, err := readConfig(p.path)
		if unreadable, ok := errors.AsType[*lookupError](err); ok {
			return found, unreadable
		}
		if err != nil {
			found.Looked = append(found.Looked, p.path+" ("+absence(err)+")")
			continue
		}
		fitting, notes := file.candidates(host, repository)
		for _, c := range fitting {
			c.file, c.path = i, p.path
			candidates = append(candidates, c)
		}
		found.Looked = append(found.Looked, p.path+" ("+notes+")")
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(-cmp.Compare(a.rank, b.rank), cmp.Compare(a.file, b.file), cmp.Compare(a.kind, b.kind), cmp.Compare(a.text, b.text))
	})
	return f.pick(ctx, found, candidates)
}

// pick takes the first candidate that has a credential.
func (f *Files) pick(ctx context.Context, found Found, candidates []candidate) (Found, error) {
	var failures []error
	for _, c := range candidates {
		credential, err := f.ask(ctx, c)
		switch {
		case ctx.Err() != nil:
			return found, context.Cause(ctx)
		case err != nil:
			failures = append(failures, err)
		case credential != (authn.AuthConfig{}):
			found.AuthConfig, found.Source = credential, c.source()
			return found, nil
		case c.helper != "":
			found.Looked = append(found.Looked, helperProgram(c.helper)+" (none for "+printable(c.text)+")")
		}
	}
	return found, joined(failures)
}

func (c candidate) source() string {
	if c.helper != "" {
		return fmt.Sprintf("%s for %q (in %s)", helperProgram(c.helper), printable(c.text), c.path)
	}
	return fmt.Sprintf("%q in %s", printable(c.text), c.path)
}

func (f *Files) ask(ctx context.Context, c candidate) (authn.AuthConfig, error) {
	if c.helper == "" {
		credential, err := c.entry.credential()
		if err != nil {
			return credential, &lookupError{text: fmt.Sprintf("%s: auths: %q: %v", c.path, printable(c.text), err), lasts: true}
		}
		return credential, nil
	}
	credential, err := f.helpers.Do(ctx, c.helper+"\x00"+c.text, func(ctx context.Context) (authn.AuthConfig, error) {
		return askHelper(ctx, c.helper, c.text, f.limit)
	})
	if err != nil {
		return credential, helperError(c, err)
	}
	return credential, nil
}

// maxNamed bounds the entries that an account of a file names.
const maxNamed = 5

// candidates are the entries of a file that match a repository, and a summary of the
// file.
func (c *configFile) candidates(host, repository string) ([]candidate, string) {
	hosts := hostNames(host, "")
	var fitting []candidate
	var others []string
	asked := map[string]bool{}
	consider := func(text string) int {
		rank := parseKey(text).match(hosts, repository)
		if rank < 0 && parseKey(text).match(hosts, parseKey(text).path) >= 0 {
			others = append(others, printable(text))
		}
		return rank
	}
	for text, helper := range c.CredHelpers {
		if rank := consider(text); rank >= 0 && helper != "" {
			fitting = append(fitting, candidate{rank: rank, kind: kindHelper, text: text, helper: helper})
		}
	}
	for text, entry := range c.Auths {
		rank := consider(text)
		if rank < 0 {
			continue
		}
		fitting = append(fitting, candidate{rank: rank, kind: kindEntry, text: text, entry: entry})
		if c.CredsStore != "" {
			asked[text] = true
			fitting = append(fitting, candidate{rank: rank, kind: kindStore, text: text, helper: c.CredsStore})
		}
	}
	if name := storeName(hosts, host); c.CredsStore != "" && !asked[name] {
		fitting = append(fitting, candidate{rank: 1, kind: kindStore, text: name, helper: c.CredsStore})
	}
	// Helpers are asked by the name of a host, as docker does.
	for i, found := range fitting {
		if found.kind == kindHelper && parseKey(found.text).path == "" {
			fitting[i].text = storeName(hosts, host)
		}
	}
	return fitting, c.account(host+"/"+repository, fitting, others)
}

// storeName is the name of a host in docker's credential stores.
func storeName(hosts []string, host string) string {
	if slices.Contains(hosts, dockerHub) {
		return "https://index.docker.io/v1/"
	}
	return host
}

// account says which entries of a file are for a repository.
func (c *configFile) account(target string, fitting []candidate, others []string) string {
	text := counted(len(c.Auths) + len(c.CredHelpers))
	if len(fitting) > 0 {
		return text + ", some match"
	}
	text += ", none for " + target
	if len(others) > 0 {
		slices.Sort(others)
		others = slices.Compact(others)
		if len(others) > maxNamed {
			others = append(others[:maxNamed], "…")
		}
		text += ", only for " + strings.Join(others, ", ")
	}
	return text
}

func counted(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// absence says why a file could not be read.
func absence(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "not there"
	case errors.Is(err, fs.ErrPermission):
		return "this user may not read it"
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// Resolve implements [authn.Keychain].
func (f *Files) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return f.ResolveContext(context.Background(), target)
}

// ResolveContext implements [authn.ContextKeychain].
func (f *Files) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	return Authenticator(f.Find(ctx, target))
}
