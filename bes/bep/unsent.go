package bep

import (
	"bytes"
	"slices"

	"github.com/drayage/drayage/bes/wire"
)

// Unsent tells of files that Bazel could not upload to the remote cache.
type Unsent struct {
	// Digests are hexadecimal, up to maxUnsent of them.
	Digests []string
	// More says that there were more than are kept.
	More bool
	// Code is the name of the last gRPC status that was given as a reason:
	// "RESOURCE_EXHAUSTED". Often none is.
	Code string
}

// maxUnsent bounds the digests that are kept. Where one upload fails many do.
const maxUnsent = 256

// What Bazel prints when an upload fails: GrpcCacheClient and
// ByteStreamBuildEventArtifactUploader in its sources.
var (
	uploadError  = []byte("Error while uploading artifact with digest '")
	uploadEvent  = []byte("Uploading BEP referenced local file ")
	uploadHash   = []byte(` hash: "`)
	uploadReason = []byte("Remote Cache: ")
)

// statusCodes are the names of gRPC's codes for which an upload is refused.
var statusCodes = [][]byte{
	[]byte("UNAUTHENTICATED"), []byte("PERMISSION_DENIED"), []byte("RESOURCE_EXHAUSTED"), []byte("FAILED_PRECONDITION"),
	[]byte("INVALID_ARGUMENT"), []byte("OUT_OF_RANGE"), []byte("UNIMPLEMENTED"), []byte("UNAVAILABLE"), []byte("DEADLINE_EXCEEDED"), []byte("INTERNAL"),
}

// progress looks for failed uploads in what Bazel prints.
func (s *Scanner) progress(payload []byte) (changed bool, err error) {
	const stderr = 2
	m := wire.Walk(payload)
	for m.Next() {
		if m.Num == stderr && (bytes.Contains(m.Bytes, uploadError) || bytes.Contains(m.Bytes, uploadEvent)) {
			changed = s.unsent(m.Bytes) || changed
		}
	}
	return changed, m.Err
}

// unsent reads lines of which some tell of failed uploads.
func (s *Scanner) unsent(output []byte) (changed bool) {
	u := &s.invocation.Unsent
	told := false // of a failed upload, by a line above
	for line := range bytes.Lines(output) {
		after, failed := cut(line, uploadError)
		if !failed {
			if after, failed = cut(line, uploadEvent); failed {
				after, failed = cut(after, uploadHash)
			}
		}
		if failed {
			told = true
			changed = s.addUnsent(after[:hexLength(after)]) || changed
		}
		if told || bytes.Contains(line, uploadReason) {
			for _, code := range statusCodes {
				if bytes.Contains(line, code) && u.Code != string(code) {
					u.Code, changed = string(code), true
				}
			}
		}
	}
	return changed
}

func (s *Scanner) addUnsent(digest []byte) (changed bool) {
	u := &s.invocation.Unsent
	if len(digest) < 32 || len(digest) > 128 || slices.Contains(u.Digests, string(digest)) {
		return false
	}
	if len(u.Digests) >= maxUnsent || !s.keep(int64(len(digest)+16)) {
		changed = !u.More
		u.More = true
		return changed
	}
	u.Digests = append(slices.Clip(u.Digests), string(digest)) // what was handed out stays as it was
	return true
}

// cut is what comes after the mark.
func cut(line, mark []byte) (after []byte, found bool) {
	_, after, found = bytes.Cut(line, mark)
	return after, found
}

// hexLength is how many hexadecimal digits b begins with.
func hexLength(b []byte) int {
	for i, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return i
		}
	}
	return len(b)
}
