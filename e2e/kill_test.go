package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

func TestAHaulThatWasKilledInTheMiddleIsFinishedAfterTheRestart(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	inTheMiddle, gone := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(gone) })
	t.Cleanup(letGo)
	s.registry.Break(stuckUploads(inTheMiddle, gone))

	result := s.build(t, "//...")
	select {
	case <-inTheMiddle:
	case <-time.After(pushLimit):
		t.Fatal("no layer is being uploaded")
	}
	s.daemon.Kill()
	letGo()
	s.registry.Break(nil)
	s.daemon.Start(t)

	s.daemon.WaitPushed(t, result.Invocation, pushLimit)
	rows := byTarget(t, s.daemon.Ledger(t, ledger.Query{Invocation: result.Invocation}))
	for _, target := range []string{"//:push_prod", "//:push_staging"} {
		row := wantPushed(t, rows, target)
		rig.Unpack(t, rig.PullImage(t, reference(row)), rig.TempDir(t))
	}
	if len(rows) != 2 {
		t.Errorf("the ledger has %d rows: %s", len(rows), outcomes(rows))
	}
}

// stuckUploads lets the first bytes of each upload pass and then no more, until
// the client is gone: a server does not see that while it does not read. It
// closes started when the first upload is stuck.
func stuckUploads(started chan<- struct{}, gone <-chan struct{}) rig.Fault {
	begin := sync.OnceFunc(func() { close(started) })
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.ContentLength > 0 && strings.Contains(r.URL.Path, "/blobs/uploads/") {
			r.Body = &stuckBody{ReadCloser: r.Body, begin: begin, gone: gone}
		}
		next.ServeHTTP(w, r)
	}
}

type stuckBody struct {
	io.ReadCloser

	begin func()
	gone  <-chan struct{}
	begun bool
}

func (b *stuckBody) Read(data []byte) (int, error) {
	if !b.begun {
		b.begun = true
		return b.ReadCloser.Read(data[:min(len(data), 16)])
	}
	b.begin()
	<-b.gone
	return 0, io.ErrUnexpectedEOF
}
