package subprocess

import (
	"strings"
	"unicode"
)

const (
	// maxPlain bounds what is shown of a message, in bytes.
	maxPlain = 300
	// maxWord is the length of the longest word that is shown.
	maxWord = 20
)

// Plain returns the part of a program's message that may be shown: its plain words. It
// leaves out whatever may be a secret: words with digits or signs, words that are too
// long, and the rest of a line after a word such as "token:".
func Plain(output []byte) string {
	if len(output) > 4*maxPlain {
		output = output[:4*maxPlain]
	}
	var shown []string
	length := 0
	for line := range strings.Lines(strings.ToValidUTF8(string(output), "")) {
		for word := range strings.FieldsSeq(line) {
			told, names := plainWord(word)
			if len(shown) == 0 || told != "…" || shown[len(shown)-1] != "…" {
				shown = append(shown, told)
				length += len(told) + 1
			}
			if length > maxPlain {
				return strings.Join(shown, " ") + " …"
			}
			if names {
				shown = append(shown, "…")
				break
			}
		}
	}
	return strings.Join(shown, " ")
}

// plainWord is a word as it is shown. names tells that a secret follows.
func plainWord(word string) (shown string, names bool) {
	bare := strings.Trim(word, `.,:;!?()'"`)
	if len(bare) > maxWord || strings.ContainsFunc(strings.ReplaceAll(bare, "-", ""), func(r rune) bool { return !unicode.IsLetter(r) || r > unicode.MaxLatin1 }) {
		return "…", false
	}
	if strings.HasSuffix(word, ":") {
		lower := strings.ToLower(bare)
		for _, secret := range []string{"password", "passphrase", "secret", "token", "key", "credential", "bearer", "basic", "authorization"} {
			names = names || strings.HasSuffix(lower, secret)
		}
	}
	return word, names
}
