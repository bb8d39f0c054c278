package httpserver

import (
	"io"
	"net/http"
	"time"
)

// minProgress is what a client must send while it may stall, in bytes, so that one byte
// now and then does not count as progress.
const minProgress = 16 << 10

// patient has deadlines for each request's body and answer, which are renewed with
// progress. A limit for the whole would cut off large layers.
func patient(stall time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.Body != nil && r.Body != http.NoBody {
			// The server itself reads what the handler leaves of a body.
			_ = control.SetReadDeadline(time.Now().Add(stall))
			r.Body = &body{ReadCloser: r.Body, control: control, stall: stall}
		}
		next.ServeHTTP(&answer{ResponseWriter: w, control: control, stall: stall}, r)
		// The server reads what is left of the body, if little is, and then sends what it has
		// buffered of the answer.
		_ = control.SetWriteDeadline(time.Now().Add(2 * stall))
	})
}

// body is a request's body whose sender must not stall.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration

	// waited is how long the last bytes were waited for, and got is how many they are.
	waited time.Duration
	got    int
}

func (b *body) Read(p []byte) (int, error) {
	begun := time.Now()
	// Where deadlines are not supported there is no connection either.
	_ = b.control.SetReadDeadline(begun.Add(b.stall - b.waited))
	n, err := b.ReadCloser.Read(p)
	b.waited, b.got = b.waited+time.Since(begun), b.got+n
	if b.got >= minProgress {
		b.waited, b.got = 0, 0
	}
	if err == io.EOF {
		// The server goes on reading, to learn whether the client is still there.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// answer is a response whose reader must not stall.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

func (a *answer) Write(p []byte) (int, error) {
	_ = a.control.SetWriteDeadline(time.Now().Add(a.stall))
	return a.ResponseWriter.Write(p)
}
