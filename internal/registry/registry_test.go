package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

// at is the content of an upload that counts how it is read.
type at struct {
	data []byte

	mu    sync.Mutex
	opens []int64
	read  int64
}

func (c *at) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opens = append(c.opens, offset)
	return &counted{bytes.NewReader(c.data[offset:]), c}, nil
}

type counted struct {
	*bytes.Reader
	of *at
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.read += int64(n)
	return n, err
}

func (c *counted) Close() error { return nil }

func noise(seed byte, n int) ([]byte, v1.Hash) {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	return data, digest
}

func noWait(context.Context, time.Duration) error { return nil }

type keychain authn.AuthConfig

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(k)), nil
}

func repository(t *testing.T, fake *registrytest.Registry, opts registry.Options) *registry.Repository {
	t.Helper()
	if opts.Keychain == nil {
		opts.Keychain = authn.NewMultiKeychain()
	}
	if opts.Wait == nil {
		opts.Wait = noWait
	}
	client := registry.New(opts)
	t.Cleanup(client.Close)
	repo, err := client.Repository(fake.Host, "acme/app", registry.Caller{Invocation: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func push(t *testing.T, repo *registry.Repository, digest v1.Hash, content *at) (int64, error) {
	t.Helper()
	upload, err := repo.Start(t.Context(), digest, int64(len(content.data)), "")
	if err != nil {
		return 0, err
	}
	return upload.Put(t.Context(), content)
}

func TestABlobCostsTwoRequests(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	data, digest := noise(1, 3<<20)
	if _, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data}); err != nil {
		t.Fatal(err)
	}
	if fake.Total() != 2 || !fake.HasBlob("acme/app", digest.String()) {
		t.Errorf("the requests were %v, and the blob is there: %t", fake.Requests(), fake.HasBlob("acme/app", digest.String()))
	}
}

func TestABrokenUploadGoesOnWhereItWas(t *testing.T) {
	var cuts atomic.Int32
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut && cuts.Add(1) <= 3 {
			return &registrytest.Fault{After: 3 << 20}
		}
		return nil
	}})
	data, digest := noise(2, 16<<20)
	content := &at{data: data}
	if _, err := push(t, repository(t, fake, registry.Options{}), digest, content); err != nil {
		t.Fatal(err)
	}
	if !fake.HasBlob("acme/app", digest.String()) {
		t.Error("the blob did not arrive")
	}
	if len(content.opens) != 4 || content.opens[3] < 8<<20 {
		t.Errorf("the content was opened at %v; want four times, the last one beyond 8 MiB", content.opens)
	}
	// At each cut at most a MiB of hashing, and what was under way.
	if content.read > int64(len(data))+3*(8<<20) {
		t.Errorf("%d bytes were read for a blob of %d", content.read, len(data))
	}
}

func TestAnUploadStartsAgainWhereItCannotGoOn(t *testing.T) {
	var cuts atomic.Int32
	fake := registrytest.Start(t, registrytest.Rules{NoResume: true, Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut && cuts.Add(1) <= 2 {
			return &registrytest.Fault{After: 1 << 20}
		}
		return nil
	}})
	data, digest := noise(3, 4<<20)
	content := &at{data: data}
	if _, err := push(t, repository(t, fake, registry.Options{}), digest, content); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(content.opens) != "[0 0 0]" || !fake.HasBlob("acme/app", digest.String()) {
		t.Errorf("the content was opened at %v", content.opens)
	}
}

func TestUploadsComeInChunksWhereTheyHaveTo(t *testing.T) {
	var cut atomic.Bool
	fake := registrytest.Start(t, registrytest.Rules{MaxChunk: 1 << 20, Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPatch && strings.HasPrefix(r.Header.Get("Content-Range"), "2097152-") && cut.CompareAndSwap(false, true) {
			return &registrytest.Fault{After: 500_000}
		}
		return nil
	}})
	data, digest := noise(9, 5<<20+3)
	repo := repository(t, fake, registry.Options{Quirks: map[string]registry.Quirks{fake.Host: {Chunk: 1 << 20}}})
	if _, err := push(t, repo, digest, &at{data: data}); err != nil {
		t.Fatal(err)
	}
	if !fake.HasBlob("acme/app", digest.String()) {
		t.Errorf("the blob did not arrive in %v", fake.Requests())
	}
}

func TestWrongBytesAreNotFinished(t *testing.T) {
	for _, size := range []int{10, 5 << 20} {
		fake := registrytest.Start(t, registrytest.Rules{})
		data, digest := noise(4, size)
		data[size/3] ^= 1
		_, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data})
		mismatch, ok := errors.AsType[*registry.MismatchError](err)
		if !ok || mismatch.Want != digest {
			t.Errorf("%d bytes: got error %v, want a mismatch", size, err)
		}
		if finished := fake.Received()[digest.String()]; finished != 0 {
			t.Errorf("%d bytes: the upload was finished", size)
		}
	}
}

