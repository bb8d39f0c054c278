package ledger

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// gated are the rows of a build whose tags waited at a gate, the newest first: one push
// was rolled back, one withheld.
func gated() []Entry {
	at := func(second int) time.Time { return time.Date(2026, 3, 2, 9, 30, second, 0, time.UTC) }
	digest := func(digits string) string { return "sha256:" + strings.Repeat(digits, 32) }
	row := func(id int64, outcome Outcome, target string) Entry {
		return Entry{
			ID: id, Time: at(int(id)), Outcome: outcome, Registry: "ghcr.io", Repository: "acme/app", Digest: digest("ab"), Gate: "approved",
			Target: target, SpecDigest: "sha256:01",
		}
	}
	restored, promoted, withheld, staged := row(4, RolledBack, "//app:push"), row(3, Pushed, "//app:push"), row(2, Withheld, "//web:push"), row(1, Staged, "//app:push")
	restored.By, restored.Tags = "token:eve", []Tag{{Name: "latest", Previous: digest("ab"), Digest: digest("cd")}, {Name: "v1", Previous: digest("ab"), Digest: RemovedTag}}
	promoted.By, promoted.Tags = "token:eve", []Tag{{Name: "latest", Previous: digest("cd")}, {Name: "v1"}}
	withheld.HeldTags, withheld.ErrorClass, withheld.Error = []string{"v1"}, "red", "the build ended with TESTS_FAILED"
	staged.HeldTags = []string{"latest", "v1"}
	alike := withheld
	alike.Target = "//api:push"
	return []Entry{restored, promoted, withheld, alike, staged}
}

func TestTagsThatAreKeptBackAreNotShownAsTags(t *testing.T) {
	var shown bytes.Buffer
	if err := WriteTable(&shown, gated(), time.UTC); err != nil {
		t.Fatal(err)
	}
	want := `TIME                 OUTCOME      IMAGE             TAGS                                           DIGEST               SENT  TOOK  TARGET      BY
2026-03-02 09:30:04  rolled-back  ghcr.io/acme/app  latest (now sha256:cdcdcdcdcdcd),v1 (removed)  sha256:abababababab  0 B   0s    //app:push  token:eve
2026-03-02 09:30:03  pushed       ghcr.io/acme/app  latest,v1                                      sha256:abababababab  0 B   0s    //app:push  token:eve
2026-03-02 09:30:02  withheld     ghcr.io/acme/app  kept back: v1                                  sha256:abababababab  0 B   0s    //web:push  -
2026-03-02 09:30:02  withheld     ghcr.io/acme/app  kept back: v1                                  sha256:abababababab  0 B   0s    //api:push  -
2026-03-02 09:30:01  staged       ghcr.io/acme/app  kept back: latest,v1                           sha256:abababababab  0 B   0s    //app:push  -

withheld: the build ended with TESTS_FAILED
`
	if diff := cmp.Diff(want, shown.String()); diff != "" {
		t.Errorf("the table (-want +got):\n%s", diff)
	}

	shown.Reset()
	if err := WriteCSV(&shown, gated()[3:]); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(shown.String(), "\n")
	for line, end := range []string{",job,gate,held_tags,by", ",0,approved,v1,", ",0,approved,latest v1,"} {
		if !strings.HasSuffix(lines[line], end) {
			t.Errorf("line %d of the CSV is %q, want it to end with %q", line, lines[line], end)
		}
	}
	if strings.Contains(lines[1], ",v1,//api:push,") {
		t.Error("a tag that is kept back stands among the tags of the CSV")
	}
}

func TestTheNewestRowOfAPushTellsHowItStands(t *testing.T) {
	var told []string
	for _, e := range Latest(gated()) {
		told = append(told, e.Target+" "+string(e.Outcome))
	}
	if diff := cmp.Diff([]string{"//app:push rolled-back", "//web:push withheld", "//api:push withheld"}, told); diff != "" {
		t.Errorf("the newest rows (-want +got):\n%s", diff)
	}
}
