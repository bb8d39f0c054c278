package pushspec

import (
	"errors"
	"fmt"
	"strings"
)

// hexLengths has the digest functions of the Remote Execution API that a CAS source may
// name (remote_execution.proto, DigestFunction), with the length of their digests in
// hexadecimal digits.
var hexLengths = map[string]int{
	"blake3":     64,
	"md5":        32,
	"sha1":       40,
	"sha256":     64,
	"sha256tree": 64,
	"sha384":     96,
	"sha512":     128,
}

// SplitCAS splits the CAS field of a [Source]: "blake3:af13…" has the function "blake3"
// and the digest "af13…".
func SplitCAS(source string) (function, hex string, err error) {
	function, hex, found := strings.Cut(source, ":")
	if !found {
		return "", "", fmt.Errorf("%q must have the form function:hex", clip(source))
	}
	length, known := hexLengths[function]
	if !known {
		return "", "", fmt.Errorf("%q must be a digest function of the Remote Execution API", clip(function))
	}
	if !hexOfLength(hex, length) {
		return "", "", fmt.Errorf("a %s digest must have %d lower case hexadecimal digits, not %q", function, length, clip(hex))
	}
	return function, hex, nil
}

func (s Source) check() error {
	switch {
	case s.CAS != "" && s.Repository != "":
		return errors.New("must have either cas or repository, not both")
	case s.CAS != "":
		_, _, err := SplitCAS(s.CAS)
		return err
	case s.Repository != "":
		if len(s.Repository) > maxText {
			return fmt.Errorf("repository: it has %d bytes; the limit is %d", len(s.Repository), maxText)
		}
		if _, _, err := CanonicalRepository(s.Repository); err != nil {
			return fmt.Errorf("repository: %q must be registry/repository", clip(s.Repository))
		}
		return nil
	}
	return errors.New("must have either cas or repository")
}
