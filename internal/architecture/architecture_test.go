package architecture

import (
	"os"
	"path/filepath"
	"testing"
)

const pagePath = "docs/architecture.md"

func TestImportsAreAsTheArchitectureSays(t *testing.T) {
	m := load(t, filepath.Join("..", ".."))
	text, err := os.ReadFile(filepath.Join(m.dir, filepath.FromSlash(pagePath)))
	if err != nil {
		t.Fatal(err)
	}
	p, problems := parsePage(string(text))
	for _, problem := range append(problems, check(m, p)...) {
		t.Errorf("%s: %s.", pagePath, problem)
	}
}
