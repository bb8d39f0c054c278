package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/clock/clocktest"
	"github.com/drayage/drayage/internal/registry"
)

// guarded is a registry that wants the token "good" of a service on its own host, which
// is answered by a function.
func guarded(t *testing.T, service func(s *server, w http.ResponseWriter, r *http.Request)) *server {
	t.Helper()
	return serve(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/token"):
			service(s, w, r)
		case r.Header.Get("Authorization") == "Bearer good":
			w.WriteHeader(http.StatusNotFound)
		default:
			s.notef("refused")
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, s.URL))
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

// A gateway serves repositories under other names than the registry behind it knows.
func TestTheScopeThatARegistryNamesIsAskedFor(t *testing.T) {
	s := serve(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			scopes := strings.Join(r.URL.Query()["scope"], " ")
			s.notef("token for %s", scopes)
			fmt.Fprintf(w, `{"token":%q}`, strings.ReplaceAll(scopes, " ", "+"))
			return
		}
		repository, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
		if r.Header.Get("Authorization") == "Bearer repository:virtual/"+repository+":pull,push" {
			s.notef("served")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		s.notef("refused")
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x",scope="repository:virtual/%s:pull"`, s.URL, repository))
		w.WriteHeader(http.StatusUnauthorized)
	})
	c := client(t, registry.Options{})
	for _, repository := range []string{"acme/app", "acme/app", "acme/two", "acme/two", "acme/app"} {
		if err := head(t, c, s.host, repository); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"refused", "token for repository:virtual/acme/app:pull,push", "served", "served",
		"token for repository:acme/two:pull,push", "refused", "token for repository:virtual/acme/two:pull,push", "served", "served", "served",
	}
	if got := s.noted(); !slices.Equal(got, want) {
		t.Errorf("the registry saw %q, want %q", got, want)
	}
}

func TestATokenLivesAsLongAsItsServiceSaysInWhateverForm(t *testing.T) {
	const start = 1_700_000_000
	issued := func(seconds int64) string { return time.Unix(start+seconds, 0).UTC().Format(time.RFC3339) }
	for _, row := range []struct {
		name, fields string
		date         int64
		// fresh and stale are seconds after which the token is used still, and no more. In
		// the last third of its life it may be renewed.
		fresh, stale int64
	}{
		{"a number", `,"expires_in":300`, 0, 195, 300},
		{"a string", `,"expires_in":"300"`, 0, 195, 300},
		{"a decimal", `,"expires_in":300.9`, 0, 195, 300},
		{"a decimal in a string", `,"expires_in":"300.9"`, 0, 195, 300},
		{"an exponent", `,"expires_in":3e2`, 0, 195, 300},
		{"not at all", ``, 0, 38, 60},
		{"null", `,"expires_in":null`, 0, 38, 60},
		{"nothing", `,"expires_in":0`, 0, 38, 60},
		{"below zero", `,"expires_in":-1`, 0, 38, 60},
		{"nonsense", `,"expires_in":"soon"`, 0, 38, 60},
		{"an object", `,"expires_in":{}`, 0, 38, 60},
		{"without end", `,"expires_in":1e300`, 0, 57000, 86400},
		{"made a while ago", `,"expires_in":300,"issued_at":"` + issued(-200) + `"`, 0, 65, 100},
		{"made a while ago, by a clock that is an hour ahead", `,"expires_in":300,"issued_at":"` + issued(3600-200) + `"`, 3600, 65, 100},
		{"made now, by a clock that is an hour behind", `,"expires_in":300,"issued_at":"` + issued(-3600) + `"`, -3600, 195, 300},
		{"made in the future", `,"expires_in":300,"issued_at":"` + issued(9000) + `"`, 0, 195, 300},
		{"over before it came", `,"expires_in":300,"issued_at":"` + issued(-9000) + `"`, 0, 6, 10},
		{"short", `,"expires_in":5,"issued_at":"` + issued(0) + `"`, 0, 3, 5},
		{"made almost too long ago", `,"expires_in":300,"issued_at":"` + issued(-295) + `"`, 0, 3, 5},
		{"made at no time", `,"expires_in":300,"issued_at":"yesterday"`, 0, 195, 300},
	} {
		t.Run(row.name, func(t *testing.T) {
			var now atomic.Int64
			now.Store(start)
			var tokens atomic.Int32
			s := serve(t, func(s *server, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", time.Unix(now.Load()+row.date, 0).UTC().Format(http.TimeFormat))
				used := r.Header.Get("Authorization")
				switch {
				case r.URL.Path == "/token":
					fmt.Fprintf(w, `{"token":"good-%d"%s}`, tokens.Add(1), row.fields)
				case used != "":
					s.notef("%s", used)
					w.WriteHeader(http.StatusNotFound)
				default:
					w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, s.URL))
					w.WriteHeader(http.StatusUnauthorized)
				}
			})
			c := client(t, registry.Options{Now: func() time.Time { return time.Unix(now.Load(), 0) }})
			for _, at := range []int64{0, row.fresh, row.stale} {
				now.Store(start + at)
				if err := head(t, c, s.host, "acme/app"); err != nil {
					t.Fatal(err)
				}
			}
			used := s.noted()
			if used[0] != "Bearer good-1" || used[1] != used[0] || used[2] == used[0] {
				t.Errorf("the tokens used were %q, want the first one twice", used)
			}
		})
	}
}

