package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// traffic is what went through the proxy.
type traffic struct {
	// requests are counted by kind.
	requests map[string]int
	bytesUp  int64
	// shared counts the uploads of each shared blob that were finished.
	shared map[string]int
	// lookups counts the requests that asked for a shared blob itself.
	lookups int
	failed  int
}

func (t traffic) total() int {
	n := 0
	for _, count := range t.requests {
		n += count
	}
	return n
}

// kinds lists the requests by kind.
func (t traffic) kinds() string {
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(t.requests)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, t.requests[kind]))
	}
	return strings.Join(kinds, ", ")
}

// proxy counts what passes on its way to a registry.
type proxy struct {
	address string
	server  *http.Server
	shared  map[string]bool

	bytesUp atomic.Int64

	mu   sync.Mutex
	seen traffic
}

func startProxy(target string, shared map[string]bool) (*proxy, error) {
	p := &proxy{shared: shared}
	p.reset()
	transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10}
	reverse := &httputil.ReverseProxy{
		// The host stays, so that the registry's locations lead back here.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host
		},
		Transport: transport,
		ModifyResponse: func(resp *http.Response) error {
			p.answered(resp)
			return nil
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.address = listener.Addr().String()
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.count(r)
		r.Body = &countedBody{ReadCloser: r.Body, proxy: p}
		reverse.ServeHTTP(w, r)
	})}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

func (p *proxy) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = p.server.Shutdown(ctx)
}

// reset starts to count anew and gives what was counted.
func (p *proxy) reset() traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	seen.bytesUp = p.bytesUp.Swap(0)
	p.seen = traffic{requests: map[string]int{}, shared: map[string]int{}}
	seen.requests = maps.Clone(seen.requests)
	return seen
}

func (p *proxy) count(r *http.Request) {
	kind := r.Method
	switch {
	case strings.Contains(r.URL.Path, "/manifests/"):
		kind += " manifest"
	case r.Method == http.MethodPost && r.URL.Query().Get("mount") != "":
		kind += " mount"
	case strings.Contains(r.URL.Path, "/blobs/"):
		kind += " blob"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.requests[kind]++
	if r.Method == http.MethodHead && p.shared[path.Base(r.URL.Path)] {
		p.seen.lookups++
	}
}

func (p *proxy) answered(resp *http.Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if digest := resp.Request.URL.Query().Get("digest"); resp.StatusCode == http.StatusCreated && p.shared[digest] {
		p.seen.shared[digest]++
	}
	if resp.StatusCode >= 400 && resp.StatusCode != http.StatusNotFound {
		p.seen.failed++
	}
}

type countedBody struct {
	io.ReadCloser
	proxy *proxy
}

func (b *countedBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	b.proxy.bytesUp.Add(int64(n))
	return n, err
}
