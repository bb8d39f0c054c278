package main

import (
	"os/exec"
	"strings"
	"testing"
)

// The actions of every build run this program, on machines that are not ours.
// See docs/decisions/0013-two-programs.md.
func TestTheToolStaysLean(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	const here = "github.com/drayage/drayage/"
	for _, heavy := range []string{
		here + "internal/store", here + "internal/web", here + "internal/admission", here + "internal/dispatch", here + "internal/server", here + "bes",
		"github.com/riverqueue/river", "modernc.org/sqlite", "github.com/jackc/pgx/v5", "github.com/pressly/goose/v3",
		"github.com/prometheus/client_golang",
	} {
		for dependency := range strings.FieldsSeq(string(out)) {
			if dependency == heavy || strings.HasPrefix(dependency, heavy+"/") {
				t.Errorf("drayage imports %s", dependency)
			}
		}
	}
}
