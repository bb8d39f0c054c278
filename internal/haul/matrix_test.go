package haul_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

var update = flag.Bool("update", false, "write the fault matrix of docs/haul.md anew")

// matrixLayer is the size of the layer that the matrix's images have: large enough to
// come in chunks.
const matrixLayer = 3 << 19

// matrixAnswer is one way in which a request goes wrong.
type matrixAnswer struct {
	name string
	// fault is one, for one request.
	fault func(r *http.Request) *registrytest.Fault
}

func answered(status int) matrixAnswer {
	return matrixAnswer{fmt.Sprint(status), func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Status: status} }}
}

func amended(change func(status int, h http.Header) int) func(*http.Request) *registrytest.Fault {
	return func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Amend: change} }
}

func matrixAnswers() []matrixAnswer {
	var all []matrixAnswer
	for _, status := range []int{400, 401, 403, 404, 405, 409, 413, 414, 415, 416, 422, 429, 500, 501, 502, 503, 504} {
		all = append(all, answered(status))
	}
	const other = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	return append(all,
		matrixAnswer{"429, `Retry-After: 900`", func(*http.Request) *registrytest.Fault {
			return &registrytest.Fault{Status: 429, Header: http.Header{"Retry-After": {"900"}}}
		}},
		matrixAnswer{"none", func(*http.Request) *registrytest.Fault { return &registrytest.Fault{} }},
		matrixAnswer{"504, and it was done", func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Status: 504, Late: true} }},
		matrixAnswer{"none, and it was done", func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Late: true} }},
		matrixAnswer{"an HTML page", func(*http.Request) *registrytest.Fault {
			return &registrytest.Fault{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>"}
		}},
		matrixAnswer{"200, and nothing done", func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Status: 200} }},
		matrixAnswer{"204, and it was done", amended(func(status int, h http.Header) int {
			if status >= 300 {
				return status
			}
			return 204
		})},
		matrixAnswer{"another digest", amended(func(status int, h http.Header) int {
			h.Set("Docker-Content-Digest", other)
			return status
		})},
		matrixAnswer{"`MANIFEST_BLOB_UNKNOWN`", func(*http.Request) *registrytest.Fault {
			return &registrytest.Fault{Status: 400, Code: "MANIFEST_BLOB_UNKNOWN"}
		}},
		matrixAnswer{"307, to the registry", func(r *http.Request) *registrytest.Fault {
			if r.URL.Query().Has("moved") {
				return nil
			}
			location := *r.URL
			location.RawQuery = strings.TrimPrefix(location.RawQuery+"&moved", "&")
			return &registrytest.Fault{Status: 307, Header: http.Header{"Location": {location.String()}}}
		}},
		matrixAnswer{"307, to elsewhere", func(*http.Request) *registrytest.Fault {
			return &registrytest.Fault{Status: 307, Header: http.Header{"Location": {"http://127.0.0.1:1/"}}}
		}},
	)
}

// matrixRequest is a kind of request, and a push that makes it.
type matrixRequest struct {
	// name is registrytest's.
	name string
	// settings, tags and rules are those of the push and the registry.
	settings registry.Settings
	tags     []string
	rules    registrytest.Rules
	// base is where the layer is beside the cache: "here", in the same registry, or
	// "elsewhere" and nowhere else.
	base string
	// broken cuts the first upload of the layer.
	broken bool
	// not are answers that this request cannot have, or for which they are right.
	not []string
}

func matrixRequests() []matrixRequest {
	no := false
	const done, digest, blobUnknown = ", and it was done", "another digest", "`MANIFEST_BLOB_UNKNOWN`"
	v1 := []string{"v1"}
	return []matrixRequest{
		{name: "HEAD tag", tags: v1, not: []string{done, digest, blobUnknown}},
		{name: "HEAD manifest", not: []string{done, digest, blobUnknown, "200, and"}},
		{name: "HEAD blob", tags: v1, settings: registry.Settings{Mounts: &no}, not: []string{done, blobUnknown, "200, and"}},
		{name: "POST mount from itself", tags: v1, not: []string{blobUnknown}},
		{name: "POST mount", tags: v1, base: "here", not: []string{blobUnknown}},
		{name: "POST upload", tags: v1, settings: registry.Settings{Mounts: &no}, not: []string{digest, blobUnknown}},
		{name: "PUT upload", tags: v1, not: []string{blobUnknown}},
		{name: "PATCH upload", tags: v1, settings: registry.Settings{Chunk: 1 << 20}, not: []string{digest, blobUnknown}},
		{name: "GET upload", tags: v1, broken: true, not: []string{done, digest, blobUnknown}},
		{name: "GET blob", tags: v1, base: "elsewhere", not: []string{done, digest, blobUnknown}},
		{name: "PUT manifest with tags", tags: []string{"v1", "v2"}, rules: registrytest.Rules{MultiTag: true}},
		{name: "PUT tag", tags: v1},
	}
}

