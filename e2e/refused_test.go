package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/pushspec"
)

// Files that end like push specs are taken for push specs, whatever wrote them.
func TestASpecThatCannotBeIsRefusedAndNothingElseSuffers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.workspace.Write(t, "bad/BUILD.bazel", fmt.Sprintf(`
genrule(
    name = "malformed",
    outs = ["malformed.pushspec.json"],
    cmd = "echo '{\"schemaVersion\": 1, \"layers\": [' > $@",
)

genrule(
    name = "unknown_version",
    outs = ["unknown_version.pushspec.json"],
    cmd = "echo '{\"schemaVersion\": 7, \"mediaType\": \"application/vnd.drayage.pushspec.v7+json\", \"target\": \"//bad:unknown_version\"}' > $@",
)

genrule(
    name = "too_large",
    outs = ["too_large.pushspec.json"],
    cmd = "head -c %d /dev/zero > $@",
)
`, pushspec.MaxSize+1))
	rows := s.push(t, "//...")

	for target, words := range map[string][]string{
		"//bad:malformed":       {"//bad:malformed", "push spec"},
		"//bad:unknown_version": {"//bad:unknown_version", "version 7", "version 1"},
		"//bad:too_large":       {"//bad:too_large", fmt.Sprint(pushspec.MaxSize)},
	} {
		row, ok := rows[target]
		if !ok {
			t.Errorf("the ledger has no row of %s", target)
			continue
		}
		if row.Outcome != ledger.Failed || row.ErrorClass != "malformed" {
			t.Errorf("%s: %s, %s", target, row.Outcome, row.ErrorClass)
		}
		if row.Attempts != 1 {
			t.Errorf("%s was tried %d times", target, row.Attempts)
		}
		for _, word := range words {
			if !strings.Contains(row.Error, word) {
				t.Errorf("%s: the error does not say %q: %s", target, word, row.Error)
			}
		}
	}
	wantPushed(t, rows, "//:push_prod")
	wantPushed(t, rows, "//:push_staging")
	if len(rows) != 5 {
		t.Errorf("the ledger has %d rows: %s", len(rows), outcomes(rows))
	}

	s.workspace.Write(t, "bad/BUILD.bazel", "")
	s.workspace.Write(t, "config/staging", "greeting = hello again\n")
	if row := wantPushed(t, s.push(t, "//..."), "//:push_staging"); row.Outcome != ledger.Pushed {
		t.Errorf("the build after: %s", row.Outcome)
	}
}