func TestBasicCredentialsAreSentOnceAskedFor(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret"})
	data, digest := noise(5, 1000)
	repo := repository(t, fake, registry.Options{Keychain: keychain{Username: "ann", Password: "secret"}})
	if _, err := push(t, repo, digest, &at{data: data}); err != nil {
		t.Fatal(err)
	}
	if fake.Total() != 3 {
		t.Errorf("the requests were %v, want one more than without authentication", fake.Requests())
	}
}

func TestARefusalSaysWithWhatItWasAsked(t *testing.T) {
	for name, c := range map[string]struct {
		rules registrytest.Rules
		cred  keychain
		want  string
	}{
		"basic":     {registrytest.Rules{User: "ann", Password: "secret"}, keychain{Username: "ann", Password: "hunter2"}, "with a user name and password"},
		"token":     {registrytest.Rules{User: "ann", Password: "secret", TokenLife: time.Minute}, keychain{Username: "ann", Password: "hunter2"}, "with a user name and password"},
		"anonymous": {registrytest.Rules{User: "ann", Password: "secret"}, keychain{}, "anonymously"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, c.rules)
			_, _, err := repository(t, fake, registry.Options{Keychain: c.cred}).Head(t.Context(), "v1")
			refused, ok := errors.AsType[*registry.Error](err)
			if !ok || !refused.Denied() {
				t.Fatalf("got error %v, want a refusal", err)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), fake.Host) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the text %q does not name the registry and %q, or tells the secret", err, c.want)
			}
		})
	}
}

func TestTokensAreKeptAndRenewed(t *testing.T) {
	var now atomic.Int64
	clock := func() time.Time { return time.Unix(1_000_000+now.Load(), 0) }
	fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret", TokenLife: 300 * time.Second, Now: clock})
	repo := repository(t, fake, registry.Options{Keychain: keychain{Username: "ann", Password: "secret"}, Now: clock})
	for second := range int64(20) {
		now.Store(second * 60) // 20 minutes
		if _, _, err := repo.Head(t.Context(), "v1"); err != nil {
			t.Fatal(err)
		}
	}
	if refused := fake.Total() - 20; refused != 1 {
		t.Errorf("%d requests were refused, want the first one alone", refused)
	}
	if fake.Tokens() < 4 || fake.Tokens() > 7 {
		t.Errorf("%d tokens were fetched for 20 minutes, want about one for each 200 s", fake.Tokens())
	}
}

func TestATokenThatEndsDuringAnUploadIsReplaced(t *testing.T) {
	var refused atomic.Bool
	fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret", TokenLife: time.Hour, Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut && refused.CompareAndSwap(false, true) {
			return &registrytest.Fault{Status: http.StatusUnauthorized, After: 2 << 20,
				Header: http.Header{"Www-Authenticate": {`Bearer realm="http://` + r.Host + `/token",service="registrytest"`}}}
		}
		return nil
	}})
	data, digest := noise(6, 8<<20)
	content := &at{data: data}
	repo := repository(t, fake, registry.Options{Keychain: keychain{Username: "ann", Password: "secret"}})
	if _, err := push(t, repo, digest, content); err != nil {
		t.Fatal(err)
	}
	if !fake.HasBlob("acme/app", digest.String()) || fake.Tokens() != 2 {
		t.Errorf("the blob is there: %t; %d tokens were fetched, want 2", fake.HasBlob("acme/app", digest.String()), fake.Tokens())
	}
}

func TestAnUploadSentElsewhereIsNotFollowed(t *testing.T) {
	other := registrytest.Start(t, registrytest.Rules{})
	fake := registrytest.Start(t, registrytest.Rules{UploadHost: other.Host})
	data, digest := noise(7, 1000)
	_, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data})
	elsewhere, ok := errors.AsType[*registry.ElsewhereError](err)
	if !ok || elsewhere.Host != other.Host || other.Total() != 0 {
		t.Errorf("got error %v and %d requests elsewhere, want neither", err, other.Total())
	}
}

