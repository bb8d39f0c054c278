package e2e_test

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/go-json-experiment/json"
)

// released is a release of two platforms that a local server has, and a user's
// workspace that depends on it.
type released struct {
	// host and other are the platforms: "linux_amd64".
	host, other string
	// module is the folder of the released module.
	module string
	// override is for a MODULE.bazel, to take the module from its archive.
	override  string
	workspace *rig.Workspace

	mu      sync.Mutex
	fetched []string
}

func release(t *testing.T) *released {
	t.Helper()
	r := &released{host: "linux_" + runtime.GOARCH, other: "linux_arm64"}
	if r.host == r.other {
		r.other = "linux_amd64"
	}
	dist, unpacked := t.TempDir(), rig.TempDir(t)
	files := http.FileServer(http.Dir(dist))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		r.fetched = append(r.fetched, filepath.Base(request.URL.Path))
		r.mu.Unlock()
		files.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)

	run(t, rig.Root(t), "go", "run", "./deploy/release", "-out", dist, "-url", server.URL+"/{file}",
		"-platforms", strings.ReplaceAll(r.host+","+r.other, "_", "/"))
	run(t, dist, "sha256sum", "--check", "--strict", "SHA256SUMS")
	archives, err := filepath.Glob(filepath.Join(dist, "drayage-*.tar.gz"))
	check(t, err)
	if len(archives) != 1 {
		t.Fatalf("the release has the archives %v", archives)
	}
	run(t, unpacked, "tar", "--extract", "--gzip", "--strip-components=1", "--file="+archives[0])

	wantProgram(t, filepath.Join(dist, r.file(r.host)), machines[r.host])
	wantProgram(t, filepath.Join(dist, r.file(r.other)), machines[r.other])
	version, err := exec.CommandContext(t.Context(), filepath.Join(dist, r.file(r.host)), "--version").Output()
	if err != nil || !strings.HasSuffix(string(version), " v0.1.0\n") {
		t.Errorf("the tool says it is %q (%v)", version, err)
	}

	archive, err := os.ReadFile(archives[0])
	check(t, err)
	sum := sha256.Sum256(archive)
	r.override = fmt.Sprintf(`archive_override(
    module_name = "drayage",
    integrity = "sha256-%s",
    strip_prefix = "drayage-0.1.0",
    urls = ["%s/drayage-0.1.0.tar.gz"],
)
`, base64.StdEncoding.EncodeToString(sum[:]), server.URL)
	r.module = unpacked
	r.workspace = rig.OpenWorkspace(t, filepath.Join(unpacked, "e2e", "smoke"))
	return r
}

