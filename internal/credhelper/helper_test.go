package credhelper_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/credhelper"
)

// script is a helper that notes its questions in a file beside it.
func script(t *testing.T, answer string) (path string, questions func() []string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "helper")
	text := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = get ] || exit 3\ncat >> %s/asked\necho >> %s/asked\n%s\n", dir, dir, answer)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, func() []string {
		asked, err := os.ReadFile(filepath.Join(dir, "asked"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(asked))
	}
}

func TestAnswersAreUsedUntilTheyExpire(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	path, questions := script(t, `echo '{"headers":{"Authorization":["Bearer x"],"X-Key":["k"]},"expires":"2026-01-01T00:05:00Z"}'`)
	helper := credhelper.New(path, func() time.Time { return now })
	rpc := credhelper.PerRPC{Helper: helper}
	for _, minute := range []int{0, 1, 4, 6} {
		now = time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)
		got, err := rpc.GetRequestMetadata(t.Context(), "https://cache.example")
		if err != nil {
			t.Fatal(err)
		}
		if got["authorization"] != "Bearer x" || got["x-key"] != "k" {
			t.Errorf("the metadata are %v", got)
		}
	}
	if asked := questions(); len(asked) != 2 || asked[0] != `{"uri":"https://cache.example"}` {
		t.Errorf("the helper was asked %q, want once for each five minutes", asked)
	}
}

func TestAHelpersComplaintIsShownAndItsAnswerIsNot(t *testing.T) {
	path, _ := script(t, `echo secret; echo "log in first" >&2; exit 1`)
	_, err := credhelper.New(path, nil).Headers(t.Context(), "https://cache.example")
	if err == nil || !strings.Contains(err.Error(), "log in first") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got error %v", err)
	}
	path, _ = script(t, `echo secret`)
	if _, err = credhelper.New(path, nil).Headers(t.Context(), "https://cache.example"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got error %v", err)
	}
}