// matrixPush pushes the image while so many requests of the kind, or all where that is
// zero, are answered so; nil answers as it is right.
func matrixPush(t *testing.T, request matrixRequest, answer *matrixAnswer, times int) (outcome string, trace []registrytest.Exchange) {
	t.Helper()
	server := castest.Start(t)
	layer := noise(1, matrixLayer)
	var mu sync.Mutex
	broken := !request.broken
	fault := func(r *http.Request) *registrytest.Fault {
		mu.Lock()
		defer mu.Unlock()
		ofLayer := r.ContentLength > 1000 || r.ContentLength <= 0
		if !broken && r.Method == http.MethodPut && ofLayer {
			broken = true
			return &registrytest.Fault{After: 1 << 20, Drain: true}
		}
		if answer == nil || registrytest.NameOf(r) != request.name || !ofLayer && strings.Contains(r.URL.Path, "/uploads/") || times < 0 {
			return nil
		}
		f := answer.fault(r)
		if f != nil && f.Status == 0 && f.Amend == nil && !f.Late {
			f.Drain = true
		}
		if times > 0 {
			if times--; times == 0 {
				times = -1
			}
		}
		return f
	}
	rules := request.rules
	rules.Fault = fault
	fake := registrytest.Start(t, rules)
	host := fake.Host
	if request.base == "elsewhere" {
		host = registrytest.Start(t, registrytest.Rules{}).Host
	}
	spec := image(t, server, host, "acme/app", request.tags, layer)
	switch request.base {
	case "here":
		fake.PutBlob("acme/base", layer)
		spec.Blobs[0].Sources = append(spec.Blobs[0].Sources, pushspec.Source{Repository: host + "/acme/base"})
	case "elsewhere":
		fake.PutBlob("acme/base", layer)
		spec.Blobs[0].Sources = []pushspec.Source{{Repository: fake.Host + "/acme/base"}}
	default:
		// The config is there: the matrix is about the layer.
		fake.PutBlob("acme/app", spec.Blobs[1].Data)
	}
	c := newClock()
	registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain(), Now: c.now, Wait: c.wait,
		Hosts: map[string]registry.HostOptions{host: {Settings: request.settings}},
		// A connection that is cut must not be net/http's to try again.
		Transport: &http.Transport{DisableKeepAlives: true}})
	defer registries.Close()
	h, err := haul.New(haul.Options{CAS: server.Dial(t, cas.Options{}), Registries: registries, Grace: -1, BlobsAtOnce: 1, Now: c.now, Wait: c.wait})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Haul(context.WithoutCancel(t.Context()), haul.Request{Spec: spec, Repository: "acme/app", Tags: request.tags, Invocation: "matrix"})
	trace = fake.Trace()
	var failed *haul.Error
	switch {
	case errors.As(err, &failed):
		return "`" + string(failed.Class) + "`", trace
	case err != nil:
		t.Fatal(err)
	}
	// What is called pushed has to be there.
	references := request.tags
	if len(references) == 0 {
		references = []string{spec.Root.String()}
	}
	mu.Lock()
	times = -1
	mu.Unlock()
	for _, reference := range references {
		checkImage(t, host, "acme/app", reference, spec.Root)
	}
	return "pushed", trace
}

