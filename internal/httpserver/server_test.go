package httpserver_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/certpool"
	"github.com/drayage/drayage/internal/certpool/certtest"
	"github.com/drayage/drayage/internal/httpserver"
)

// serve starts a server on loopback, and gives its address.
func serve(t *testing.T, handler http.HandlerFunc, options httpserver.Options) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := httpserver.New(handler, options)
	done := make(chan error, 1)
	go func() {
		if options.TLS != nil {
			done <- server.ServeTLS(listener, "", "")
			return
		}
		done <- server.Serve(listener)
	}()
	t.Cleanup(func() {
		check(t, server.Close())
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestAServerAnswersToItsOwnNamesOnly(t *testing.T) {
	served := 0
	address := serve(t, func(http.ResponseWriter, *http.Request) { served++ },
		httpserver.Options{Listen: "Here.example:9091", Names: []string{"drayage.example", "10.1.2.3", "2001:db8::1"}})
	want := 0
	for host, status := range map[string]int{
		address:                     http.StatusOK,
		"localhost:80":              http.StatusOK,
		"[::1]:9091":                http.StatusOK,
		"registry.localhost":        http.StatusOK,
		"here.example":              http.StatusOK,
		"HERE.example.:9091":        http.StatusOK,
		"drayage.example:443":       http.StatusOK,
		"10.1.2.3:9091":             http.StatusOK,
		"[2001:DB8::1]:9091":        http.StatusOK,
		"attacker.example":          http.StatusMisdirectedRequest,
		"attacker.example:9091":     http.StatusMisdirectedRequest,
		"127.0.0.1.attacker.exampl": http.StatusMisdirectedRequest,
		"drayage.example.evil.test": http.StatusMisdirectedRequest,
		"10.1.2.4":                  http.StatusMisdirectedRequest,
		"0.0.0.0:9091":              http.StatusMisdirectedRequest,
		"[::]:9091":                 http.StatusMisdirectedRequest,
		"localhost.attacker.test":   http.StatusMisdirectedRequest,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, http.NoBody)
		check(t, err)
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		text, err := io.ReadAll(response.Body)
		check(t, errors.Join(err, response.Body.Close()))
		if response.StatusCode != status {
			t.Errorf("%s: %s %s, want %d", host, response.Status, text, status)
		}
		if status == http.StatusOK {
			want++
		} else if !strings.Contains(string(text), "add the name to names in the daemon's configuration") {
			t.Errorf("%s: the answer does not say what to do: %s", host, text)
		}
	}
	if served != want {
		t.Errorf("%d requests came through, want %d", served, want)
	}
	// HTTP/1.0 may leave the host out.
	conn, err := net.Dial("tcp", address)
	check(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	check(t, err)
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "421") {
		t.Errorf("without a host: %q, %v", line, err)
	}
}

func TestAServerOnAllAddressesAnswersToTheOneThatWasConnectedTo(t *testing.T) {
	var own string
	addresses, err := net.InterfaceAddrs()
	check(t, err)
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			own = n.IP.String()
		}
	}
	if own == "" {
		t.Skip("this machine has no address besides loopback")
	}
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	check(t, err)
	server := httpserver.New(http.NotFoundHandler(), httpserver.Options{Listen: "0.0.0.0:1"})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	check(t, err)
	for host, want := range map[string]int{own: http.StatusNotFound, "attacker.example": http.StatusMisdirectedRequest, "0.0.0.0": http.StatusMisdirectedRequest} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+net.JoinHostPort(own, port), http.NoBody)
		check(t, err)
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		check(t, response.Body.Close())
		if response.StatusCode != want {
			t.Errorf("%s: %s, want %d", host, response.Status, want)
		}
	}
}

func TestANameIsOneWithoutAPort(t *testing.T) {
	for name, good := range map[string]bool{
		"drayage.example": true, "Drayage.Example": true, "10.0.0.1": true, "2001:db8::1": true, "drayage": true,
		"": false, "drayage.example:443": false, "https://drayage.example": false, "*.example": false, "0.0.0.0": false, "::": false, "[::1]": false, "a b": false,
	} {
		if err := httpserver.CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// stall is short: what is tested is that it ends.
const stall = 400 * time.Millisecond

func TestABodyThatStallsEnds(t *testing.T) {
	cert, key := certtest.SelfSigned(t, "localhost")
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(t, err)
	roots, err := certpool.Read(cert)
	check(t, err)
	for name, security := range map[string]*tls.Config{
		"HTTP/1.1": nil,
		"HTTP/2.0": {Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
				if r.Proto != name {
					t.Errorf("the request is %s", r.Proto)
				}
				_, err := io.Copy(io.Discard, r.Body)
				ended <- err
			}, httpserver.Options{Stall: stall, TLS: security})
			body, sender := io.Pipe()
			defer func() { _ = sender.Close() }()
			url := "http://" + address
			client := &http.Client{Transport: &http.Transport{}}
			if security != nil {
				url = "https://" + address
				client.Transport = &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
			check(t, err)
			go func() {
				response, err := client.Do(request)
				if err == nil {
					err = response.Body.Close()
				}
				_ = sender.CloseWithError(err)
			}()
			_, err = io.WriteString(sender, "and then nothing")
			check(t, err)
			if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the body ended with %v", err)
			}
		})
	}
}

func TestAByteNowAndThenIsNoProgress(t *testing.T) {
	ended := make(chan error, 1)
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}, httpserver.Options{Stall: stall})
	conn, err := net.Dial("tcp", address)
	check(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
	check(t, err)
	every := time.NewTicker(stall / 10)
	defer every.Stop()
	for sent := 0; ; sent++ {
		select {
		case err := <-ended:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the body ended with %v", err)
			}
			return
		case <-every.C:
			if sent > 200 {
				t.Fatalf("%d bytes, one by one, are progress", sent)
			}
			_, _ = conn.Write([]byte("x"))
		}
	}
}

func TestALongRequestThatMakesProgressIsLeftAlone(t *testing.T) {
	ended := make(chan error, 1)
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		// What follows is slow, too: the deadline was the body's.
		select {
		case <-r.Context().Done():
			err = errors.Join(err, r.Context().Err())
		case <-time.After(2 * stall):
		}
		_, _ = fmt.Fprint(w, n)
		ended <- err
	}, httpserver.Options{Stall: stall})
	body, sender := io.Pipe()
	go func() {
		every := time.NewTicker(stall / 10)
		defer every.Stop()
		for range 20 {
			<-every.C
			if _, err := sender.Write(make([]byte, 16<<10)); err != nil {
				return
			}
		}
		_ = sender.Close()
	}()
	response, err := http.Post("http://"+address, "", body)
	check(t, err)
	text, err := io.ReadAll(response.Body)
	check(t, errors.Join(err, response.Body.Close()))
	if err := <-ended; err != nil || string(text) != fmt.Sprint(20*16<<10) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestABodyThatNobodyReadsHoldsNoConnection(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, httpserver.Options{Stall: stall})
	conn, err := net.Dial("tcp", address)
	check(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
	check(t, err)
	check(t, conn.SetReadDeadline(time.Now().Add(100*stall)))
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "403") {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestAnAnswerThatNobodyReadsEnds(t *testing.T) {
	ended := make(chan error, 1)
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				ended <- err
				return
			}
		}
	}, httpserver.Options{Stall: stall})
	conn, err := net.Dial("tcp", address)
	check(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	check(t, err)
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the answer ended with %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
