package casregistry_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/internal/casregistry"
)

// rights are an access whose clients say who they are in a header.
type rights struct {
	read, operate []string
	// push are CLIENT REPOSITORY, and keep are tags.
	push, keep []string
}

func (r rights) Client(req *http.Request) (casregistry.Client, error) {
	switch name := req.Header.Get("X-Client"); name {
	case "":
		return casregistry.Client{Name: "nobody", Asked: true}, nil
	case "liar":
		return casregistry.Client{}, errors.New("unknown token")
	default:
		return casregistry.Client{Name: name}, nil
	}
}

func (r rights) MayRead(client string) bool { return slices.Contains(r.read, client) }

func (r rights) MayOperate(client string) bool { return slices.Contains(r.operate, client) }

func (r rights) Admit(push casregistry.Push) ([]string, error) {
	for _, repository := range []string{push.Repository, push.From} {
		if repository != "" && !slices.Contains(r.push, push.Client+" "+repository) {
			return nil, fmt.Errorf("no rule lets %s push to %s", push.Client, repository)
		}
	}
	return r.keep, nil
}

func TestWhatAClientMayNotDoIsRefused(t *testing.T) {
	s := serve(t, t.TempDir(), &fakeCAS{}, func(o *casregistry.Options) {
		o.Access = rights{
			read: []string{"reader"}, operate: []string{"operator"},
			push: []string{"ci a/app", "ci a/base", "stranger b/app"},
		}
	})
	s.do(t, request{client: "ci", method: http.MethodPost, path: "/a/app/blobs/uploads/?digest=" + digestOf("layer"), body: "layer"}, http.StatusCreated)
	s.do(t, request{client: "ci", method: http.MethodPut, path: "/a/app/manifests/v1", body: manifest("layer"), mediaType: ociManifest}, http.StatusCreated)
	upload := s.do(t, request{client: "ci", method: http.MethodPost, path: "/a/app/blobs/uploads/"}, http.StatusAccepted).Header.Get("Location")
	upload = strings.TrimPrefix(upload, "/v2")
	inAnother := strings.Replace(upload, "a/app", "a/base", 1)
	inHis := strings.Replace(upload, "a/app", "b/app", 1)
	blob, tag := "/a/app/blobs/"+digestOf("layer"), "/a/app/manifests/v1"

	for _, c := range []struct {
		client, method, path, body string
		want                       int
	}{
		{"", http.MethodGet, "/", "", http.StatusUnauthorized},
		{"liar", http.MethodGet, "/", "", http.StatusUnauthorized},
		{"ci", http.MethodGet, "/", "", http.StatusOK},

		{"", http.MethodGet, tag, "", http.StatusUnauthorized},
		{"liar", http.MethodGet, tag, "", http.StatusUnauthorized},
		{"stranger", http.MethodGet, tag, "", http.StatusForbidden},
		{"stranger", http.MethodHead, tag, "", http.StatusForbidden},
		{"stranger", http.MethodGet, blob, "", http.StatusForbidden},
		{"stranger", http.MethodHead, blob, "", http.StatusForbidden},
		{"stranger", http.MethodGet, "/a/app/tags/list", "", http.StatusForbidden},
		{"reader", http.MethodGet, tag, "", http.StatusOK},
		{"reader", http.MethodGet, blob, "", http.StatusOK},
		{"reader", http.MethodGet, "/a/app/tags/list", "", http.StatusOK},
		{"ci", http.MethodGet, tag, "", http.StatusOK},

		{"", http.MethodPost, "/a/app/blobs/uploads/", "", http.StatusUnauthorized},
		{"reader", http.MethodPost, "/a/app/blobs/uploads/", "", http.StatusForbidden},
		{"reader", http.MethodPut, tag, manifest("layer"), http.StatusForbidden},
		{"stranger", http.MethodPost, "/a/app/blobs/uploads/?digest=" + digestOf("layer"), "layer", http.StatusForbidden},
		{"stranger", http.MethodPut, tag, manifest("layer"), http.StatusForbidden},

		// Another's upload, or one to another repository, is none.
		{"stranger", http.MethodPatch, upload, "x", http.StatusForbidden},
		{"stranger", http.MethodPatch, inHis, "x", http.StatusNotFound},
		{"stranger", http.MethodDelete, inHis, "", http.StatusNotFound},
		{"ci", http.MethodPatch, inAnother, "x", http.StatusNotFound},
		{"ci", http.MethodPatch, upload, "x", http.StatusAccepted},

		// A blob of a repository that a client may not read is not mounted, nor named.
		{"stranger", http.MethodGet, "/b/app/blobs/" + digestOf("layer"), "", http.StatusNotFound},
		{"stranger", http.MethodPost, "/b/app/blobs/uploads/?from=a/app&mount=" + digestOf("layer"), "", http.StatusAccepted},
		{"stranger", http.MethodPost, "/b/app/blobs/uploads/?mount=" + digestOf("layer"), "", http.StatusAccepted},
		{"stranger", http.MethodPut, "/b/app/manifests/v1", manifest("layer"), http.StatusBadRequest},
		{"stranger", http.MethodGet, "/b/app/blobs/" + digestOf("layer"), "", http.StatusNotFound},
		{"ci", http.MethodPost, "/a/base/blobs/uploads/?from=a/app&mount=" + digestOf("layer"), "", http.StatusCreated},
		{"ci", http.MethodPut, "/a/base/manifests/v1", manifest("layer"), http.StatusCreated},

		{"", http.MethodDelete, tag, "", http.StatusUnauthorized},
		{"ci", http.MethodDelete, tag, "", http.StatusForbidden},
		{"reader", http.MethodDelete, tag, "", http.StatusForbidden},
		{"operator", http.MethodDelete, tag, "", http.StatusAccepted},
		{"reader", http.MethodGet, tag, "", http.StatusNotFound},
	} {
		response := s.do(t, request{client: c.client, method: c.method, path: c.path, body: c.body, mediaType: ociManifest}, c.want)
		if asks := response.Header.Get("WWW-Authenticate"); (asks == `Basic realm="drayage", charset="UTF-8"`) != (c.want == http.StatusUnauthorized) {
			t.Errorf("%s %s of %q asks for %q", c.method, c.path, c.client, asks)
		}
	}
}

