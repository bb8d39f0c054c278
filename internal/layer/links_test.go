package layer_test

import (
	"archive/tar"
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/layer"
)

func TestFilesAlikeAreHardLinks(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("large ", 50_000)
	list := ""
	for _, f := range []struct{ name, mode, content string }{
		{"a", "0644", "same"}, {"b", "0644", "same"}, {"c", "0755", "same"}, {"d", "0644", "else"},
		{"e", "0644", large}, {"f", "0644", strings.ToUpper(large)}, {"g", "0644", large}, {"h", "0644", strings.ToUpper(large)},
		{"i", "0644", ""}, {"j", "0644", ""},
	} {
		list += "put\t" + f.mode + "\t/" + f.name + "\tfile\t\t" + source(t, filepath.Join(dir, f.name), f.content) + "\n"
	}
	links := func(options layer.Options) string {
		options.Compression = layer.None
		blob, _ := write(t, list, options)
		r := tar.NewReader(bytes.NewReader(blob))
		found := ""
		for h, err := r.Next(); err != io.EOF; h, err = r.Next() {
			if err != nil {
				t.Fatal(err)
			}
			if h.Typeflag == tar.TypeLink {
				found += h.Name + "=" + h.Linkname + " "
			}
		}
		return found
	}
	if got := links(layer.Options{}); got != "b=a g=e h=f " {
		t.Errorf("hard links are %q", got)
	}
	if got := links(layer.Options{Copies: true}); got != "" {
		t.Errorf("hard links are %q, want none", got)
	}
}
