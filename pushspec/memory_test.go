package pushspec_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

// document is a spec of about size bytes, which begins as a real one does and goes on
// with before, any number of filler, and after.
func document(size int, before, filler, after string) []byte {
	head := fmt.Sprintf(`{"schemaVersion":1,"mediaType":%q,"target":"@@//app:push",`, pushspec.MediaType)
	n := max(0, size-len(head)-len(before)-len(after)) / len(filler)
	return []byte(head + before + strings.TrimSuffix(strings.Repeat(filler, n), ",") + after)
}

// allocated is all that Decode allocates, whether it is freed at once or not.
func allocated(data []byte) (bytes uint64, spec *pushspec.Spec, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	spec, err = pushspec.Decode(data)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, spec, err
}

// wantFew decodes data, and wants an error with a text, or none for "".
func wantFew(t *testing.T, data []byte, want string) {
	t.Helper()
	got, _, err := allocated(data)
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1024):
		t.Errorf("error is %v, want it to contain %q", err, want)
	}
	limit := uint64(pushspec.DecodeMemory(int64(len(data))))
	t.Logf("%d bytes are allocated for %d; the limit is %d", got, len(data), limit)
	if got > limit {
		t.Errorf("%d bytes are allocated for %d; the limit is %d", got, len(data), limit)
	}
}

// What a decode allocates in all is more than what it holds at any time.
func TestDecodeAllocatesAFewTimesItsDocumentWhateverThatIs(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for _, row := range []struct {
		name, before, filler, after, want string
	}{
		{"empty blobs", `"blobs":[`, `{},`, `]}`, "blobs: has more than 4096 entries"},
		{"empty manifests", `"manifests":[`, `{},`, `]}`, "manifests: has more than 1024 entries"},
		{"numbers for blobs", `"blobs":[`, `1,`, `]}`, "blobs: has more than 4096 entries"},
		{"blobs under a name with an escape", `"blob\u0073":[`, `{},`, `]}`, "blobs: has more than 4096 entries"},
		{"empty tags", `"destination":{"tags":[`, `"",`, `]}}`, "destination.tags: has more than 128 entries"},
		{"empty sources", `"blobs":[{"sources":[`, `{},`, `]}]}`, "blobs[0].sources: has more than 16 entries"},
		{"many sources of many blobs", `"blobs":[`, `{"sources":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]},`, `]}`, "blobs: has more than 4096 entries"},
		{"URLs", `"blobs":[{"urls":[`, `"",`, `]}]}`, "blobs[0].urls: has more than 128 entries"},
		{"features of platforms", `"blobs":[{"platform":{"os.features":[`, `"",`, `]}}]}`, "blobs[0].platform.os.features: has more than 128 entries"},
		{"a few URLs each", `"blobs":[`, `{"urls":["","","","","","","","","","",""]},`, `]}`, "the document has more than 16384 annotations, URLs and features"},
		{"the same annotation", `"blobs":[{"annotations":{`, `"":"",`, `}}]}`, "blobs[0].annotations.: the object around it has more than 128 members"},
		{"an unknown list", `"later":[`, `{},`, `]}`, "later: has more than 128 entries"},
		{"the same unknown field", ``, `"later":1,`, `}`, "later: the object around it has more than 128 members"},
		{"lists in lists", `"blobs":`, `[`, ``, "arrays and objects are nested deeper than 8"},
		{"a long digest", `"root":"`, `\u0000\u0000\u0000`, `"}`, "root: has "},
		{"a long number", `"blobs":[{"size":1`, "0000000000000000000000", "0}]}", "blobs[0].size: "},
		{"a long name", `"`, `\n`, `":1}`, "has a member whose name has 4194"},
		{"a long target", `"target":"`, "aaaaaaaaaaaaa", `"}`, "target: has "},
		{"long data", `"blobs":[{"data":"`, `AAAA`, `"}]}`, "destination.registry: must not be empty"},
		{"blobs of long annotations", `"blobs":[`, `{"mediaType":"a","size":1,"digest":"` + digest + `","annotations":{"a":"` + strings.Repeat("a", 8000) + `"}},`, `]}`, "destination.registry: must not be empty"},
	} {
		t.Run(row.name, func(t *testing.T) {
			wantFew(t, document(4<<20, row.before, row.filler, row.after), row.want)
		})
	}
}

