package credhelper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAHelperThatHangsIsKilledAndKeepsNobodyElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "helper")
	text := "#!/bin/sh\nread -r question\ncase $question in *stuck*) touch " + dir + "/asked; sleep 600;; esac\necho '{\"headers\":{\"Authorization\":[\"Bearer x\"]}}'\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	helper := New(path, nil)
	helper.limitCalls(2 * time.Second)
	stuck := make(chan error)
	go func() {
		_, err := helper.Headers(t.Context(), "https://stuck.example")
		stuck <- err
	}()
	for {
		if _, err := os.Stat(filepath.Join(dir, "asked")); err == nil {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("the helper was never asked")
		}
	}
	if _, err := helper.Headers(t.Context(), "https://well.example"); err != nil {
		t.Errorf("another server's headers: %v", err)
	}
	select {
	case err := <-stuck:
		t.Fatalf("the helper did not hang: %v", err)
	default:
	}
	if err := <-stuck; err == nil || !strings.Contains(err.Error(), "https://stuck.example did not end within 2s") {
		t.Errorf("got error %v", err)
	}
}

func TestAMissingHelperFailsForGood(t *testing.T) {
	_, err := New("/nowhere/helper", nil).Headers(t.Context(), "https://cache.example")
	var lasting interface{ Lasting() bool }
	if f, ok := err.(*failure); !ok || !strings.Contains(err.Error(), "/nowhere/helper") { //nolint:errorlint // it is returned as it is
		t.Fatalf("got error %v", err)
	} else if lasting, ok = f.Unwrap().(interface{ Lasting() bool }); !ok || !lasting.Lasting() {
		t.Errorf("got error %v, want one that lasts", err)
	}
}
