package registry

import (
	"regexp"
	"strings"
	"unicode"
)

const (
	// maxText bounds a server's text in a log line, in bytes.
	maxText = 500
	// textWindow is how much of a server's text is looked at, in bytes.
	textWindow = 16 << 10
)

// escapes are the sequences by which terminals are told to do something (ECMA-48).
var escapes = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|.)?|\u009b[0-?]*[ -/]*[@-~]")

// clean makes a server's text fit for a line: no escapes, no line breaks, nothing that
// is not seen or that turns the direction of what is.
func clean(text string) string {
	text = escapes.ReplaceAllString(strings.ToValidUTF8(text, "?"), "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// shorten cuts a text that is too long.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// clip makes a server's text fit for a log line, where no secret can be in it.
func clip(text string) string {
	return shorten(clean(shorten(text, textWindow)), maxText)
}

// tell makes a server's text fit for people: clean, short, and without any secret that we
// have sent. cut tells that the text has no end already.
func (c *Client) tell(text string, cut bool) string {
	if len(text) > textWindow {
		text, cut = text[:textWindow], true
	}
	// Once more when it is clean: a secret may be hidden by what is taken out.
	text = c.secrets.redact(clean(c.secrets.redact(text, cut)), cut)
	return shorten(text, maxText)
}
