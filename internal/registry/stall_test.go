package registry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/registry"
)

// stalls sends the headers of an answer and the beginning of its body, and then nothing
// for as long as the test lasts; or else a byte now and then, without end.
func stalls(t *testing.T, w http.ResponseWriter, r *http.Request, status int, drip time.Duration) {
	t.Helper()
	const begin = "half of a text"
	w.Header().Set("Content-Length", fmt.Sprint(len(begin)+1<<20))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, begin)
	flusher, ok := w.(http.Flusher)
	if !ok {
		t.Error("the server cannot flush")
		return
	}
	flusher.Flush()
	if r.Method == http.MethodHead {
		return // its answer has no body, and the connection serves the next request
	}
	if drip == 0 {
		<-r.Context().Done()
		return
	}
	ticker := time.NewTicker(drip)
	defer ticker.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			flusher.Flush()
		}
	}
}

func TestAnAnswerWhoseBodyStallsIsGivenUp(t *testing.T) {
	const idle = 300 * time.Millisecond
	for _, drip := range []time.Duration{0, 50 * time.Millisecond} {
		for _, row := range []struct {
			name   string
			path   string
			status int
			do     func(ctx context.Context, repo *registry.Repository) error
			// good tells that the status is all that is needed.
			good bool
			want string
		}{
			{"a manifest", "/manifests/", 200, func(ctx context.Context, repo *registry.Repository) error {
				_, _, _, err := repo.Manifest(ctx, "v1", 4<<20)
				return err
			}, false, "no progress"},
			{"a list of tags", "/tags/", 200, func(ctx context.Context, repo *registry.Repository) error {
				_, _, err := repo.Tags(ctx, 10)
				return err
			}, false, "no progress"},
			{"an error", "/manifests/", 500, func(ctx context.Context, repo *registry.Repository) error {
				_, _, err := repo.Head(ctx, "v1")
				return err
			}, false, "answered 500"},
			{"an error with a text", "/manifests/", 400, func(ctx context.Context, repo *registry.Repository) error {
				_, _, _, err := repo.Manifest(ctx, "v1", 4<<20)
				return err
			}, false, "half of a text"},
			{"a challenge", "/manifests/", 401, func(ctx context.Context, repo *registry.Repository) error {
				_, _, _, err := repo.Manifest(ctx, "v1", 4<<20)
				return err
			}, false, "answered 500"},
			{"a token", "/token", 200, func(ctx context.Context, repo *registry.Repository) error {
				_, _, err := repo.Head(ctx, "v1")
				return err
			}, false, "token service"},
			{"the error of a token service", "/token", 403, func(ctx context.Context, repo *registry.Repository) error {
				_, _, err := repo.Head(ctx, "v1")
				return err
			}, false, "refused access (403)"},
			{"what is written", "/manifests/", 201, func(ctx context.Context, repo *registry.Repository) error {
				_, err := repo.PutManifest(ctx, "v1", "application/json", []byte("{}"))
				return err
			}, true, ""},
		} {
			t.Run(fmt.Sprintf("%s, drip %s", row.name, drip), func(t *testing.T) {
				t.Parallel()
				s := serve(t, func(s *server, w http.ResponseWriter, r *http.Request) {
					challenge := fmt.Sprintf(`Bearer realm="%s/token"`, s.URL)
					switch {
					case strings.Contains(r.URL.Path, row.path):
						if row.status == 401 && r.Header.Get("Authorization") == "" {
							w.Header().Set("WWW-Authenticate", challenge)
						} else if row.status == 401 {
							w.WriteHeader(http.StatusInternalServerError)
							return
						}
						stalls(t, w, r, row.status, drip)
					case row.path == "/token" && r.Header.Get("Authorization") == "":
						w.Header().Set("WWW-Authenticate", challenge)
						w.WriteHeader(http.StatusUnauthorized)
					case r.URL.Path == "/token":
						fmt.Fprint(w, `{"token":"t"}`)
					}
				})
				c := client(t, registry.Options{IdleTimeout: idle, AnswerTimeout: idle, Attempts: 1})
				repo, err := c.Repository(s.host, "acme/app", registry.Caller{})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				err = row.do(t.Context(), repo)
				if (err == nil) != row.good || err != nil && !strings.Contains(err.Error(), row.want) {
					t.Errorf("got error %v, want one that says %q", err, row.want)
				}
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

// A registry sends readers on to its storage, and that may hang as well.
func TestStorageThatHangsIsGivenUp(t *testing.T) {
	for _, headers := range []bool{false, true} {
		storage := serve(t, func(_ *server, w http.ResponseWriter, r *http.Request) {
			if headers {
				stalls(t, w, r, 200, 0)
				return
			}
			<-r.Context().Done()
		})
		s := serve(t, func(_ *server, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, storage.URL+"/blob", http.StatusTemporaryRedirect)
		})
		c := client(t, registry.Options{IdleTimeout: 300 * time.Millisecond, Attempts: 2})
		repo, err := c.Repository(s.host, "acme/app", registry.Caller{})
		if err != nil {
			t.Fatal(err)
		}
		_, digest := noise(1, 100)
		body, err := repo.ReadBlob(t.Context(), digest, 0)
		if err == nil {
			_, err = io.ReadAll(body)
			body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "no progress") {
			t.Errorf("with headers %t: got error %v", headers, err)
		}
	}
}