// The document that the limits once came too late for, in the sizes that it was tried in.
func TestDecodeStopsAtTheFirstBlobTooMany(t *testing.T) {
	for _, size := range []int{4 << 20, 16 << 20, pushspec.MaxSize} {
		got, _, err := allocated(document(size, `"blobs":[`, `{},`, `]}`))
		invalid, ok := errors.AsType[*pushspec.Error](err)
		if !ok || invalid.Target != "@@//app:push" || invalid.Field != "blobs" {
			t.Errorf("error is %v, want an *Error about blobs of the target", err)
		}
		if got > 64<<10 {
			t.Errorf("%d bytes are allocated for %d MiB", got, size>>20)
		}
	}
}

// As many as there may be of everything, and as little of each as there may be.
func TestDecodeOfSmallHostileDocumentsAllocatesLittle(t *testing.T) {
	for _, row := range []struct{ name, blob string }{
		{"blobs", `{}`},
		{"sources", `{"sources":[` + strings.Repeat(`{},`, pushspec.MaxSources-1) + `{}]}`},
		{"URLs", `{"urls":["","","",""]}`},
		{"annotations", `{"annotations":{"a":"","b":"","c":"","d":""}}`},
		{"platforms", `{"platform":{"architecture":""}}`},
		{"all", `{"urls":["",""],"annotations":{"a":"","b":""},"platform":{},"sources":[` + strings.Repeat(`{},`, pushspec.MaxSources-1) + `{}]}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			blobs := strings.TrimSuffix(strings.Repeat(row.blob+",", pushspec.MaxBlobs), ",")
			wantFew(t, document(0, `"blobs":[`+blobs, ` `, `]}`), "destination.registry: must not be empty")
		})
	}
}

// What a manifest says is bounded like what the spec says.
func TestDecodeOfHostileManifestsAllocatesAFewTimesItsDocument(t *testing.T) {
	for _, row := range []struct{ name, before, filler, after, want string }{
		{"empty layers", `{"layers":[`, `{},`, `]}`, "manifests[0].data: must be a manifest: layers: has more than 4096 entries"},
		{"empty manifests", `{"manifests":[`, `{},`, `]}`, "manifests[0].data: must be a manifest: manifests: has more than 1024 entries"},
		{"names", `{"annotations":{`, `"a":"",`, `}}`, "members"},
		{"lists in lists", ``, `[`, ``, "nested deeper than 32"},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := (pushspec.MaxDataSize - 100) / len(row.filler)
			hostile := row.before + strings.TrimSuffix(strings.Repeat(row.filler, n), ",") + row.after
			spec := valid(t)
			spec.Manifests = nil
			for i := range 5 {
				spec.Manifests = append(spec.Manifests, embed(types.OCIManifestSchema1, []byte(strings.Replace(hostile, "{", strings.Repeat(" ", i)+"{", 1))))
			}
			data := mustJSON(t, spec)
			wantFew(t, data, row.want)
		})
	}
}

// A large spec of a real kind costs no more.
func TestLargeSpecAllocatesAFewTimesItsDocument(t *testing.T) {
	spec := valid(t)
	spec.Manifests, spec.Blobs = nil, nil
	for i := range 1000 {
		manifest, blobs := image(t, fmt.Sprintf("%d%s", i, strings.Repeat("x", 9000)))
		spec.Manifests, spec.Blobs = append(spec.Manifests, manifest), append(spec.Blobs, blobs...)
	}
	var references []v1.Descriptor
	for _, m := range spec.Manifests {
		references = append(references, reference(m))
	}
	index := embed(types.OCIImageIndex, mustJSON(t, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: references}))
	spec.Root, spec.Manifests = index.Digest, append(spec.Manifests, index)
	data, err := spec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	wantFew(t, data, "")
}

func TestDocumentsOfRegistriesAreBoundedBeforeTheyAreDecoded(t *testing.T) {
	good, _ := image(t, "one")
	if err := pushspec.CheckDocument(good.Data, 100); err != nil {
		t.Errorf("a manifest is refused: %v", err)
	}
	for _, row := range []struct{ name, document, want string }{
		{"empty layers", `{"layers":[` + strings.Repeat(`{},`, 1<<20) + `{}]}`, "layers: has more than 100 entries, which is the limit"},
		{"annotations", `{"annotations":{` + strings.Repeat(`"a":"",`, 1<<19) + `"a":""}}`, "annotations.a: the object around it has more than 1024 members"},
		{"lists in lists", strings.Repeat(`[`, 4<<20), "arrays and objects are nested deeper than 32"},
		{"a text", `{"a":"` + strings.Repeat(`a`, 4<<20) + `"}`, "a: has 4194306 bytes as it is written"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := pushspec.CheckDocument([]byte(row.document), 100)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error is %v, want it to contain %q", row.name, err, row.want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(len(row.document))+64<<10 { // the test's own copy
			t.Errorf("%s: %d bytes are allocated", row.name, used)
		}
	}
}