func TestATagThatMustStayIsNotWrittenOver(t *testing.T) {
	s := serve(t, t.TempDir(), &fakeCAS{}, func(o *casregistry.Options) {
		o.Access = rights{push: []string{"ci a/app"}, keep: []string{"v1"}}
	})
	for i, c := range []struct {
		tags, layer string
		want        int
	}{
		{"manifests/v1", "one", http.StatusCreated},
		{"manifests/v1", "one", http.StatusCreated},
		{"manifests/v1", "two", http.StatusForbidden},
		{"manifests/latest?tag=v1", "two", http.StatusForbidden},
		{"manifests/latest", "two", http.StatusCreated},
		{"manifests/latest", "one", http.StatusCreated},
	} {
		s.do(t, request{client: "ci", method: http.MethodPost, path: "/a/app/blobs/uploads/?digest=" + digestOf(c.layer), body: c.layer}, http.StatusCreated)
		if response := s.do(t, request{client: "ci", method: http.MethodPut, path: "/a/app/" + c.tags, body: manifest(c.layer), mediaType: ociManifest}, c.want); c.want == http.StatusForbidden && !strings.Contains(response.body, "never_overwrite") {
			t.Errorf("%d: the answer is %s", i, response.body)
		}
	}
	for tag, layer := range map[string]string{"v1": "one", "latest": "one"} {
		if got := s.do(t, request{client: "ci", method: http.MethodGet, path: "/a/app/manifests/" + tag}, http.StatusOK); got.body != manifest(layer) {
			t.Errorf("%s is %s", tag, got.body)
		}
	}
}

