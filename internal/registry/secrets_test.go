package registry_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/clock/clocktest"
	"github.com/drayage/drayage/internal/registry"
)

// What a server is sent it may send back, wherever it likes.
func TestSecretsThatARegistryRepeatsAreToldToNobody(t *testing.T) {
	for scheme, token := range map[string]string{"basic": repeatedPassword, "bearer": "hunter2-token"} {
		for name, answer := range repeating(t, token) {
			t.Run(name+", "+scheme, func(t *testing.T) {
				s := serve(t, func(s *server, w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/token" {
						fmt.Fprintf(w, `{"token":%q}`, token)
						return
					}
					if r.Header.Get("Authorization") == "" {
						w.Header().Set("WWW-Authenticate", map[string]string{"basic": "Basic", "bearer": fmt.Sprintf(`Bearer realm="%s/token"`, s.URL)}[scheme])
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					answer(w)
				})
				log := &logged{}
				c := client(t, registry.Options{Keychain: keychain{Username: "ann", Password: repeatedPassword}, Logger: log.logger(), Attempts: 2})
				repo, err := c.Repository(s.host, "acme/app", registry.Caller{})
				if err != nil {
					t.Fatal(err)
				}
				_, digest := noise(1, 100)
				var failures []error
				_, _, _, err = repo.Manifest(t.Context(), "v1", 1<<20)
				failures = append(failures, err)
				_, _, err = repo.Tags(t.Context(), 10)
				failures = append(failures, err)
				_, err = repo.PutManifest(t.Context(), "v1", "application/json", []byte("{}"))
				failures = append(failures, err)
				_, err = repo.Start(t.Context(), digest, 100, "")
				failures = append(failures, err)
				_, err = repo.ReadBlob(t.Context(), digest, 0)
				failures = append(failures, err)
				for _, err := range failures {
					if err == nil {
						t.Error("one of the requests went well")
						continue
					}
					for at := err; at != nil; at = errors.Unwrap(at) {
						_, lasting := at.(interface{ Lasting() bool })
						if _, told := errors.AsType[*registry.Error](at); lasting && !told {
							break // what is wrapped is for the program, and not printed
						}
						if text := fmt.Sprintf("%v", at); strings.Contains(text, "hunter2") || strings.Contains(text, repeatedBasic) {
							t.Errorf("an error says %q", text)
						}
					}
				}
				if text := log.String(); strings.Contains(text, "hunter2") || strings.Contains(text, repeatedBasic) || text == "" {
					t.Errorf("the log says %q", text)
				}
			})
		}
	}
}

// raw answers with bytes of its own, and ends the connection.
func raw(w http.ResponseWriter, answer string) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	connection, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	_, _ = io.WriteString(connection, answer)
}

func TestANameThatDoesNotResolveIsFinalOnceThatLasts(t *testing.T) {
	clock := clocktest.New()
	lookup := &net.DNSError{Err: "no such host", Name: "nosuch.example", IsNotFound: true}
	transport := &scriptedTransport{err: lookup}
	c := client(t, registry.Options{Transport: transport, Now: clock.Now, Wait: clock.Wait})
	passing := func() bool {
		err := head(t, c, "nosuch.example", "acme/app")
		failed, ok := errors.AsType[*registry.Error](err)
		if !ok || !strings.Contains(err.Error(), "has a name that does not resolve") || !errors.Is(err, error(lookup)) {
			t.Fatalf("got error %v", err)
		}
		return failed.Passing()
	}
	if !passing() {
		t.Error("it is final at once, and a fault of the name servers would have passed")
	}
	_ = clock.Wait(t.Context(), 3*time.Minute)
	if passing() {
		t.Error("it is not final after three minutes")
	}
	lookup.IsNotFound, lookup.IsTemporary = false, true
	if err := head(t, c, "nosuch.example", "acme/app"); err == nil || strings.Contains(err.Error(), "has a name") {
		t.Errorf("got error %v", err)
	}

	c = client(t, registry.Options{Transport: transport, Now: clock.Now, Wait: clock.Wait})
	transport.err = nil
	if err := head(t, c, "nosuch.example", "acme/app"); err != nil {
		t.Fatal(err)
	}
	lookup.IsNotFound = true
	transport.err = lookup
	for range 3 {
		if !passing() {
			t.Error("a name that has resolved before is given up")
		}
		_ = clock.Wait(t.Context(), 3*time.Minute)
	}
}

// scriptedTransport fails, or finds nothing.
type scriptedTransport struct{ err error }

func (s *scriptedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.err != nil {
		return nil, s.err
	}
	return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: r}, nil
}

const repeatedPassword = "hunter2-password"

var repeatedBasic = base64.StdEncoding.EncodeToString([]byte("ann:" + repeatedPassword))

// repeating are answers in which a server repeats a password and a token.
func repeating(t *testing.T, token string) map[string]func(w http.ResponseWriter) {
	t.Helper()
	const password = repeatedPassword
	echo := fmt.Sprintf("password %s basic %s token %s", password, repeatedBasic, token)
	quoted, err := json.Marshal(echo)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(w http.ResponseWriter){
		"an error": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"errors":[{"code":%s,"message":%s,"detail":{"header":%s}}]}`, quoted, quoted, quoted)
		},
		"a refusal": func(w http.ResponseWriter) {
			w.Header().Set("WWW-Authenticate", `Bearer error="`+echo+`"`)
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"message":%s}`, quoted)
		},
		"text": func(w http.ResponseWriter) { http.Error(w, echo, http.StatusInternalServerError) },
		"a page": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprintf(w, "<title>%s</title>", echo)
		},
		"storage": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", echo)
		},
		"a location": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://"+token+".example/"+token+"?password="+password)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"a location with a user": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://ann:"+password+"@elsewhere.example/")
			w.WriteHeader(http.StatusFound)
		},
		"a retry": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", password)
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"a realm": func(w http.ResponseWriter) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://10.0.0.1/%s?%s",service=%q,scope=%q`, password, password, password, password))
			w.WriteHeader(http.StatusUnauthorized)
		},
		"a realm that is none": func(w http.ResponseWriter) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s://%s"`, password, token))
			w.WriteHeader(http.StatusUnauthorized)
		},
		"no HTTP": func(w http.ResponseWriter) { raw(w, "HTTP/1.1 "+password+"\r\n\r\n") },
		"headers that are none": func(w http.ResponseWriter) {
			raw(w, "HTTP/1.1 200 OK\r\n"+password+"\r\n\r\n")
		},
		"a reason": func(w http.ResponseWriter) { raw(w, "HTTP/1.1 500 "+password+"\r\nContent-Length: 0\r\n\r\n") },
	}
}
