// Package httpserver makes HTTP servers that strangers may reach. A server answers to
// its own names only, and gives up on clients that neither send nor read.
package httpserver

import (
	"crypto/tls"
	"net/http"
	"time"
)

// defaultStall is how long a client may stall before it is given up.
const defaultStall = 30 * time.Second

const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// Options are the options of a server. All may be zero.
type Options struct {
	// Listen is the address that was configured, HOST:PORT. Its host is a name of the
	// server.
	Listen string
	// Names are more names and addresses of the server, without ports.
	Names []string
	// TLS is the server's certificate, and what it asks of clients. Nil is plaintext.
	TLS *tls.Config
	// Stall is how long a client may stall, 30 seconds by default.
	Stall time.Duration
}

// New makes a server. Its handlers read bodies, and write answers, that a client which
// stalls ends with [os.ErrDeadlineExceeded].
func New(handler http.Handler, options Options) *http.Server {
	if options.Stall == 0 {
		options.Stall = defaultStall
	}
	return &http.Server{
		Handler:           patient(options.Stall, answersTo(newNames(options.Listen, options.Names), handler)),
		TLSConfig:         options.TLS,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// A stream's deadline does not help where the whole connection is stuck.
		HTTP2: &http.HTTP2Config{SendPingTimeout: options.Stall, WriteByteTimeout: options.Stall},
	}
}
