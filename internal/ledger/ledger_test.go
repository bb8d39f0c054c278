package ledger

import (
	"bytes"
	stdjson "encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// rows are a rollback, what is withheld, a push and a denial.
func rows() []Entry {
	return []Entry{
		{
			ID: 4, Job: 14, Time: time.Date(2026, 3, 2, 9, 32, 0, 0, time.UTC), Outcome: RolledBack,
			Registry: "ghcr.io", Repository: "acme/app", Digest: "sha256:" + strings.Repeat("ab", 32), Target: "//app:push", Attempts: 1,
			Tags: []Tag{
				{Name: "latest", Previous: "sha256:" + strings.Repeat("ab", 32), Digest: "sha256:" + strings.Repeat("cd", 32)},
				{Name: "v1", Previous: "sha256:" + strings.Repeat("ab", 32), Digest: "none"},
			},
			By: "token:anna", Error: "it crashes",
		},
		{
			ID: 3, Job: 13, Time: time.Date(2026, 3, 2, 9, 31, 0, 0, time.UTC), Outcome: Withheld, ErrorClass: "red", Error: "the build ended with TESTS_FAILED",
			Registry: "ghcr.io", Repository: "acme/app", Digest: "sha256:" + strings.Repeat("ef", 32), Target: "//app:push", Attempts: 1,
			Gate: "green", HeldTags: []string{"latest", "v2"},
		},
		{
			ID: 2, Job: 12, Time: time.Date(2026, 3, 2, 9, 30, 0, 123456000, time.UTC), Outcome: Pushed,
			Registry: "ghcr.io", Repository: "acme/app", Digest: "sha256:" + strings.Repeat("ab", 32),
			Manifests: []Manifest{{Digest: "sha256:" + strings.Repeat("ab", 32), MediaType: "application/vnd.oci.image.manifest.v1+json", Platform: "linux/amd64"}},
			Tags:      []Tag{{Name: "latest", Previous: "sha256:" + strings.Repeat("cd", 32)}, {Name: "v1"}},
			Uploaded:  Count{Blobs: 2, Bytes: 3_565_158}, Present: Count{Blobs: 1, Bytes: 10}, Requests: 6, Attempts: 1, Duration: 1234 * time.Millisecond,
			Target: "//app:push", Configuration: "k8-fastbuild", SpecDigest: "sha256:01", BuildID: "build", InvocationID: "invocation",
			Command: "build", BazelVersion: "7.7.1", ExitCode: "SUCCESS", Commit: "0123456", Branch: "main", Dirty: true,
			Metadata: map[string]string{"ROLE": "CI", "A": "b"}, Client: "ci", DaemonVersion: "1.0",
		},
		{
			ID: 1, Job: 11, Time: time.Date(2026, 3, 2, 9, 29, 0, 0, time.UTC), Outcome: Denied, ErrorClass: "denied",
			Error: "push //lib:push to ghcr.io/acme/lib: the policy says no\x1b[31m", Registry: "ghcr.io", Repository: "acme/lib",
			Attempts: 2, Duration: 20 * time.Millisecond, Target: "=cmd|' /C calc'!A0",
		},
	}
}

func TestWhatUsersSee(t *testing.T) {
	for name, write := range map[string]func(*bytes.Buffer) error{
		"table.txt":  func(b *bytes.Buffer) error { return WriteTable(b, rows(), time.UTC) },
		"empty.txt":  func(b *bytes.Buffer) error { return WriteTable(b, nil, time.UTC) },
		"rows.json":  func(b *bytes.Buffer) error { return WriteJSON(b, rows()) },
		"rows.jsonl": func(b *bytes.Buffer) error { return WriteJSONLines(b, rows()) },
		"rows.csv":   func(b *bytes.Buffer) error { return WriteCSV(b, rows()) },
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatAnOutcomeSays(t *testing.T) {
	type says struct{ good, bad, arrived bool }
	for outcome, want := range map[Outcome]says{
		Pushed:     {good: true, arrived: true},
		Present:    {good: true, arrived: true},
		Superseded: {arrived: true},
		Staged:     {arrived: true},
		Withheld:   {bad: true, arrived: true},
		RolledBack: {arrived: true},
		Denied:     {bad: true},
		Failed:     {bad: true},
		Cancelled:  {bad: true},
		"":         {}, // it has not ended
	} {
		if got := (says{outcome.Good(), outcome.Bad(), outcome.Arrived()}); got != want {
			t.Errorf("%q says %+v, want %+v", outcome, got, want)
		}
		if err := (Query{Outcome: outcome}).Check(); err != nil {
			t.Errorf("nobody can ask for it: %v", err)
		}
	}
	if n := len(Outcomes()); n != 9 {
		t.Errorf("there are %d outcomes, and 9 are tested", n)
	}
}

func TestARowReadsBackAsItWasWritten(t *testing.T) {
	for _, row := range rows() {
		want := row
		data, err := row.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		want.ID = 0 // the database's, not the row's
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		again, err := got.Encode()
		if err != nil || !bytes.Equal(data, again) {
			t.Errorf("encoded again: %s, error %v; want %s", again, err, data)
		}
	}
}

func TestEveryJSONLibraryReadsTheSameRow(t *testing.T) {
	row := rows()[2]
	data, err := stdjson.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	var got Entry
	if err := stdjson.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(row, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestACheckpointIsReadByItsKeyAlone(t *testing.T) {
	signer, verifier, err := NewKey("example.test")
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := NewKey("example.test")
	if err != nil {
		t.Fatal(err)
	}
	if derived, err := VerifierKey(signer); err != nil || derived != verifier {
		t.Errorf("verifier key %s, error %v; want %s", derived, err, verifier)
	}
	want := Checkpoint{Origin: "example.test", Size: 42, Root: [32]byte{1, 2, 3}}
	signed := sign(t, want, signer)
	got, err := OpenCheckpoint(signed, []string{stranger, verifier})
	if err != nil || got != want {
		t.Errorf("checkpoint %+v, error %v; want %+v", got, err, want)
	}
	if _, err := OpenCheckpoint(signed, []string{stranger}); err == nil || !strings.Contains(err.Error(), "none of the keys") {
		t.Errorf("another key: %v", err)
	}
	if _, err := OpenCheckpoint(bytes.Replace(signed, []byte("42"), []byte("43"), 1), []string{verifier}); err == nil {
		t.Error("a changed checkpoint was read")
	}
}
