package e2e_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/e2e/rig"
)

// The directory of the sources that the workspace of testdata/contents names. It
// is made here, since neither git nor a copy keeps all of it.
func contents(t *testing.T) *rig.Workspace {
	t.Helper()
	w := rig.CopyWorkspace(t, filepath.Join(rig.Root(t), "e2e", "testdata", "contents"))
	w.Write(t, "srcdir/a", "a\n")
	w.Write(t, "srcdir/sub/x", "x\n")
	w.Write(t, "outside.txt", "outside\n")
	check(t, os.MkdirAll(filepath.Join(w.Dir, "srcdir", "empty"), 0o755))
	for name, to := range map[string]string{
		"srcdir/link":     "a",
		"srcdir/sub64":    "sub",
		"srcdir/absolute": "/opt/nowhere",
		"srcdir/outside":  "../outside.txt",
		"source_link.txt": "outside.txt",
	} {
		check(t, os.Symlink(to, filepath.Join(w.Dir, name)))
	}
	return w
}

// Rows of what has to be in a layer: kind, mode, owner, path, and what a link
// leads to or a file holds.
const (
	sourceDirectoryBelow = `0 %[2]s 0:0 %[1]s/a "a\n"
2 777 0:0 %[1]s/absolute -> /opt/nowhere
5 755 0:0 %[1]s/empty/
2 777 0:0 %[1]s/link -> a
0 %[2]s 0:0 %[1]s/outside "outside\n"
0 %[2]s 0:0 %[1]s/sub/x "x\n"
2 777 0:0 %[1]s/sub64 -> sub
`
	treeBelow = `0 %[2]s 0:0 %[1]s/bin/data "data\n"
0 %[2]s 0:0 %[1]s/bin/java "#!/bin/sh\necho java\n"
1 %[2]s 0:0 %[1]s/lib/data -> %[1]s/bin/data
1 %[2]s 0:0 %[1]s/lib64/data -> %[1]s/bin/data
`
)

