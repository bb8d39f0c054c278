package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

var soakImages = flag.Int("soak", 5, "how many images are pushed to each registry that answers wrongly")

// soakLimit bounds how long the pushes of one soak may take: some answers make the
// daemon ask for less at once.
const soakLimit = 45 * time.Minute

// A registry that answers every kind of request wrongly one time in ten gets every
// image whole, with what it comes with, and no tag before that.
func TestSoakThroughARegistryThatAnswersWrongly(t *testing.T) {
	t.Parallel()
	for name, start := range realRegistries {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time is waits
			cache, registry := rig.StartBazelRemote(t), start(t)
			front := rig.StartProxy(t, registry.Host)
			d := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, More: map[string]any{"log": map[string]any{"level": "warn"}}})
			f := rig.NewFleet(t, cache, rig.FleetPlan{
				Invocation: "soak", Registry: front.Host, Images: *soakImages, Repositories: 7,
				Shared: 256 << 10, Own: 64 << 10, OwnEvery: 2, Referrers: []string{"application/spdx+json", "application/x.signature"},
			})
			wrong := &wrongAnswers{fleet: f, registry: registry.Host, dice: rand.New(rand.NewPCG(12, 12)), stall: time.Second, done: map[string]int{}, cursed: map[string]int{}}
			if *soakImages > 100 {
				wrong.stall = 90 * time.Second // longer than anybody waits
			}
			front.Break(wrong.answer)
			ctx, cancel := context.WithTimeout(t.Context(), soakLimit)
			defer cancel()
			if outcome := f.Upload(d).Run(ctx); outcome.Exit != bestest.ExitOK {
				t.Fatalf("Bazel ends with %d: %v", outcome.Exit, outcome.Err)
			}
			d.WaitPushed(t, f.Invocation, soakLimit)
			checkFleet(t, f, registry.Host, allRows(t, d, ledger.Query{Invocation: f.Invocation}))
			for _, image := range f.Images {
				if err := whole(t.Context(), registry.Host, image); err != nil {
					t.Errorf("%s: %v", image.Target, err)
				}
			}
			wrong.report(t)
		})
	}
}

// whole looks in a registry for all that an image's spec has but its tags.
func whole(ctx context.Context, registry string, image rig.FleetImage) error {
	base := "http://" + registry + "/v2/" + image.Repository
	var failures []error
	for _, m := range image.Spec.Manifests {
		if err := there(ctx, base+"/manifests/"+m.Digest.String(), string(m.MediaType)); err != nil {
			failures = append(failures, err)
		}
	}
	for _, blob := range image.Spec.Blobs {
		if err := there(ctx, base+"/blobs/"+blob.Digest.String(), ""); err != nil {
			failures = append(failures, err)
		}
	}
	listed, err := fetch(ctx, base+"/manifests/"+strings.ReplaceAll(image.Digest, ":", "-"))
	if err != nil {
		return errors.Join(append(failures, err)...)
	}
	var index struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(listed, &index); err != nil {
		return fmt.Errorf("index of referrers: %w", err)
	}
	if want := len(image.Spec.Manifests) - 1; len(index.Manifests) != want {
		failures = append(failures, fmt.Errorf("%d referrers are listed, want %d", len(index.Manifests), want))
	}
	return errors.Join(failures...)
}

func there(ctx context.Context, url, mediaType string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", mediaType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/vnd.oci.image.index.v1+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	return io.ReadAll(response.Body)
}

// wrongAnswers answer one request in ten wrongly.
type wrongAnswers struct {
	fleet    *rig.Fleet
	registry string
	// stall is how long a request hangs that hangs.
	stall time.Duration

	mu   sync.Mutex
	dice *rand.Rand
	done map[string]int // by kind of answer and of request
	// cursed is how often requests are still to fail, by their method and path.
	cursed map[string]int
	// early are the tags that were written before all else was there.
	early []string
}

var taggedImage = regexp.MustCompile(`^app(\d+)-`)

func (a *wrongAnswers) answer(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.URL.Path == "/token" {
		_, _ = io.WriteString(w, `{"token":"given-by-the-front","expires_in":300}`)
		return
	}
	a.checkOrder(r)
	switch kind := a.roll(r); kind {
	case "":
		next.ServeHTTP(w, r)
	case "503", "500", "504":
		var status int
		_, _ = fmt.Sscan(kind, &status)
		w.WriteHeader(status)
	case "429":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case "401":
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="front"`)
		w.WriteHeader(http.StatusUnauthorized)
	case "504 when it is done":
		next.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(http.StatusGatewayTimeout)
	case "reset when it is done":
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case "wrong body":
		right := httptest.NewRecorder()
		next.ServeHTTP(right, r)
		for name, values := range right.Header() {
			if name != "Content-Length" {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(right.Code)
		_, _ = io.WriteString(w, "<html>Sign in to the guest network</html>")
	case "stall":
		timer := time.NewTimer(a.stall)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	default:
		panic(http.ErrAbortHandler)
	}
}

// roll decides what goes wrong with a request, if anything.
func (a *wrongAnswers) roll(r *http.Request) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	// Now and then one fails as often as it is tried, so that the attempt fails.
	key := r.Method + " " + r.URL.Path
	if a.cursed[key] == 0 && a.dice.IntN(60) == 0 {
		a.cursed[key] = 6
	}
	if a.cursed[key] > 0 {
		if a.cursed[key]--; a.cursed[key] == 0 {
			a.cursed[key] = -1 // no more
		}
		a.done["500 again and again to "+requestKind(r)]++
		return "500"
	}
	if a.dice.IntN(10) > 0 {
		return ""
	}
	kinds := []string{"503", "429", "500", "504", "reset", "401", "wrong body", "stall", "504 when it is done", "reset when it is done"}
	kind := kinds[a.dice.IntN(len(kinds))]
	a.done[kind+" to "+requestKind(r)]++
	return kind
}

func requestKind(r *http.Request) string {
	for _, part := range []string{"manifests", "uploads", "blobs", "referrers", "tags"} {
		if strings.Contains(r.URL.Path, "/"+part+"/") {
			return r.Method + " " + part
		}
	}
	return r.Method
}

// checkOrder looks, before a tag is written, whether all that it leads to is there.
func (a *wrongAnswers) checkOrder(r *http.Request) {
	tag := path.Base(r.URL.Path)
	found := taggedImage.FindStringSubmatch(tag)
	if r.Method != http.MethodPut || found == nil {
		return
	}
	var i int
	_, _ = fmt.Sscan(found[1], &i)
	if err := whole(r.Context(), a.registry, a.fleet.Images[i]); err != nil && r.Context().Err() == nil {
		a.mu.Lock()
		a.early = append(a.early, fmt.Sprintf("%s: %v", tag, err))
		a.mu.Unlock()
	}
}

func (a *wrongAnswers) report(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	total := 0
	for _, n := range a.done {
		total += n
	}
	t.Logf("%d answers were wrong: %v", total, a.done)
	if total < len(a.fleet.Images) {
		t.Errorf("only %d answers were wrong for %d images: the front does not do what it should", total, len(a.fleet.Images))
	}
	for _, tag := range a.early {
		t.Errorf("a tag was written before all of its image was there: %s", tag)
	}
}