const planted = "hunter2-planted"

// scripted are answers of a token service that are no tokens, with what is said of them.
var scripted = []struct {
	name, contentType, body string
	status                  int
	want                    string
}{
	{"a page", "text/html; charset=utf-8", "<!DOCTYPE html><title>" + planted + "</title>", 200, "its answer is an HTML page and not JSON; there may be a proxy or a login page in the way"},
	{"a page that is called JSON", "application/json", "<html>" + planted, 200, "its answer is an HTML page"},
	{"text", "text/plain", planted, 200, "its answer is text/plain and not JSON"},
	{"a kind of its own", planted + "/" + planted, planted, 200, "its answer is not JSON"},
	{"nothing", "application/json", "", 200, "its answer is empty"},
	{"half", "application/json", `{"token":"` + planted, 200, "its answer is not JSON"},
	{"a list", "application/json", `["` + planted + `"]`, 200, "its answer is not JSON"},
	{"no token", "application/json", `{"refresh_token":"` + planted + `"}`, 200, "its answer has neither token nor access_token"},
	{"a token that is a number", "application/json", `{"token":7,"x":"` + planted + `"}`, 200, "its answer has neither token nor access_token"},
	{"a token with a line break", "application/json", `{"token":"` + planted + `\r\nX-Evil: 1"}`, 200, "not fit for an HTTP header"},
	{"an error with 200", "application/json", `{"error":"invalid_grant","error_description":"` + planted + `"}`, 200, "it answers invalid_grant"},
	{"too much", "application/json", `{"token":"` + strings.Repeat(planted, 20_000) + `"}`, 200, "its answer is larger than 64 KiB"},
	{"a refusal", "application/json", `{"errors":[{"code":"DENIED","message":"` + planted + `","detail":"` + planted + `"},{"code":"` + planted + `"}]}`, 403, "refused access (403) when asked with a user name and password: DENIED"},
	{"a refusal by OAuth", "application/json", `{"error":"invalid_client","error_description":"` + planted + `"}`, 400, "answered 400 Bad Request: invalid_client"},
	{"a refusal in text", "text/plain", planted, 401, "refused access (401)"},
	{"trouble", "text/html", "<h1>" + planted + "</h1>", 502, "answered 502 Bad Gateway"},
}

func TestNothingOfATokenServicesAnswerIsToldButWhatItIs(t *testing.T) {
	for _, row := range scripted {
		for _, cred := range []keychain{{Username: "ann", Password: "secret"}, {IdentityToken: "identity"}} {
			t.Run(row.name, func(t *testing.T) {
				s := guarded(t, func(_ *server, w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", row.contentType)
					w.WriteHeader(row.status)
					_, _ = w.Write([]byte(row.body))
				})
				log := &logged{}
				err := head(t, client(t, registry.Options{Keychain: cred, Logger: log.logger()}), s.host, "acme/app")
				want := row.want
				if cred.IdentityToken != "" {
					want = strings.Replace(want, "with a user name and password", "with an identity token", 1)
				}
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "get a token: token service "+s.host+" of registry "+s.host) {
					t.Errorf("got error %v, want one that says %q", err, want)
				}
				for _, text := range []string{fmt.Sprintf("%v %+v", err, err), log.String()} {
					if strings.Contains(text, "hunter2") || len(text) > 100_000 {
						t.Errorf("the service's words are in %.2000q", text)
					}
				}
			})
		}
	}
}

