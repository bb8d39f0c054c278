package pushspec

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const (
	// maxSlug bounds a slug, in bytes. It is that of a DNS label, and leaves half of a
	// tag to what is around the slug.
	maxSlug = 63

	// slugHash is how many digits of a hash end a slug that was cut.
	slugHash = 8
)

// slug makes of any text a part of a tag and of a repository's name: lower case letters
// and digits, with single '.', '_' and '-' between them. Whatever else the text has, and
// each run of such characters, becomes one '-'. The end of a long slug becomes a hash of
// the text, so that two texts that begin alike stay apart. The slug is "" if the text has
// no letters and digits of ASCII.
func slug(text string) string {
	var b strings.Builder
	gap, gapLength := byte('-'), 0
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			gap = c
			gapLength++
			continue
		}
		if gapLength > 0 && b.Len() > 0 {
			if gapLength > 1 || gap != '.' && gap != '_' {
				gap = '-'
			}
			b.WriteByte(gap)
		}
		gapLength = 0
		b.WriteByte(c)
	}
	short := b.String()
	if len(short) <= maxSlug {
		return short
	}
	sum := sha256.Sum256([]byte(text))
	return strings.TrimRight(short[:maxSlug-1-slugHash], "._-") + "-" + hex.EncodeToString(sum[:])[:slugHash]
}