func TestRetryAfterIsWaitedForUnlessItIsLong(t *testing.T) {
	for seconds, want := range map[int]bool{3: true, 600: false} {
		var first atomic.Bool
		fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
			if first.CompareAndSwap(false, true) {
				return &registrytest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {fmt.Sprint(seconds)}}}
			}
			return nil
		}})
		var mu sync.Mutex
		var longest time.Duration
		now := time.Unix(1_000_000, 0)
		repo := repository(t, fake, registry.Options{
			Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
			Wait: func(_ context.Context, d time.Duration) error {
				mu.Lock()
				defer mu.Unlock()
				longest, now = max(longest, d), now.Add(d)
				return nil
			}})
		_, _, err := repo.Head(t.Context(), "v1")
		if want && (err != nil || longest < 3*time.Second) {
			t.Errorf("Retry-After %d: got error %v after a wait of %s", seconds, err, longest)
		}
		failed, ok := errors.AsType[*registry.Error](err)
		if !want && (!ok || failed.RetryAfter != 600*time.Second || longest > 0) {
			t.Errorf("Retry-After %d: got error %v after a wait of %s, want it at once", seconds, err, longest)
		}
	}
}

func TestSeveralTagsInOneRequest(t *testing.T) {
	for _, multi := range []bool{true, false} {
		fake := registrytest.Start(t, registrytest.Rules{MultiTag: multi})
		repo := repository(t, fake, registry.Options{})
		data := []byte(`{"schemaVersion":2}`)
		digest, _, _ := v1.SHA256(bytes.NewReader(data))
		written, err := repo.PutManifest(t.Context(), digest.String(), "application/vnd.oci.image.index.v1+json", data, "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		if got := len(written.Tags) == 2; got != multi || repo.SetsManyTags() != multi {
			t.Errorf("multi-tag %t: the tags taken are %v", multi, written.Tags)
		}
	}
}

func TestABlobIsReadFromAnOffset(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	data, digest := noise(8, 100_000)
	fake.PutBlob("acme/app", data)
	r, err := repository(t, fake, registry.Options{}).ReadBlob(t.Context(), digest, 70_000)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data[70_000:]) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

func TestABlobThatIsReadGoesOnWhereItBroke(t *testing.T) {
	var reads, from []string
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		reads = append(reads, r.Method)
		from = append(from, r.Header.Get("Range"))
		if len(reads) <= 2 {
			return &registrytest.Fault{Answer: 30_000}
		}
		return nil
	}})
	data, digest := noise(8, 100_000)
	fake.PutBlob("acme/app", data)
	r, err := repository(t, fake, registry.Options{}).ReadBlob(t.Context(), digest, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data[10_000:]) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if len(from) != 3 || from[0] != "bytes=10000-" || from[1] == from[0] || from[2] == from[1] {
		t.Errorf("the streams began at %q, want three, each further on", from)
	}
}

func TestABlobThatCannotBeReadEndsWithAnError(t *testing.T) {
	var reads atomic.Int64
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
		if reads.Add(1) > 1 {
			return &registrytest.Fault{}
		}
		return &registrytest.Fault{Answer: 30_000}
	}})
	data, digest := noise(8, 100_000)
	fake.PutBlob("acme/app", data)
	r, err := repository(t, fake, registry.Options{}).ReadBlob(t.Context(), digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err == nil || !strings.Contains(err.Error(), digest.String()) {
		t.Errorf("read %d bytes, %v; want an error that names the blob", len(got), err)
	}
}

func TestAnUploadThatTheRegistryMixedUpStartsAgain(t *testing.T) {
	var first atomic.Bool
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut && first.CompareAndSwap(false, true) {
			return &registrytest.Fault{Status: http.StatusBadRequest, Code: "DIGEST_INVALID", After: 1000}
		}
		return nil
	}})
	data, digest := noise(8, 100_000)
	if _, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data}); err != nil {
		t.Fatal(err)
	}
	if !fake.HasBlob("acme/app", digest.String()) || fake.Requests()["POST uploads"] != 2 {
		t.Errorf("want the blob, after a second session: %v", fake.Requests())
	}
}

func TestAFirstRequestThatHangsHoldsUpNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	hanging, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
		if first.CompareAndSwap(false, true) {
			close(hanging)
			<-release
		}
		return nil
	}})
	repo := repository(t, fake, registry.Options{})
	var hung sync.WaitGroup
	hung.Go(func() { _, _, _ = repo.Head(t.Context(), "v1") })
	<-hanging
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, _, err := repo.Head(ctx, "v1"); err != nil {
		t.Errorf("behind a request that hangs: %v", err)
	}
	close(release)
	hung.Wait()
}

func TestATokenServiceInAPrivateNetworkIsNotAsked(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
		return &registrytest.Fault{Status: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {`Bearer realm="http://169.254.169.254/token",service="x"`}}}
	}})
	_, _, err := repository(t, fake, registry.Options{}).Head(t.Context(), "v1")
	_, ok := errors.AsType[*registry.RealmError](err)
	if !ok || !strings.Contains(err.Error(), "169.254.169.254") || fake.Total() != 1 {
		t.Errorf("got error %v after %d requests, want one at once that names the service", err, fake.Total())
	}
}