// tell says how a push went, beside one in which nothing went wrong.
func (request matrixRequest) tell(outcome string, trace, clean []registrytest.Exchange) string {
	count := func(trace []registrytest.Exchange) (names []string, times map[string]int, bytes int64) {
		times = map[string]int{}
		for _, e := range trace {
			if times[e.Request]++; times[e.Request] == 1 {
				names = append(names, e.Request)
			}
			if e.Sent > 1000 && strings.HasSuffix(e.Request, " upload") {
				bytes += e.Sent
			}
		}
		return names, times, bytes
	}
	names, times, bytes := count(trace)
	_, before, bytesBefore := count(clean)
	text := outcome
	if n := times[request.name]; n != before[request.name] {
		text += ", asked " + timesText(n)
	}
	var more []string
	for _, name := range names {
		if n := times[name] - before[name]; n > 0 && name != request.name {
			one := "`" + name + "`"
			if n > 1 {
				one += " " + timesText(n)
			}
			more = append(more, one)
		}
	}
	if len(more) > 0 {
		text += "; more: " + strings.Join(more, ", ")
	}
	if bytes > bytesBefore && (bytesBefore > 0 || bytes > matrixLayer) {
		text += fmt.Sprintf("; the layer's bytes %.1f times", float64(bytes)/matrixLayer)
	}
	return text
}

func timesText(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// rows are the matrix's of one kind of request, in Markdown.
func (request matrixRequest) rows(t *testing.T) string {
	t.Helper()
	outcome, clean := matrixPush(t, request, nil, 0)
	if outcome != "pushed" || !slices.ContainsFunc(clean, func(e registrytest.Exchange) bool { return e.Request == request.name }) {
		t.Fatalf("the push for %s is %s, with %v", request.name, outcome, clean)
	}
	type row struct{ once, always string }
	var rows []row
	answers := map[row][]string{}
	for _, answer := range matrixAnswers() {
		if slices.ContainsFunc(request.not, func(part string) bool { return strings.Contains(answer.name, part) }) {
			continue
		}
		outcome, trace := matrixPush(t, request, &answer, 1)
		one := row{once: request.tell(outcome, trace, clean)}
		outcome, trace = matrixPush(t, request, &answer, 0)
		one.always = request.tell(outcome, trace, clean)
		if answers[one] == nil {
			rows = append(rows, one)
		}
		answers[one] = append(answers[one], answer.name)
	}
	var text strings.Builder
	for i, r := range rows {
		name := ""
		if i == 0 {
			name = "`" + request.name + "`"
		}
		always := r.always
		if always == r.once {
			always = "the same"
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", name, strings.Join(answers[r], "; "), r.once, always)
	}
	return text.String()
}

// matrix is the table, in Markdown.
func matrix(t *testing.T) string {
	t.Helper()
	requests := matrixRequests()
	rows := make([]string, len(requests))
	t.Run("rows", func(t *testing.T) {
		for i, request := range requests {
			t.Run(request.name, func(t *testing.T) {
				t.Parallel()
				rows[i] = request.rows(t)
			})
		}
	})
	return "| request | answer | once | always |\n| --- | --- | --- | --- |\n" + strings.Join(rows, "")
}

const (
	matrixFile  = "../../docs/haul.md"
	matrixBegin = "<!-- The table is written by go test ./internal/haul -run FaultMatrix -update -->\n"
	matrixEnd   = "<!-- end of the table -->\n"
)

// The page's table is what the hauler does, not what somebody thinks that it does.
func TestTheFaultMatrixIsTrue(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	page, err := os.ReadFile(matrixFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), matrixBegin)
	told, after, ended := strings.Cut(rest, matrixEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", matrixFile)
	}
	want := matrix(t)
	if told == want {
		return
	}
	if *update {
		if err := os.WriteFile(matrixFile, []byte(before+matrixBegin+want+matrixEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	toldLines, wantLines := strings.Split(told, "\n"), strings.Split(want, "\n")
	for _, line := range wantLines {
		if !slices.Contains(toldLines, line) {
			t.Errorf("%s lacks\n%s", matrixFile, line)
		}
	}
	for _, line := range toldLines {
		if !slices.Contains(wantLines, line) {
			t.Errorf("%s has what is no longer so:\n%s", matrixFile, line)
		}
	}
	t.Error("write it anew: go test ./internal/haul -run FaultMatrix -update")
}
