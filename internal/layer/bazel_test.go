package layer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/layer"
)

// The folders of a build as Bazel lays them out, and a sandbox in which an action
// sees its inputs. The end-to-end tests have the real ones.
type folders struct{ workspace, execRoot, sandbox string }

func newFolders(t *testing.T) folders {
	t.Helper()
	base := t.TempDir()
	f := folders{base + "/workspace", base + "/output/execroot/_main", base + "/output/sandbox/linux-sandbox/1/execroot/_main"}
	for _, dir := range []string{f.workspace, f.execRoot, f.sandbox} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// sandboxed makes the link that a sandbox has for an input.
func (f folders) sandboxed(t *testing.T, path string) {
	t.Helper()
	link(t, filepath.Join(f.execRoot, path), filepath.Join(f.sandbox, path))
}

// wantBoth writes the layer from the execution root, as the local strategy does,
// and from the sandbox, and wants the same from both.
func (f folders) wantBoth(t *testing.T, list, want string) {
	t.Helper()
	for name, dir := range map[string]string{"local": f.execRoot, "sandbox": f.sandbox} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(dir)
			blob, _ := write(t, list, layer.Options{Compression: layer.None, Copies: true})
			if diff := cmp.Diff(want, listing(t, blob)); diff != "" {
				t.Errorf("listing (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinksThatRulesDeclaredAreKept(t *testing.T) {
	f := newFolders(t)
	source(t, f.execRoot+"/bazel-out/bin/tree/x", "x")
	f.sandboxed(t, "bazel-out/bin/tree/x")
	for _, dir := range []string{f.execRoot, f.sandbox} {
		link(t, "tree", dir+"/bazel-out/bin/to_tree")
		link(t, "../../../other~/o.txt", dir+"/bazel-out/bin/to_runfile")
		link(t, "/opt/jdk/bin/java", dir+"/bazel-out/bin/absolute")
		link(t, "/bin/sh", dir+"/bazel-out/bin/on_this_machine_too")
	}
	f.wantBoth(t, "put\t0755\t/absolute\toutput\t\tbazel-out/bin/absolute\n"+
		"put\t0755\t/sh\toutput\t\tbazel-out/bin/on_this_machine_too\n"+
		"put\t0755\t/to_runfile\toutput\t\tbazel-out/bin/to_runfile\n"+
		"put\t0755\t/to_tree\toutput\t\tbazel-out/bin/to_tree\n"+
		"put\t0755\t/declared\tsymlink\t\tbazel-out/bin/to_tree\n",
		`2 0777 0:0 0 absolute -> /opt/jdk/bin/java
2 0777 0:0 0 declared -> tree
2 0777 0:0 0 sh -> /bin/sh
2 0777 0:0 0 to_runfile -> ../../../other~/o.txt
2 0777 0:0 0 to_tree -> tree
`)
}

func TestLinksThatBazelMadeAreFollowed(t *testing.T) {
	f := newFolders(t)
	source(t, f.workspace+"/pkg/src.txt", "source")
	link(t, f.workspace+"/pkg", f.execRoot+"/pkg")
	source(t, f.execRoot+"/../../external/other~/ext.txt", "external")
	source(t, f.execRoot+"/bazel-out/bin/made.txt", "made")
	link(t, f.workspace+"/pkg/src.txt", f.execRoot+"/bazel-out/bin/to_source")
	link(t, filepath.Join(f.execRoot, "../../external/other~/ext.txt"), f.execRoot+"/bazel-out/bin/to_external")
	link(t, f.execRoot+"/bazel-out/bin/made.txt", f.execRoot+"/bazel-out/bin/to_made")
	for _, path := range []string{"pkg/src.txt", "bazel-out/bin/to_source", "bazel-out/bin/to_external", "bazel-out/bin/to_made"} {
		f.sandboxed(t, path)
	}
	f.wantBoth(t, "put\t0644\t/src\tfile\t\tpkg/src.txt\n"+
		"put\t0644\t/to_external\toutput\t\tbazel-out/bin/to_external\n"+
		"put\t0644\t/to_made\toutput\t\tbazel-out/bin/to_made\n"+
		"put\t0644\t/to_source\toutput\t\tbazel-out/bin/to_source\n",
		`0 0644 0:0 0 src "source"
0 0644 0:0 0 to_external "external"
0 0644 0:0 0 to_made "made"
0 0644 0:0 0 to_source "source"
`)
}

// What an action leaves in the place of a file may be a link to a file beside it:
// lib.so of lib.so.1. It is no less a file.
func TestALinkToAFileIsKeptOnlyIfItLeadsThereInTheImage(t *testing.T) {
	f := newFolders(t)
	source(t, f.execRoot+"/bazel-out/bin/lib.so.1", "lib")
	link(t, "lib.so.1", f.execRoot+"/bazel-out/bin/lib.so")
	f.sandboxed(t, "bazel-out/bin/lib.so")
	f.sandboxed(t, "bazel-out/bin/lib.so.1")
	t.Run("beside it", func(t *testing.T) {
		f.wantBoth(t, "put\t0755\t/lib\toutput\tlib.so\tbazel-out/bin/lib.so\nput\t0755\t/lib\toutput\tlib.so.1\tbazel-out/bin/lib.so.1\n",
			"2 0777 0:0 0 lib/lib.so -> lib.so.1\n0 0755 0:0 0 lib/lib.so.1 \"lib\"\n")
	})
	t.Run("alone", func(t *testing.T) {
		f.wantBoth(t, "put\t0755\t/lib\toutput\tlib.so\tbazel-out/bin/lib.so\n", "0 0755 0:0 0 lib/lib.so \"lib\"\n")
	})
	t.Run("elsewhere", func(t *testing.T) {
		f.wantBoth(t, "put\t0755\t/lib\toutput\tlib.so\tbazel-out/bin/lib.so\nput\t0755\t/old\toutput\tlib.so.1\tbazel-out/bin/lib.so.1\n",
			"0 0755 0:0 0 lib/lib.so \"lib\"\n0 0755 0:0 0 old/lib.so.1 \"lib\"\n")
	})
}

func TestADirectoryThatAnActionMadeIsItsFiles(t *testing.T) {
	f := newFolders(t)
	tree := f.execRoot + "/bazel-out/bin/tree"
	source(t, tree+"/lib/x", "x")
	link(t, "lib", tree+"/lib64")
	link(t, "lib/x", tree+"/x")
	if err := os.MkdirAll(tree+"/empty/deep", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"lib/x", "lib64/x", "x"} {
		f.sandboxed(t, "bazel-out/bin/tree/"+path)
	}
	link(t, tree, f.execRoot+"/bazel-out/bin/linked")
	for _, path := range []string{"lib/x", "lib64/x", "x"} {
		f.sandboxed(t, "bazel-out/bin/linked/"+path)
	}
	for _, name := range []string{"tree", "linked"} {
		f.wantBoth(t, "put\t0644\t/t\ttree\t\tbazel-out/bin/"+name+"\n", `0 0644 0:0 0 t/lib/x "x"
0 0644 0:0 0 t/lib64/x "x"
0 0644 0:0 0 t/x "x"
`)
	}
}

func TestADirectoryWithoutFilesIsThere(t *testing.T) {
	dir := t.TempDir()
	for _, kind := range []string{"tree", "file"} {
		blob, _ := write(t, "put\t0644\t/t\t"+kind+"\t\t"+dir+"\ndir\t0700\t/t\n", layer.Options{Compression: layer.None})
		if got := listing(t, blob); got != "5 0700 0:0 0 t/\n" {
			t.Errorf("%s: %s", kind, got)
		}
		blob, _ = write(t, "put\t0644\t/t\t"+kind+"\t\t"+dir+"\n", layer.Options{Compression: layer.None})
		if got := listing(t, blob); got != "5 0755 0:0 0 t/\n" {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

func TestADirectoryOfTheSourcesIsAsTheUserHasIt(t *testing.T) {
	f := newFolders(t)
	source(t, f.workspace+"/outside", "outside")
	source(t, f.workspace+"/outsides/z", "z")
	dir := f.workspace + "/dir"
	source(t, dir+"/lib/x", "x")
	link(t, "lib", dir+"/lib64")
	link(t, "lib/x", dir+"/x")
	link(t, "../outside", dir+"/outside")
	link(t, "../outsides", dir+"/outsides")
	link(t, f.workspace+"/outside", dir+"/outside_too")
	link(t, "/etc/alternatives/java", dir+"/java")
	link(t, "nowhere", dir+"/nowhere")
	// It ends as its own path does.
	link(t, "/usr/dir/sh", dir+"/sh")
	link(t, "/dir/bash", dir+"/bash")
	if err := os.MkdirAll(dir+"/empty", 0o755); err != nil {
		t.Fatal(err)
	}
	link(t, dir, f.execRoot+"/dir")
	link(t, f.workspace+"/outside", f.execRoot+"/outside")
	f.sandboxed(t, "dir")
	f.wantBoth(t, "put\t0644\t/d\tfile\t\tdir\n", `2 0777 0:0 0 d/bash -> /dir/bash
5 0755 0:0 0 d/empty/
2 0777 0:0 0 d/java -> /etc/alternatives/java
0 0644 0:0 0 d/lib/x "x"
2 0777 0:0 0 d/lib64 -> lib
2 0777 0:0 0 d/nowhere -> nowhere
0 0644 0:0 0 d/outside "outside"
0 0644 0:0 0 d/outside_too "outside"
0 0644 0:0 0 d/outsides/z "z"
2 0777 0:0 0 d/sh -> /usr/dir/sh
2 0777 0:0 0 d/x -> lib/x
`)
}