func TestABlobOfTheCacheIsServedOnlyWhereAManifestNamesIt(t *testing.T) {
	image, blobs := cached(t)
	s := serve(t, t.TempDir(), blobs, nil)
	layers, err := image.Layers()
	check(t, err)
	digest, err := layers[0].Digest()
	check(t, err)
	for _, path := range []string{"/a/app/blobs/", "/b/app/blobs/"} {
		s.do(t, request{method: http.MethodGet, path: path + digest.String()}, http.StatusNotFound)
		s.do(t, request{method: http.MethodHead, path: path + digest.String()}, http.StatusNotFound)
	}
	check(t, pushWithoutLayers(t, s.repository(t, "a/app").Tag("v1"), image))
	s.do(t, request{method: http.MethodGet, path: "/a/app/blobs/" + digest.String()}, http.StatusOK)
	s.do(t, request{method: http.MethodGet, path: "/b/app/blobs/" + digest.String()}, http.StatusNotFound)
	// The config was uploaded to the first repository only.
	if err := remote.Put(s.repository(t, "b/app").Tag("v1"), image); err == nil || !strings.Contains(err.Error(), "MANIFEST_BLOB_UNKNOWN") {
		t.Errorf("a manifest that names a config of another repository: %v", err)
	}
}

func TestAPageOfAnotherSiteCannotUpload(t *testing.T) {
	s := serve(t, t.TempDir(), &fakeCAS{}, nil)
	response := s.do(t, request{method: http.MethodPost, path: "/a/app/blobs/uploads/?digest=" + digestOf("x"), body: "x", header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, http.StatusForbidden)
	if !strings.Contains(response.body, "another site") {
		t.Errorf("the answer is %s", response.body)
	}
	s.do(t, request{method: http.MethodHead, path: "/a/app/blobs/" + digestOf("x")}, http.StatusNotFound)
}

func TestNoBrowserMakesAPageOfWhatIsStored(t *testing.T) {
	folder := t.TempDir()
	s := serve(t, folder, &fakeCAS{}, nil)
	const page = "<script>alert(1)</script>"
	s.do(t, request{method: http.MethodPost, path: "/a/app/blobs/uploads/?digest=" + digestOf(page), body: page, mediaType: "text/html"}, http.StatusCreated)
	for _, mediaType := range []string{"text/html", "", "image/svg+xml", "application/json", "application/vnd.docker.distribution.manifest.v1+json"} {
		s.do(t, request{method: http.MethodPut, path: "/a/app/manifests/v1", body: manifest(page), mediaType: mediaType}, http.StatusBadRequest)
	}
	s.do(t, request{method: http.MethodPut, path: "/a/app/manifests/v1", body: manifest(page), mediaType: ociManifest + "; charset=utf-8"}, http.StatusCreated)
	// A registry from before types were checked may have any.
	overwrite(t, folder, "repositories/a/app/_manifests/"+strings.TrimPrefix(digestOf(manifest(page)), "sha256:"), "text/html")
	for path, want := range map[string]string{
		"/a/app/blobs/" + digestOf(page): "application/octet-stream", "/a/app/manifests/v1": "application/octet-stream",
		"/a/app/tags/list": "application/json", "/a/none/tags/list": "application/json", "/": "",
	} {
		response := s.do(t, request{method: http.MethodGet, path: path}, 0)
		if got := response.Header.Get("Content-Type"); got != want {
			t.Errorf("%s is served as %q", path, got)
		}
		if got := response.Header; got.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has the headers %v", path, got)
		}
	}
}

