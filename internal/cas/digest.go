package cas

import (
	"fmt"
	"strings"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

// Function is a digest function by its name in resource names: "sha256",
// "blake3".
type Function string

// The functions that [Client.Read] can verify.
const (
	SHA256 Function = "sha256"
	SHA384 Function = "sha384"
	SHA512 Function = "sha512"
	SHA1   Function = "sha1"
	MD5    Function = "md5"
	BLAKE3 Function = "blake3"
)

// named tells whether resource names must carry the function. The older functions
// are known by the length of the hash (remote_execution.proto, "ByteStream.Read").
func (f Function) named() bool {
	switch f {
	case MD5, SHA1, SHA256, SHA384, SHA512, "murmur3", "vso":
		return false
	}
	return true
}

// wire is the function's number in requests. Functions that are known by the length
// of the hash are left out, for servers that do not know the field.
func (f Function) wire() repb.DigestFunction_Value {
	if !f.named() {
		return repb.DigestFunction_UNKNOWN
	}
	return repb.DigestFunction_Value(repb.DigestFunction_Value_value[strings.ToUpper(string(f))])
}

// Digest is a blob's name in a CAS.
type Digest struct {
	Function Function
	// Hash is in lower-case hexadecimal digits.
	Hash string
	// Size is in bytes.
	Size int64
}

// ParseDigest parses "function:hex", the form in push specs. The text does not
// contain the size; set it afterwards.
func ParseDigest(text string) (Digest, error) {
	function, hash, found := strings.Cut(text, ":")
	if !found || function == "" || hash == "" {
		return Digest{}, fmt.Errorf("parse digest %q: it must have the form function:hex", text)
	}
	if strings.Trim(hash, "0123456789abcdef") != "" {
		return Digest{}, fmt.Errorf("parse digest %q: the hash must be lower-case hexadecimal digits", text)
	}
	return Digest{Function: Function(function), Hash: hash}, nil
}

func (d Digest) String() string { return string(d.Function) + ":" + d.Hash }

func (d Digest) proto() *repb.Digest {
	return &repb.Digest{Hash: d.Hash, SizeBytes: d.Size}
}

// Blob is a blob in one instance of a CAS.
type Blob struct {
	Instance string
	Digest
}

// resource is the blob's name for ByteStream.Read.
func (b Blob) resource() string {
	var s strings.Builder
	if b.Instance != "" {
		s.WriteString(b.Instance + "/")
	}
	s.WriteString("blobs/")
	if b.Function.named() {
		s.WriteString(string(b.Function) + "/")
	}
	fmt.Fprintf(&s, "%s/%d", b.Hash, b.Size)
	return s.String()
}
