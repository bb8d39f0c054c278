package haul

import (
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func digestOf(t *testing.T, text string) v1.Hash {
	t.Helper()
	digest, _, err := v1.SHA256(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestWhatIsKnownIsBounded(t *testing.T) {
	const limit = 100
	k := newPresence(time.Now, limit, time.Hour)
	for n := range 10 * limit {
		k.add(address{"r.test", fmt.Sprintf("acme/app-%d", n)}, digestOf(t, fmt.Sprint(n)))
		if entries := len(k.young) + len(k.old); entries > limit+2 {
			t.Fatalf("%d entries are remembered, want %d at most", entries, limit)
		}
	}
	if !k.has(address{"r.test", "acme/app-999"}, digestOf(t, "999")) {
		t.Error("the latest is forgotten")
	}
	if k.has(address{"r.test", "acme/app-0"}, digestOf(t, "0")) {
		t.Error("the oldest is remembered")
	}
}

func TestWhatIsKnownExpires(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	k := newPresence(func() time.Time { return now }, 100, time.Minute)
	at, digest := address{"r.test", "acme/app"}, digestOf(t, "blob")
	k.add(at, digest)
	now = now.Add(time.Minute)
	if !k.has(at, digest) || k.repositoryOf(at, digest) != "acme/app" {
		t.Error("it is forgotten too soon")
	}
	now = now.Add(time.Second)
	if k.has(at, digest) || k.repositoryOf(at, digest) != "" {
		t.Error("it is remembered for too long")
	}
}