func TestAManifestIsReadInOneWayOnly(t *testing.T) {
	s := serve(t, t.TempDir(), &fakeCAS{}, nil)
	s.do(t, request{method: http.MethodPost, path: "/a/app/blobs/uploads/?digest=" + digestOf("x"), body: "x"}, http.StatusCreated)
	s.do(t, request{method: http.MethodPut, path: "/a/app/manifests/v1", body: manifest("x"), mediaType: ociManifest}, http.StatusCreated)
	blob := `{"digest":"` + digestOf("x") + `","size":1}`
	child := `{"digest":"` + digestOf(manifest("x")) + `","size":1}`
	for name, c := range map[string]struct{ mediaType, body string }{
		"another type in the body": {ociManifest, `{"mediaType":"` + ociIndex + `","config":` + blob + `}`},
		"layers in an index":       {ociIndex, `{"manifests":[` + child + `],"layers":[` + blob + `]}`},
		"manifests in a manifest":  {ociManifest, `{"manifests":[` + child + `],"layers":[` + blob + `]}`},
		"layers twice":             {ociManifest, `{"layers":[],"layers":[` + blob + `]}`},
		"something after it":       {ociManifest, `{"layers":[]}{}`},
		"a size below zero":        {ociManifest, `{"layers":[{"digest":"` + digestOf("x") + `","size":-1}]}`},
		"a list":                   {ociManifest, `[]`},
		"half of it":               {ociManifest, `{"layers":[`},
		"more than anybody needs":  {ociManifest, `{"layers":[` + strings.Repeat(blob+",", 1000) + blob + `]}`},
	} {
		if response := s.do(t, request{method: http.MethodPut, path: "/a/app/manifests/v2", body: c.body, mediaType: c.mediaType}, http.StatusBadRequest); !strings.Contains(response.body, "MANIFEST_INVALID") {
			t.Errorf("%s: %s", name, response.body)
		}
	}
	s.do(t, request{method: http.MethodPut, path: "/a/app/manifests/v2", body: `{"mediaType":"` + ociIndex + `","manifests":[` + child + `],"config":null}`, mediaType: ociIndex}, http.StatusCreated)
}

func TestWhatIsDeletedIsOutOfReachAndOffTheAccount(t *testing.T) {
	folder := t.TempDir()
	image, blobs := cached(t)
	limits := func(o *casregistry.Options) {
		o.Limits.ClientBytes = 500_000
		o.Access = rights{operate: []string{"ci"}, push: []string{"ci a/app", "ci b/app"}}
	}
	s := serve(t, folder, blobs, limits)
	as := remote.WithTransport(client("ci"))
	another, err := random.Image(100_000, 1)
	check(t, err)
	check(t, remote.Write(s.repository(t, "a/app").Tag("other"), another, as))
	kept := strings.Join(files(t, folder), "\n")
	check(t, remote.Write(s.repository(t, "a/app").Tag("v1"), image, as))
	layers, err := image.Layers()
	check(t, err)
	shared, err := layers[0].Digest()
	check(t, err)
	digest, err := image.Digest()
	check(t, err)
	s.do(t, request{client: "ci", method: http.MethodDelete, path: "/a/app/manifests/" + digest.String()}, http.StatusAccepted)
	s.do(t, request{client: "ci", method: http.MethodGet, path: "/a/app/manifests/v1"}, http.StatusNotFound)
	s.do(t, request{client: "ci", method: http.MethodGet, path: "/a/app/blobs/" + shared.String()}, http.StatusNotFound)
	if got := strings.Join(files(t, folder), "\n"); got != kept {
		t.Errorf("after the deletion there are\n%s\nwant\n%s", got, kept)
	}
	// What was charged is given back, or the second time would be too much.
	for range 4 {
		check(t, remote.Write(s.repository(t, "a/app").Tag("v1"), image, as))
		check(t, remote.Delete(s.repository(t, "a/app").Digest(digest.String()), as))
	}
	other, err := remote.Image(s.repository(t, "a/app").Tag("other"), as)
	check(t, err)
	if _, err := other.Digest(); err != nil {
		t.Error(err)
	}
}