func TestAReleaseBringsTheToolForEachPlatform(t *testing.T) {
	t.Parallel()
	r := release(t)
	w := r.workspace
	path := pathWithout(t, "go")
	w.Env = append(w.Env, "PATH="+path)

	w.Bazel(t, "test", "--repository_cache=", "--test_output=errors", "//...")
	if want := []string{r.file(r.host)}; !slices.Equal(r.fetched, want) {
		t.Errorf("a build on the host fetched %v, want %v", r.fetched, want)
	}

	// The images of //:index are for two platforms, and made on one.
	if tools := r.tools(t); !slices.Equal(tools, []string{"drayage_host"}) {
		t.Errorf("the actions run the tools of %v", tools)
	}
	executor := map[string]string{"linux_amd64": "//:linux_x86_64", "linux_arm64": "//:linux_aarch64"}[r.other]
	if tools := r.tools(t, "--extra_execution_platforms="+executor); !slices.Equal(tools, []string{"drayage_" + r.other}) {
		t.Errorf("on executors of %s the actions run the tools of %v", r.other, tools)
	}
	if want := []string{r.file(r.host), r.file(r.other)}; !slices.Equal(r.fetched, want) {
		t.Errorf("%v were fetched, want %v", r.fetched, want)
	}
	if tools := r.tools(t, "--extra_execution_platforms="+executor, "--platforms="+executor); !slices.Equal(tools, []string{"drayage_" + r.other}) {
		t.Errorf("for %s, the actions run the tools of %v", r.other, tools)
	}

	local := w.Read(t, "MODULE.bazel")
	t.Run("in the archive that a registry is given", func(t *testing.T) {
		w.Write(t, "MODULE.bazel", local[:strings.Index(local, "local_path_override(")]+r.override)
		w.Bazel(t, "test", "--test_output=errors", "//...")
		if tools := r.tools(t); !slices.Equal(tools, []string{"drayage_host"}) {
			t.Errorf("the actions run the tools of %v", tools)
		}
		w.Write(t, "MODULE.bazel", local)
	})

	t.Run("not with another hash", func(t *testing.T) {
		lock := filepath.Join(r.module, "rules", "private", "prebuilt.lock.json")
		text, err := os.ReadFile(lock)
		check(t, err)
		wrong := strings.Repeat("0", 64)
		check(t, os.WriteFile(lock, regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAll(text, []byte(wrong)), 0o644))
		result := w.TryBazel(t, "build", "--repository_cache=", "//:files")
		if result.ExitCode == 0 || !strings.Contains(result.Stderr, "Checksum was") || !strings.Contains(result.Stderr, "but wanted "+wrong) ||
			!strings.Contains(result.Stderr, r.file(r.host)) {
			t.Errorf("exit code %d\n%s", result.ExitCode, result.Stderr)
		}
		check(t, os.WriteFile(lock, text, 0o644))
	})

	t.Run("unless it is wanted from source", func(t *testing.T) {
		w.Write(t, "MODULE.bazel", w.Read(t, "MODULE.bazel")+`
drayage = use_extension("@drayage//rules:extensions.bzl", "drayage")
drayage.from_source()
`)
		result := w.TryBazel(t, "build", "//:files")
		if result.ExitCode == 0 || !strings.Contains(result.Stderr, "`go` is not on PATH") {
			t.Errorf("exit code %d without Go\n%s", result.ExitCode, result.Stderr)
		}
		w.Env = nil
		w.Bazel(t, "test", "//:index_test")
		if tools := r.tools(t, "--extra_execution_platforms="+executor); !slices.Equal(tools, []string{"drayage_" + r.other}) {
			t.Errorf("from source, on executors of %s, the actions run the tools of %v", r.other, tools)
		}
	})
}

// machines are the processors of the platforms.
var machines = map[string]elf.Machine{"linux_amd64": elf.EM_X86_64, "linux_arm64": elf.EM_AARCH64}

// wantProgram looks at the program in a file: for which processor it is, and
// whether it needs anything of the machine's.
func wantProgram(t *testing.T, path string, machine elf.Machine) {
	t.Helper()
	program, err := elf.Open(path)
	check(t, err)
	defer program.Close()
	if program.Machine != machine {
		t.Errorf("%s is for %v, want %v", path, program.Machine, machine)
	}
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			t.Errorf("%s needs the machine's C library", path)
		}
	}
}

// file is the name of the tool for a platform in the release.
func (r *released) file(platform string) string {
	return "drayage-0.1.0-" + strings.ReplaceAll(platform, "_", "-")
}

// tools are the repositories of the tools that the actions of an index and all
// below it run.
func (r *released) tools(t *testing.T, flags ...string) []string {
	t.Helper()
	result := r.workspace.Bazel(t, "aquery", append(flags, "--repository_cache=", "--output=jsonproto", `mnemonic("Image.*", deps(//:index))`)...)
	var graph struct {
		Actions []struct {
			Arguments []string `json:"arguments"`
		} `json:"actions"`
	}
	check(t, json.Unmarshal([]byte(result.Stdout), &graph))
	if len(graph.Actions) < 4 {
		t.Fatalf("the query found %d actions", len(graph.Actions))
	}
	var tools []string
	for _, action := range graph.Actions {
		repository := strings.Split(filepath.ToSlash(action.Arguments[0]), "/")[1]
		tools = append(tools, repository[strings.LastIndexAny(repository, "~+")+1:])
	}
	slices.Sort(tools)
	return slices.Compact(tools)
}

// run runs a program in a folder, which must go well.
func run(t *testing.T, dir string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
}
