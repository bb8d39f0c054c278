package casregistry_test

import (
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/internal/casregistry"
)

func TestAClientKeepsNoMoreThanItsShare(t *testing.T) {
	folder := t.TempDir()
	limits := func(o *casregistry.Options) {
		o.Limits = casregistry.Limits{BlobBytes: 50_000, ClientBytes: 120_000}
		o.Access = rights{push: []string{"ci a/app", "robot a/app", "chunker a/app"}}
	}
	s := serve(t, folder, &fakeCAS{}, limits)
	send := func(client, text string, want int) answer {
		t.Helper()
		return s.do(t, request{client: client, method: http.MethodPost, path: "/a/app/blobs/uploads/?digest=" + digestOf(text), body: text}, want)
	}
	send("ci", strings.Repeat("a", 50_001), http.StatusRequestEntityTooLarge)
	// One that does not say how large it is, and one that comes in chunks.
	s.do(t, request{client: "ci", method: http.MethodPost, path: "/a/app/blobs/uploads/?digest=" + digestOf("x"), stream: strings.NewReader(strings.Repeat("a", 50_001))}, http.StatusRequestEntityTooLarge)
	location := strings.TrimPrefix(s.do(t, request{client: "chunker", method: http.MethodPost, path: "/a/app/blobs/uploads/"}, http.StatusAccepted).Header.Get("Location"), "/v2")
	s.do(t, request{client: "chunker", method: http.MethodPatch, path: location, body: strings.Repeat("a", 50_000)}, http.StatusAccepted)
	s.do(t, request{client: "chunker", method: http.MethodPatch, path: location, body: "a"}, http.StatusRequestEntityTooLarge)
	s.do(t, request{client: "chunker", method: http.MethodPut, path: location + "?digest=" + digestOf(strings.Repeat("a", 50_000))}, http.StatusCreated)

	send("ci", strings.Repeat("b", 50_000), http.StatusCreated)
	send("ci", strings.Repeat("b", 50_000), http.StatusCreated) // is there already
	send("ci", strings.Repeat("c", 50_000), http.StatusCreated)
	if response := send("ci", strings.Repeat("d", 50_000), http.StatusForbidden); !strings.Contains(response.body, "cas_registry.client_bytes") {
		t.Errorf("the answer is %s", response.body)
	}
	send("robot", strings.Repeat("d", 50_000), http.StatusCreated)
	// Small files count, too: each takes a block of the disk.
	send("ci", "small", http.StatusCreated)
	send("ci", "small too", http.StatusCreated)
	send("ci", "one too many", http.StatusForbidden)
	// A restart forgets nothing, but what was not finished.
	s = serve(t, folder, &fakeCAS{}, limits)
	send("ci", strings.Repeat("e", 20_000), http.StatusForbidden)
	send("robot", strings.Repeat("e", 20_000), http.StatusCreated)
	if left := unfinished(t, folder); len(left) != 0 {
		t.Errorf("%v lie about", left)
	}
}

func TestAClientHasNoMoreUploadsThanItsShare(t *testing.T) {
	folder, now := t.TempDir(), time.Now()
	s := serve(t, folder, &fakeCAS{}, func(o *casregistry.Options) {
		o.Limits.ClientUploads = 3
		o.Access = rights{push: []string{"ci a/app", "robot a/app"}}
	})
	s.registry.SetNow(func() time.Time { return now })
	begin := func(client string, want int) string {
		t.Helper()
		return strings.TrimPrefix(s.do(t, request{client: client, method: http.MethodPost, path: "/a/app/blobs/uploads/"}, want).Header.Get("Location"), "/v2")
	}
	first := begin("ci", http.StatusAccepted)
	s.do(t, request{client: "ci", method: http.MethodPatch, path: first, body: "x"}, http.StatusAccepted)
	begin("ci", http.StatusAccepted)
	begin("ci", http.StatusAccepted)
	begin("ci", http.StatusTooManyRequests)
	s.do(t, request{client: "ci", method: http.MethodPut, path: "/a/app/manifests/v1", body: "{}", mediaType: ociManifest}, http.StatusTooManyRequests)
	begin("robot", http.StatusAccepted)
	s.do(t, request{client: "ci", method: http.MethodDelete, path: first}, http.StatusNoContent)
	begin("ci", http.StatusAccepted)
	begin("ci", http.StatusTooManyRequests)
	// Uploads that nobody goes on with make room after a while. The robot's next one drops
	// them, and a client that is still sending keeps its own.
	now = now.Add(2 * time.Hour)
	begin("robot", http.StatusAccepted)
	second := begin("ci", http.StatusAccepted)
	s.do(t, request{client: "ci", method: http.MethodPut, path: second + "?digest=" + digestOf("late"), body: "late"}, http.StatusCreated)
	s.do(t, request{client: "ci", method: http.MethodPatch, path: first, body: "x"}, http.StatusNotFound)
	if left := unfinished(t, folder); len(left) != 0 {
		t.Errorf("%v lie about", left)
	}
}

