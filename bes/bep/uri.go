package bep

import (
	"strconv"
	"strings"
)

// URI is a bytestream:// URI, taken apart.
type URI struct {
	// Host is the remote cache's host and port, or what the user put in its place
	// with --remote_bytestream_uri_prefix. Credentials are left out.
	Host string
	// Instance is the instance name, often empty. It can hold slashes.
	Instance string
	// Function is the digest function in lower case, by its path segment or, as
	// the Remote Execution API has it for the older ones, by the hash's length.
	Function string
	// Hash is hexadecimal, in lower case.
	Hash string
	// Size is in bytes.
	Size int64
}

// maxURI bounds what ParseURI looks at. Paths of files are no part of the URI,
// so that a real one is a few hundred bytes.
const maxURI = 4096

// ParseURI takes apart bytestream://HOST[/INSTANCE]/blobs/[FUNCTION/]HASH/SIZE.
// ok is false for anything else, a file:// URI for example.
func ParseURI(uri string) (u URI, ok bool) {
	rest, ok := strings.CutPrefix(uri, "bytestream://")
	if !ok || len(uri) > maxURI {
		return URI{}, false
	}
	rest, size, ok := cutLast(rest)
	if !ok {
		return URI{}, false
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 || size[0] == '+' {
		return URI{}, false
	}
	rest, hash, ok := cutLast(rest)
	if !ok || !isHex(hash) {
		return URI{}, false
	}
	hash = strings.ToLower(hash)

	rest, last, ok := cutLast(rest)
	if !ok {
		return URI{}, false
	}
	function := ""
	if last != "blobs" {
		function = strings.ToLower(last)
		if rest, last, ok = cutLast(rest); !ok || last != "blobs" || !isName(function) {
			return URI{}, false
		}
	}
	if function == "" {
		if function = functionByLength(len(hash)); function == "" {
			return URI{}, false
		}
	}
	host, instance, _ := strings.Cut(rest, "/")
	host = host[strings.LastIndexByte(host, '@')+1:]
	return URI{Host: host, Instance: instance, Function: function, Hash: hash, Size: n}, true
}

// cutLast splits at the last slash.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 || i == len(s)-1 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// functionByLength names the digest function of a hash that comes without one.
// These are the functions that the Remote Execution API lets a resource name leave
// out; BLAKE3's hashes are as long as SHA-256's, and always come with it.
func functionByLength(hexLength int) string {
	switch hexLength {
	case 32:
		return "md5"
	case 40:
		return "sha1"
	case 64:
		return "sha256"
	case 96:
		return "sha384"
	case 128:
		return "sha512"
	default:
		return ""
	}
}

func isHex(s string) bool {
	if len(s) < 2 || len(s)%2 != 0 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// isName says whether s looks like a digest function's name.
func isName(s string) bool {
	if len(s) == 0 || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}