func TestALayerHasWhatABuildContains(t *testing.T) {
	t.Parallel()
	script := `"#!/bin/sh\necho script\n"`
	tree := fmt.Sprintf(treeBelow, "t", "644")
	wants := map[string]string{
		"copied_directory": "0 644 0:0 t/x \"x\\n\"\n",
		"copied_file":      "0 644 0:0 t " + script + "\n",
		"empty_tree":       "5 755 0:0 t/\n",
		"gen_by_file":      "0 644 0:0 t \"generated\\n\"\n",
		"gen_by_group":     "0 644 0:0 t \"generated\\n\"\n",
		"gen_by_rule":      "0 644 0:0 t \"generated\\n\"\n",
		"linked_made":      "0 644 0:0 t \"generated\\n\"\n",
		"linked_other":     "0 644 0:0 t \"other\\n\"\n",
		"linked_source":    "0 644 0:0 t " + script + "\n",
		"linked_tree":      tree,
		"script":           "0 644 0:0 t " + script + "\n",
		"source_directory": fmt.Sprintf(sourceDirectoryBelow, "t", "644"),
		"source_link":      "0 644 0:0 t \"outside\\n\"\n",
		"tree":             tree,
		"tree_by_group":    tree,
		"program": `0 755 0:0 t "#!/bin/sh\necho program\n"
2 777 0:0 t.runfiles/_main/absolute -> /opt/jdk/bin/java
1 755 0:0 t.runfiles/_main/program -> t
` + fmt.Sprintf(sourceDirectoryBelow, "t.runfiles/_main/srcdir", "755") + `2 777 0:0 t.runfiles/_main/to_runfile -> ../other~/o.txt
2 777 0:0 t.runfiles/_main/to_tree -> tree
` + fmt.Sprintf(treeBelow, "t.runfiles/_main/tree", "755") + `0 755 0:0 t.runfiles/other~/o.txt "other\n"
`,
		"links": `2 777 0:0 a -> /opt/jdk/bin/java
2 777 0:0 h -> /bin/sh
2 777 0:0 r -> ../other~/o.txt
2 777 0:0 t -> tree
`,
		"library": `0 644 0:0 alone/lib.so "library\n"
2 777 0:0 beside/lib.so -> lib.so.1
1 644 0:0 beside/lib.so.1 -> alone/lib.so
`,
		"link_to_made": `0 644 0:0 a/gen.txt "generated\n"
2 777 0:0 a/to_made -> gen.txt
`,
		"folders": `0 644 0:0 100%/{0}/%s "generated\n"
0 755 0:0 app/shell_program ` + script + `
1 755 0:0 app/shell_program.runfiles/_main/script.sh -> app/shell_program
1 755 0:0 app/shell_program.runfiles/_main/shell_program -> app/shell_program
1 644 0:0 etc/gen.txt -> 100%/{0}/%s
1 755 0:0 native/native_program -> app/shell_program
1 755 0:0 native/native_program.runfiles/_main/native_program -> app/shell_program
` + fmt.Sprintf(sourceDirectoryBelow, "native/native_program.runfiles/_main/srcdir", "755") + fmt.Sprintf(treeBelow, "opt/tree", "644"),
		"modes": `0 440 0:0 etc/gen.txt "generated\n"
0 755 0:0 opt/jdk/bin/data "data\n"
0 755 0:0 opt/jdk/bin/java "#!/bin/sh\necho java\n"
0 440 0:0 opt/jdk/lib/data "data\n"
1 440 0:0 opt/jdk/lib64/data -> opt/jdk/lib/data
0 755 0:0 usr/bin/script ` + script + "\n",
		"static": `0 644 0:0 all/static/css/site.css "body {}\n"
0 644 0:0 all/static/index.html "<html>\n"
0 644 0:0 all/static/js/site.js "alert()\n"
1 644 0:0 srv/www/css/site.css -> all/static/css/site.css
1 644 0:0 srv/www/index.html -> all/static/index.html
1 644 0:0 srv/www/js/site.js -> all/static/js/site.js
`,
	}

	sandbox, local := contents(t), contents(t)
	sandbox.Bazel(t, "build", "--spawn_strategy=sandboxed", "--output_groups=+blob", "//...")
	local.Bazel(t, "build", "--spawn_strategy=local", "--output_groups=+blob", "//...")
	for name, want := range wants {
		t.Run(name, func(t *testing.T) {
			archive := local.Read(t, "bazel-bin/layer_"+name+".tar")
			if diff := cmp.Diff(want, rowsOf(t, archive)); diff != "" {
				t.Errorf("the layer holds (-want +got):\n%s", diff)
			}
			if archive != sandbox.Read(t, "bazel-bin/layer_"+name+".tar") {
				t.Errorf("from a sandbox it holds (-local +sandbox):\n%s", cmp.Diff(rowsOf(t, archive), rowsOf(t, sandbox.Read(t, "bazel-bin/layer_"+name+".tar"))))
			}
		})
	}
	t.Run("the owner of a binary has its folders", func(t *testing.T) {
		rows := rowsOf(t, local.Read(t, "bazel-bin/layer_owner.tar"))
		for row := range strings.Lines(rows) {
			if !strings.Contains(row, " 1000:1001 ") {
				t.Errorf("another owner: %s", row)
			}
		}
		for _, dir := range []string{"program.runfiles/", "program.runfiles/_main/", "program.runfiles/_main/srcdir/sub/", "program.runfiles/other~/"} {
			if !strings.Contains(rows, "5 755 1000:1001 home/app/bin/"+dir+"\n") {
				t.Errorf("no entry of %s in\n%s", dir, rows)
			}
		}
		if strings.Contains(rows, " home/app/\n") || strings.Contains(rows, " home/\n") {
			t.Errorf("an entry of a folder that nobody named in\n%s", rows)
		}
	})
	t.Run("texts are what they are", func(t *testing.T) {
		config, err := v1.ParseConfigFile(strings.NewReader(local.Read(t, "bazel-bin/wordy.config.json")))
		check(t, err)
		if diff := cmp.Diff([]string{"line one\nline two", "@argument", "it's \"quoted\" \\ here", ""}, config.Config.Cmd); diff != "" {
			t.Errorf("cmd (-want +got):\n%s", diff)
		}
		if got := config.Config.Labels["text"]; got != "line one\nline two" {
			t.Errorf("the label is %q", got)
		}
		if !slices.Contains(config.Config.Env, "LINES=one\n\ntwo\n") || len(config.Config.Env) != 41 {
			t.Errorf("the environment is %q", config.Config.Env)
		}
	})
	for name, w := range map[string]*rig.Workspace{"sandbox": sandbox, "local": local} {
		t.Run("programs run, "+name, func(t *testing.T) {
			wantRuns(t, unpacked(t, w, "bazel-bin/node_image", "layer_node.tar"), "app/node_program", "hello world\n")
			wantRuns(t, unpacked(t, w, "bazel-bin/py/image", "image_layer.tar.gz"), "app/hello", "hello python\nfrom 3\n")
			wantRuns(t, unpacked(t, w, "bazel-bin/cc/image", "image_layer.tar.gz"), "app/program", "hello from a library\n")
		})
	}
}

// unpacked is the file system of an image of one layer, as umoci unpacks it.
func unpacked(t *testing.T, w *rig.Workspace, image, layer string) string {
	t.Helper()
	return umociUnpacked(t, layoutOf(t, w, image, filepath.Join(filepath.Dir(image), layer)))
}

// wantRuns runs a program where it was unpacked.
func wantRuns(t *testing.T, root, program, want string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, program))
	cmd.Env, cmd.Dir = []string{"PATH=" + os.Getenv("PATH")}, t.TempDir()
	output, err := cmd.CombinedOutput()
	if err != nil || string(output) != want {
		t.Errorf("%s printed %q (%v), want %q", program, output, err, want)
	}
}

// mapping is a file that Bazel adds to runfiles, with another text in each version.
var mapping = regexp.MustCompile(`(?m)^.*/_repo_mapping.*\n`)

// rowsOf is what an archive holds, a line each.
func rowsOf(t *testing.T, archive string) string {
	t.Helper()
	var rows strings.Builder
	r := tar.NewReader(strings.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return mapping.ReplaceAllString(rows.String(), "")
		}
		check(t, err)
		fmt.Fprintf(&rows, "%c %o %d:%d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Name)
		if h.Linkname != "" {
			fmt.Fprintf(&rows, " -> %s", h.Linkname)
		}
		content, err := io.ReadAll(r)
		check(t, err)
		if len(content) > 0 {
			fmt.Fprintf(&rows, " %q", content)
		}
		rows.WriteByte('\n')
	}
}
