package table_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/table"
)

func TestColumnsAreAlignedWhateverIsInThem(t *testing.T) {
	rows := [][]string{
		{"NAME", "STATE", "NOTE"},
		{"äöü", "", "moves\x1b[2Jthe cursor"},
		{"a longer name", "ok", ""},
	}
	var text strings.Builder
	if err := table.Write(&text, rows); err != nil {
		t.Fatal(err)
	}
	want := `NAME           STATE  NOTE
äöü            -      moves·[2Jthe cursor
a longer name  ok     -
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("the table (-want +got):\n%s", diff)
	}
	if rows[1][1] != "" {
		t.Error("the caller's rows were changed")
	}
}

func TestDigestsAreShortened(t *testing.T) {
	for given, want := range map[string]string{
		"sha256:36e25d8e1f0a4b2c9d": "sha256:36e25d8e1f0a",
		"sha256:36e2":               "sha256:36e2",
		"latest":                    "latest",
		"":                          "",
	} {
		if got := table.ShortDigest(given); got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}
