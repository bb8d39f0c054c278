package bep_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/bes/bep"
)

func TestParseURI(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	for uri, want := range map[string]bep.URI{
		"bytestream://h:1/blobs/" + hash + "/12":                   {Host: "h:1", Function: "sha256", Hash: hash, Size: 12},
		"bytestream://h/a/b/blobs/" + strings.ToUpper(hash) + "/0": {Host: "h", Instance: "a/b", Function: "sha256", Hash: hash},
		"bytestream://h/i/blobs/blake3/" + hash + "/9":             {Host: "h", Instance: "i", Function: "blake3", Hash: hash, Size: 9},
		"bytestream:///i/blobs/" + strings.Repeat("0a", 20) + "/9": {Instance: "i", Function: "sha1", Hash: strings.Repeat("0a", 20), Size: 9},
	} {
		got, ok := bep.ParseURI(uri)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("ParseURI(%q): %v\n%s", uri, ok, diff)
		}
	}
	for _, uri := range []string{
		"", "file:///a/blobs/" + hash + "/1", "bytestream://h", "bytestream://h/blobs/" + hash, "bytestream://h/blobs/xy/1",
		"bytestream://h/blobs/" + hash + "/-1", "bytestream://h/blobs/" + hash + "/+1", "bytestream://h/blobs/" + hash + "/1/",
		"bytestream://h/blobs/0a0a/1", "bytestream://h/uploads/blake3/" + hash + "/1", "bytestream://blobs/" + hash + "/1x",
	} {
		if got, ok := bep.ParseURI(uri); ok {
			t.Errorf("ParseURI(%q) took it for %+v", uri, got)
		}
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("bytestream://h:1/i/blobs/blake3/0a0a/12")
	f.Add("bytestream://h/blobs/" + strings.Repeat("0a", 32) + "/0")
	f.Fuzz(func(t *testing.T, uri string) {
		u, ok := bep.ParseURI(uri)
		if ok && (u.Size < 0 || u.Function == "" || u.Hash != strings.ToLower(u.Hash)) {
			t.Errorf("ParseURI(%q) = %+v", uri, u)
		}
	})
}
