package rig

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy stands in front of an HTTP server, a registry above all: it records
// every request, and can be told to do wrong.
type Proxy struct {
	// Host is its HOST:PORT.
	Host string

	fault atomic.Pointer[Fault]

	mu       sync.Mutex
	requests []Request
}

// Request is a request that was answered.
type Request struct {
	Method string
	URL    *url.URL
	Header http.Header
	Status int
	// Sent and Received are the lengths of the bodies of the request and of the
	// answer.
	Sent, Received int64
	Began          time.Time
	Took           time.Duration
}

// Fault answers a request in place of the proxy. It may call next for the
// server's answer, before or after it does something of its own; it may also
// panic with [http.ErrAbortHandler] to cut the connection.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// StartProxy starts a proxy to the server at host.
func StartProxy(t T, host string) *Proxy {
	t.Helper()
	p := &Proxy{}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	next := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", host
			// The server names itself in redirects as the client named the proxy.
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // a server that is gone looks gone
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, next) }))
	p.Host = server.Listener.Addr().String()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// Break sets the fault that answers from now on; nil mends the proxy.
func (p *Proxy) Break(fault Fault) {
	if fault == nil {
		p.fault.Store(nil)
		return
	}
	p.fault.Store(&fault)
}

// Requests are the requests so far, in the order of their answers.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Reset forgets the requests so far.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body := &countingBody{ReadCloser: r.Body}
	r.Body = body
	answer := &recorder{ResponseWriter: w, status: http.StatusOK}
	record := Request{Method: r.Method, URL: r.URL, Header: r.Header.Clone(), Began: time.Now()}
	defer func() {
		record.Status, record.Sent, record.Received = answer.status, body.count.Load(), answer.count
		record.Took = time.Since(record.Began)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.requests = append(p.requests, record)
	}()
	if fault := p.fault.Load(); fault != nil {
		(*fault)(answer, r, next)
		return
	}
	next.ServeHTTP(answer, r)
}

// Slow is a fault that lets request bodies pass at a number of bytes a second.
func Slow(bytesPerSecond int) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Body = &slowBody{ReadCloser: r.Body, ctx: r.Context(), rate: bytesPerSecond}
		next.ServeHTTP(w, r)
	}
}

type slowBody struct {
	io.ReadCloser

	ctx  context.Context
	rate int
}

func (b *slowBody) Read(data []byte) (int, error) {
	const slices = 20 // a second
	n, err := b.ReadCloser.Read(data[:min(len(data), max(1, b.rate/slices))])
	timer := time.NewTimer(time.Duration(n) * time.Second / time.Duration(b.rate))
	defer timer.Stop()
	select {
	case <-b.ctx.Done():
		return n, b.ctx.Err()
	case <-timer.C:
		return n, err
	}
}

// countingBody counts while another goroutine may still read.
type countingBody struct {
	io.ReadCloser

	count atomic.Int64
}

func (b *countingBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	b.count.Add(int64(n))
	return n, err
}

type recorder struct {
	http.ResponseWriter

	status int
	count  int64
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(data []byte) (int, error) {
	n, err := r.ResponseWriter.Write(data)
	r.count += int64(n)
	return n, err
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
