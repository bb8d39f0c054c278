package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/registry/pacer"
)

// A slot that is not given back is gone for good; one that is given back twice lets more
// requests through than the registry bears.
func TestASlotIsGivenBackOnceHoweverARequestEnds(t *testing.T) {
	var status atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch code := int(status.Load()); code {
		case 0:
			panic(http.ErrAbortHandler)
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://192.0.2.1/token"`)
			w.WriteHeader(code)
		case http.StatusTemporaryRedirect:
			http.Redirect(w, r, r.URL.Path+"x", code)
		default:
			w.WriteHeader(code)
		}
	}))
	defer server.Close()
	unopened := errors.New("no such layer")

	for name, row := range map[string]struct {
		status int
		open   func(context.Context) (io.ReadCloser, error)
		sent   int64
	}{
		"accepted":                        {status: 200, sent: 1},
		"refused":                         {status: 404, sent: 1},
		"without an answer":               {status: 0, sent: 1},
		"sent on and on":                  {status: 307, sent: maxRedirects + 1},
		"asked for a token, without one":  {status: 401, sent: 1},
		"with a body that is not there":   {status: 200, open: func(context.Context) (io.ReadCloser, error) { return nil, unopened }, sent: 0},
		"with a body that cannot be read": {status: 200, open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(unreadable{unopened}), nil }, sent: 1},
	} {
		t.Run(name, func(t *testing.T) {
			status.Store(int64(row.status))
			client := New(Options{Logger: zerolog.Nop(), Pace: Pace{Small: 1}, Wait: func(context.Context, time.Duration) error { return nil }})
			defer client.Close()
			requests := new(atomic.Int64)
			repo, err := client.Repository(strings.TrimPrefix(server.URL, "http://"), "acme/app", Caller{Requests: requests})
			if err != nil {
				t.Fatal(err)
			}
			c := call{method: http.MethodPut, url: repo.host.base + "/v2/", ok: []int{http.StatusOK}, once: true, open: row.open, size: 1}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			resp, err := repo.host.do(ctx, repo.caller, c)
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != (name == "accepted") || row.open != nil && !errors.Is(err, unopened) {
				t.Errorf("got error %v", err)
			}
			over, end := context.WithCancel(t.Context())
			end() // who has to wait for a slot does not get one
			if _, err := repo.host.pacer.Acquire(over, pacer.Small, ""); err != nil {
				t.Errorf("the only slot was not given back: %v", err)
			}
			if _, err := repo.host.pacer.Acquire(over, pacer.Small, ""); err == nil {
				t.Error("there are two slots after one was given back")
			}
			if requests.Load() != row.sent {
				t.Errorf("%d requests were counted, want %d", requests.Load(), row.sent)
			}
		})
	}
}

// unreadable is a body that fails at once.
type unreadable struct{ err error }

func (u unreadable) Read([]byte) (int, error) { return 0, u.err }
