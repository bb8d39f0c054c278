package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/pushspec"
)

// Each team's token is for its own repository: that of the other is no source of mounts.
func TestTeamsThatShareALayerPushWithTheirOwnTokens(t *testing.T) {
	t.Parallel()
	for name, refuses := range map[string]bool{"the other repository is left out of the token": false, "no token with the other repository": true} {
		t.Run(name, func(t *testing.T) {
			tokens := rig.StartTokenService(t, time.Hour)
			var pushed atomic.Bool
			tokens.Grants = func(scope string) bool { return strings.HasSuffix(scope, ",push") || pushed.Load() }
			tokens.RefusesScopes = refuses
			cache, target := rig.StartBazelRemote(t), rig.StartTokenRegistry(t, tokens)
			proxy := rig.StartProxy(t, target.Host)
			shared := faultyNoise(1, 3<<20)
			h := hauler(t, cache.GRPC, knownUser{Username: tokens.User, Password: tokens.Password})
			var specs []*pushspec.Spec
			for _, team := range []string{"team-a/app", "team-b/app", "team-c/app"} {
				spec := faultyImage(t, cache, proxy.Host, team, "v1", shared, []byte(team))
				haulAll(t, h, []*pushspec.Spec{spec})
				specs = append(specs, spec)
			}
			pushed.Store(true)
			for _, spec := range specs {
				wantTagged(t, target.Host, tokens, spec)
			}
			mounts := 0
			for _, r := range proxy.Requests() {
				if from := r.URL.Query().Get("from"); from != "" && !strings.HasPrefix(r.URL.Path, "/v2/"+from+"/") {
					mounts++
				}
			}
			// The second team's, and that of the third: each may be asked for twice, with
			// the token that the registry itself asked for.
			if mounts > 4 {
				t.Errorf("%d mounts were asked for, want the refused source to be remembered", mounts)
			}
		})
	}
}

// late carries a request out, and loses the answer.
func late(status int) rig.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(status)
	}
}

// refused reads a request, and refuses it.
func refused(status int) rig.Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
	}
}

func TestImagesArriveWhereWhatIsOptionalIsRefused(t *testing.T) {
	t.Parallel()
	upload := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") && r.ContentLength > 0
	}
	const size = 5<<20 + 3
	for name, c := range map[string]struct {
		hits  func(r *http.Request) bool
		fault rig.Fault
		// most is how many times the layer's bytes may be sent, for two images.
		most int64
		once bool
	}{
		"mounts, 400":           {func(r *http.Request) bool { return r.URL.Query().Has("mount") }, refused(400), 2, false},
		"mounts, 404":           {func(r *http.Request) bool { return r.URL.Query().Has("mount") }, refused(404), 2, false},
		"mounts, 502":           {func(r *http.Request) bool { return r.URL.Query().Has("mount") }, refused(502), 2, false},
		"HEAD, 405":             {func(r *http.Request) bool { return r.Method == http.MethodHead }, refused(405), 1, false},
		"HEAD, 403":             {func(r *http.Request) bool { return r.Method == http.MethodHead }, refused(403), 1, false},
		"bytes in a PUT, 405":   {upload, refused(405), 2, false},
		"bytes in a PUT, 404":   {upload, refused(404), 2, false},
		"requests over 1 MiB":   {func(r *http.Request) bool { return r.ContentLength > 1<<20 }, refused(413), 2, false},
		"the answer to a layer": {upload, late(504), 1, false},
		"the answer to a tag": {func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v1")
		}, late(502), 1, false},
		"the first of each layer": {func(r *http.Request) bool { return upload(r) && r.ContentLength > 1<<20 }, refused(500), 2, true},
	} {
		for kind, start := range realRegistries {
			t.Run(name+" by "+kind, func(t *testing.T) {
				cache, target := rig.StartBazelRemote(t), start(t)
				proxy := rig.StartProxy(t, target.Host)
				var hits atomic.Int64
				proxy.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					if c.hits(r) && (hits.Add(1) == 1 || !c.once) {
						c.fault(w, r, next)
						return
					}
					next.ServeHTTP(w, r)
				})
				h := faultyHauler(t, cache.GRPC)
				shared := faultyNoise(1, size)
				var specs []*pushspec.Spec
				for _, repository := range []string{"acme/a", "acme/b"} {
					spec := faultyImage(t, cache, proxy.Host, repository, "v1", shared, []byte(repository))
					haulAll(t, h, []*pushspec.Spec{spec})
					specs = append(specs, spec)
				}
				for _, spec := range specs {
					wantThere(t, target.Host, spec)
				}
				var sent int64
				for _, r := range proxy.Requests() {
					sent += r.Sent
				}
				if limit := c.most*size + 1<<20; sent > limit || hits.Load() == 0 {
					t.Errorf("%d bytes were sent for a layer of %d, want at most %d; %d requests went wrong", sent, size, limit, hits.Load())
				}
			})
		}
	}
}
