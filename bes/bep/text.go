package bep

import (
	"strings"
	"unicode/utf8"
)

// text copies a string out of the event, whose bytes are not ours to keep. What is
// not UTF-8 is replaced, since it ends up in JSON and in databases.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
