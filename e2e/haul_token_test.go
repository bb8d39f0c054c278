package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/pushspec"
)

// knownUser is a keychain that knows one user everywhere.
type knownUser authn.AuthConfig

func (k knownUser) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(k)), nil
}

// Tokens live for 5 s, a layer takes longer, and now and then one is refused when
// half of an upload is through.
func TestImagesArriveWithTokensThatEndDuringUploads(t *testing.T) {
	t.Parallel()
	const size = 12 << 20
	tokens := rig.StartTokenService(t, 5*time.Second)
	cache, target := rig.StartBazelRemote(t), rig.StartTokenRegistry(t, tokens)
	proxy := rig.StartProxy(t, target.Host)
	slow := rig.Slow(2 << 20)
	var refused, expired atomic.Int64
	proxy.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if tokens.Expired(r) {
			expired.Add(1)
		}
		if r.Method == http.MethodPut && r.ContentLength == size && refused.Add(1) <= 2 {
			_, _ = io.CopyN(io.Discard, r.Body, size/2)
			w.Header().Set("Www-Authenticate", tokens.Challenge())
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		slow(w, r, next)
	})
	var specs []*pushspec.Spec
	for i := range 3 {
		specs = append(specs, faultyImage(t, cache, proxy.Host, fmt.Sprintf("acme/app-%d", i), "v1", faultyNoise(byte(20+i), size)))
	}
	haulAll(t, hauler(t, cache.GRPC, knownUser{Username: tokens.User, Password: tokens.Password}), specs)
	if expired.Load() > 0 {
		t.Errorf("%d requests came with a token that was over", expired.Load())
	}
	if refused.Load() < 3 {
		t.Errorf("%d uploads began, want at least two that were refused and one that was not", refused.Load())
	}
	if tokens.Issued() < 4 {
		t.Errorf("%d tokens were issued, want some to be renewed", tokens.Issued())
	}
	proxy.Break(nil)
	var sent int64
	for _, r := range proxy.Requests() {
		sent += r.Sent
	}
	if limit := int64(5 * size); sent > limit { // three layers, two of them once more in half, and what was on its way then
		t.Errorf("%d bytes were sent for layers of %d", sent, 3*size)
	}
	for _, spec := range specs {
		wantTagged(t, target.Host, tokens, spec)
	}
}

// wantTagged asks a registry that wants tokens for the image under its tag.
func wantTagged(t *testing.T, host string, tokens *rig.TokenService, spec *pushspec.Spec) {
	t.Helper()
	head, err := describeRemote(t, host+"/"+spec.Destination.Repository+":"+spec.Destination.Tags[0],
		authn.FromConfig(authn.AuthConfig{Username: tokens.User, Password: tokens.Password}))
	check(t, err)
	if head.Digest != spec.Root {
		t.Errorf("%s: the tag points to %s, want %s", spec.Target, head.Digest, spec.Root)
	}
}
