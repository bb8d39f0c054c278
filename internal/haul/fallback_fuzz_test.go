package haul

import (
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// FuzzFallback: an index of referrers that is read is written with every entry of
// others in it.
func FuzzFallback(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":"sha256:ab","later":1}],"annotations":{"a":"b"}}`))
	f.Add([]byte(`{"manifests":[{},{"digest":""}],"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second fallback
		if first.decode(data, string(types.OCIImageIndex)) != nil {
			return
		}
		written, err := first.encode()
		if err != nil {
			return // it is too large
		}
		if err := second.decode(written, string(types.OCIImageIndex)); err != nil || !slices.Equal(first.digests, second.digests) {
			t.Errorf("%q is written as %q: %v", data, written, err)
		}
	})
}