func TestClientsThatStallHoldUpNobody(t *testing.T) {
	s := serve(t, t.TempDir(), &fakeCAS{}, nil)
	// 30 blobs and 30 chunks whose end does not come, and a manifest into the same
	// repository.
	for i := range 61 {
		path, method := "/a/app/blobs/uploads/?digest="+digestOf("stalled"), http.MethodPost
		switch {
		case i == 60:
			path, method = "/a/app/manifests/stalled", http.MethodPut
		case i%2 == 1:
			path, method = strings.TrimPrefix(s.do(t, request{method: http.MethodPost, path: "/a/app/blobs/uploads/"}, http.StatusAccepted).Header.Get("Location"), "/v2"), http.MethodPatch
		}
		conn, err := net.Dial("tcp", s.host)
		check(t, err)
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, method+" /v2"+path+" HTTP/1.1\r\nHost: "+s.host+"\r\nContent-Type: "+ociManifest+"\r\nContent-Length: 1000\r\n\r\nhalf of it")
		check(t, err)
	}
	waitReceiving(t, s.folder, 61)
	var done sync.WaitGroup
	for range 10 {
		done.Go(func() {
			image, err := random.Image(10_000, 3)
			if err == nil {
				err = remote.Write(s.repository(t, "a/app").Tag("latest"), image)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if n := len(unfinished(t, s.folder)); n != 61 {
		t.Errorf("%d bodies are under way after that, want 61", n)
	}
}

// waitReceiving waits until n bodies have arrived in part.
func waitReceiving(t *testing.T, folder string, n int) {
	t.Helper()
	limit := time.After(20 * time.Second)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for len(unfinished(t, folder)) != n {
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("%d bodies are under way, want %d", len(unfinished(t, folder)), n)
		}
	}
}

func TestABodyThatBreaksOffLeavesNothing(t *testing.T) {
	s := serve(t, t.TempDir(), &fakeCAS{}, nil)
	location := strings.TrimPrefix(s.do(t, request{method: http.MethodPost, path: "/a/app/blobs/uploads/"}, http.StatusAccepted).Header.Get("Location"), "/v2")
	s.do(t, request{method: http.MethodPatch, path: location, body: "hello "}, http.StatusAccepted)
	conn, err := net.Dial("tcp", s.host)
	check(t, err)
	_, err = io.WriteString(conn, "PATCH /v2"+location+" HTTP/1.1\r\nHost: "+s.host+"\r\nContent-Length: 1000\r\n\r\nwrong")
	check(t, err)
	waitReceiving(t, s.folder, 2)
	check(t, conn.Close())
	waitReceiving(t, s.folder, 1)
	s.do(t, request{method: http.MethodPatch, path: location, body: "x", header: map[string]string{"Content-Range": "5-5"}}, http.StatusRequestedRangeNotSatisfiable)
	s.do(t, request{method: http.MethodPatch, path: location, body: "wor", header: map[string]string{"Content-Range": "6-8"}}, http.StatusAccepted)
	s.do(t, request{method: http.MethodPut, path: location + "?digest=" + digestOf("hello world"), body: "ld"}, http.StatusCreated)
	if got := s.do(t, request{method: http.MethodGet, path: "/a/app/blobs/" + digestOf("hello world")}, http.StatusOK); got.body != "hello world" {
		t.Errorf("the blob is %q", got.body)
	}
	if left := unfinished(t, s.folder); len(left) != 0 {
		t.Errorf("%v lie about", left)
	}
}

func unfinished(t *testing.T, folder string) []string {
	t.Helper()
	return below(t, filepath.Join(folder, "uploads"))
}

func files(t *testing.T, folder string) []string {
	t.Helper()
	return below(t, folder)
}

func below(t *testing.T, folder string) (names []string) {
	t.Helper()
	check(t, filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	}))
	return names
}

func overwrite(t *testing.T, folder, name, text string) {
	t.Helper()
	name = filepath.Join(folder, name)
	if _, err := os.Stat(name); err != nil {
		t.Fatal(err)
	}
	check(t, os.WriteFile(name, []byte(text), 0o600))
}