func TestAPauseOfATokenServiceIsTriedShownAndLifted(t *testing.T) {
	for _, lifted := range []bool{false, true} {
		var asked atomic.Int32
		s := guarded(t, func(_ *server, w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) > 1 {
				fmt.Fprint(w, `{"token":"good"}`)
				return
			}
			w.Header().Set("Retry-After", "99999")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		now := clocktest.New()
		c := client(t, registry.Options{Now: now.Now, Wait: now.Wait})
		for range 2 {
			if err := head(t, c, s.host, "acme/app"); err == nil {
				t.Fatal("a token was got from a service that asks for patience")
			}
		}
		status := c.Statuses()[0]
		if status.TokenService != s.host || status.Pause.Answer.Status != http.StatusServiceUnavailable || status.TrialDue || asked.Load() != 1 {
			t.Errorf("after %d requests for a token the status is %+v", asked.Load(), status)
		}
		if lifted {
			if !c.Lift(s.host) {
				t.Error("there was no pause to lift")
			}
		} else {
			now.Pass(time.Minute)
			if !c.Statuses()[0].TrialDue {
				t.Error("no trial is due after a minute")
			}
		}
		if err := head(t, c, s.host, "acme/app"); err != nil || asked.Load() != 2 {
			t.Errorf("then, after %d requests for a token: %v", asked.Load(), err)
		}
		if status := c.Statuses()[0]; status.TokenService != "" || !status.Pause.Until.IsZero() {
			t.Errorf("the pause goes on: %+v", status)
		}
	}
}

func TestATokenServiceThatAsksForPatienceGetsIt(t *testing.T) {
	for _, row := range []struct {
		status  int
		after   string
		longest time.Duration
		good    bool
	}{{429, "7", 7 * time.Second, true}, {503, "7", 7 * time.Second, true}, {429, "900", 0, false}, {429, "999999999", 0, false}, {500, "", 5 * time.Second, true}, {429, "", 5 * time.Second, true}} {
		t.Run(fmt.Sprint(row.status, row.after), func(t *testing.T) {
			var mu sync.Mutex
			now, longest := time.Unix(1_700_000_000, 0), time.Duration(0)
			var asked atomic.Int32
			s := guarded(t, func(_ *server, w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) > 1 {
					fmt.Fprint(w, `{"token":"good"}`)
					return
				}
				if row.after != "" {
					w.Header().Set("Retry-After", row.after)
				}
				w.WriteHeader(row.status)
			})
			c := client(t, registry.Options{
				Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
				Wait: func(_ context.Context, d time.Duration) error {
					mu.Lock()
					defer mu.Unlock()
					longest, now = max(longest, d), now.Add(d)
					return nil
				},
			})
			err := head(t, c, s.host, "acme/app")
			if row.good {
				if err != nil || longest < row.longest && row.after != "" || longest > row.longest || asked.Load() != 2 {
					t.Errorf("got %v after a wait of %s and %d requests for a token", err, longest, asked.Load())
				}
				return
			}
			// Others do not ask either, as long as it has said so.
			for range 3 {
				failed, ok := errors.AsType[*registry.Error](err)
				if !ok || !failed.Throttled() || failed.RetryAfter < 900*time.Second || failed.RetryAfter > 30*time.Minute || longest > 0 {
					t.Errorf("got error %v after a wait of %s", err, longest)
				}
				err = head(t, c, s.host, "acme/other")
			}
			if asked.Load() != 1 {
				t.Errorf("the token service was asked %d times", asked.Load())
			}
		})
	}
}

func TestATokenServiceOnAPrivateAddressCanBeAllowed(t *testing.T) {
	service := serve(t, func(s *server, w http.ResponseWriter, _ *http.Request) {
		s.notef("asked")
		fmt.Fprint(w, `{"token":"good"}`)
	})
	s := serve(t, func(_ *server, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, service.URL))
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	err := head(t, client(t, registry.Options{}), s.host, "acme/app")
	_, ok := errors.AsType[*registry.RealmError](err)
	if !ok || !strings.Contains(err.Error(), service.URL) || !strings.Contains(err.Error(), "token_service") || len(service.noted()) > 0 {
		t.Errorf("got error %v", err)
	}
	for _, other := range []string{"http://127.0.0.1:1", "https" + strings.TrimPrefix(service.URL, "http")} {
		c := client(t, registry.Options{Hosts: map[string]registry.HostOptions{s.host: {TokenService: other}}})
		err := head(t, c, s.host, "acme/app")
		if _, ok := errors.AsType[*registry.RealmError](err); !ok {
			t.Errorf("with another one allowed, %s: got error %v", other, err)
		}
	}
	c := client(t, registry.Options{Hosts: map[string]registry.HostOptions{s.host: {TokenService: service.URL}}})
	if err := head(t, c, s.host, "acme/app"); err != nil || len(service.noted()) != 1 {
		t.Errorf("allowed: got error %v after %q", err, service.noted())
	}
}

