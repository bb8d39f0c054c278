package cas

import "testing"

func TestResourceNames(t *testing.T) {
	for want, blob := range map[string]Blob{
		"blobs/ab/12":             {Digest: Digest{SHA256, "ab", 12}},
		"blobs/blake3/ab/12":      {Digest: Digest{BLAKE3, "ab", 12}},
		"a/b/blobs/ab/12":         {Instance: "a/b", Digest: Digest{SHA512, "ab", 12}},
		"main/blobs/blake3/ab/12": {Instance: "main", Digest: Digest{BLAKE3, "ab", 12}},
	} {
		if got := blob.resource(); got != want {
			t.Errorf("resource name of %+v is %q, want %q", blob, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"grpc://cache:9092":      "dns:///cache:9092",
		"grpcs://cache.example":  "dns:///cache.example:443",
		"grpc://[::1]:9092/":     "dns:///[::1]:9092",
		"unix:/run/cache.sock":   "unix:/run/cache.sock",
		"http://cache:80":        "",
		"cache:9092":             "",
		"grpc://cache/instance":  "",
		"grpc://key@cache:9092":  "",
		"unix:":                  "",
		"grpcs://cache:9092?x=1": "",
		"grpc:cache":             "",
		"":                       "",
	} {
		got, _, err := parseAddress(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("address %q became %q, %v; want %q", address, got, err, want)
		}
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:ab")
	f.Add("blake3:")
	f.Add(":ab")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDigest(text); err == nil && d.String() != text {
			t.Errorf("%q was parsed as %q", text, d)
		}
	})
}