func TestARefreshTokenIsTradedAndItsSuccessorIsUsed(t *testing.T) {
	current := "first"
	s := guarded(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		s.notef("%s %s %s %s", r.Method, r.PostForm.Get("grant_type"), r.PostForm.Get("refresh_token"), r.PostForm.Get("scope"))
		if r.PostForm.Get("refresh_token") != current || r.PostForm.Get("service") != "x" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		current += "+"
		fmt.Fprintf(w, `{"access_token":"good","refresh_token":%q}`, current)
	})
	c := client(t, registry.Options{Keychain: keychain{IdentityToken: "first"}})
	for _, repository := range []string{"acme/one", "acme/two", "acme/three"} {
		if err := head(t, c, s.host, repository); err != nil {
			t.Error(err)
		}
	}
	// Somebody logs in again: what was given in the place of the old one is of no use.
	current = "first"
	if err := head(t, c, s.host, "acme/four"); err != nil {
		t.Error(err)
	}
	want := []string{
		"refused", "POST refresh_token first repository:acme/one:pull,push", "POST refresh_token first+ repository:acme/two:pull,push",
		"POST refresh_token first++ repository:acme/three:pull,push", "POST refresh_token first+++ repository:acme/four:pull,push",
		"POST refresh_token first repository:acme/four:pull,push",
	}
	if got := s.noted(); !slices.Equal(got, want) {
		t.Errorf("the service saw %q, want %q", got, want)
	}
}

func TestATokenServiceIsAskedInTheWayThatItHas(t *testing.T) {
	for _, row := range []struct {
		name, has string
		cred      keychain
		want      string
	}{
		{"no POST", http.MethodGet, keychain{IdentityToken: "i", Username: "ann", Password: "secret"}, "POST refresh_token, GET ann"},
		{"no GET", http.MethodPost, keychain{Username: "ann", Password: "secret"}, "GET ann, POST password"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := guarded(t, func(s *server, w http.ResponseWriter, r *http.Request) {
				user, _, _ := r.BasicAuth()
				s.notef("%s %s", r.Method, user+r.PostFormValue("grant_type"))
				if r.Method != row.has {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return
				}
				fmt.Fprint(w, `{"token":"good"}`)
			})
			if err := head(t, client(t, registry.Options{Keychain: row.cred}), s.host, "acme/app"); err != nil {
				t.Error(err)
			}
			if got := strings.Join(s.noted()[1:], ", "); got != row.want {
				t.Errorf("the service saw %q", got)
			}
		})
	}
}

func TestATokenServiceIsFollowedOnItsOwnHostAlone(t *testing.T) {
	other := serve(t, func(s *server, _ http.ResponseWriter, r *http.Request) { s.notef("%s", r.Header.Get("Authorization")) })
	s := guarded(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/token":
			http.Redirect(w, r, "/token/v2?"+r.URL.RawQuery, http.StatusFound)
		default:
			s.notef("%s", r.URL.Query().Get("scope"))
			fmt.Fprint(w, `{"token":"good"}`)
		}
	})
	ann := keychain{Username: "ann", Password: "secret"}
	if err := head(t, client(t, registry.Options{Keychain: ann}), s.host, "acme/app"); err != nil || s.noted()[1] != "repository:acme/app:pull,push" {
		t.Errorf("on its own host: got error %v after %q", err, s.noted())
	}
	s = guarded(t, func(_ *server, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.named()+"/token?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
	})
	err := head(t, client(t, registry.Options{Keychain: ann}), s.host, "acme/app")
	if _, ok := errors.AsType[*registry.RealmError](err); !ok || len(other.noted()) > 0 {
		t.Errorf("to another host: got error %v after %q", err, other.noted())
	}
	s = guarded(t, func(_ *server, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/token", http.StatusFound)
	})
	if err := head(t, client(t, registry.Options{Keychain: ann, Attempts: 1}), s.host, "acme/app"); err == nil || !strings.Contains(err.Error(), "redirects too often") {
		t.Errorf("in a circle: got error %v", err)
	}
}

func TestManyWhoNeedOneTokenCauseOneRequest(t *testing.T) {
	s := guarded(t, func(s *server, w http.ResponseWriter, _ *http.Request) {
		s.notef("token")
		fmt.Fprint(w, `{"token":"good"}`)
	})
	c := client(t, registry.Options{})
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if err := head(t, c, s.host, "acme/app"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if tokens := len(slices.DeleteFunc(s.noted(), func(n string) bool { return n != "token" })); tokens != 1 {
		t.Errorf("%d tokens were fetched", tokens)
	}
}

var _ authn.Keychain = keychain{}
