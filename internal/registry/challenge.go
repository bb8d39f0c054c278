package registry

import (
	"net/http"
	"strings"
)

// challenge is how a registry wants to be authenticated to: one
// WWW-Authenticate header (RFC 9110, section 11.6.1).
type challenge struct {
	// scheme is in lower case: "basic", "bearer", or "" for none.
	scheme string
	params map[string]string
}

// maxChallenge bounds a header with challenges, in bytes: they are kept.
const maxChallenge = 8 << 10

// pickChallenge takes the challenge that can be met from an answer: a bearer
// token before a password.
func pickChallenge(header http.Header) (challenge, bool) {
	var best challenge
	for _, value := range header.Values("WWW-Authenticate") {
		if len(value) > maxChallenge {
			continue
		}
		for _, c := range parseChallenges(value) {
			if c.scheme == "bearer" && c.params["realm"] != "" {
				return c, true
			}
			if c.scheme == "basic" && best.scheme == "" {
				best = c
			}
		}
	}
	return best, best.scheme != ""
}

// parseChallenges splits one header, which may hold several challenges. What it
// cannot read it leaves out.
func parseChallenges(value string) []challenge {
	var all []challenge
	for value = strings.TrimLeft(value, " ,\t"); value != ""; value = strings.TrimLeft(value, " ,\t") {
		word, rest := takeToken(value)
		if word == "" {
			return all
		}
		if key, isParam := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "="); isParam && len(all) > 0 {
			var text string
			text, value = takeValue(strings.TrimLeft(key, " \t"))
			all[len(all)-1].params[strings.ToLower(word)] = text
			continue
		}
		all = append(all, challenge{scheme: strings.ToLower(word), params: map[string]string{}})
		if rest == value {
			return all
		}
		value = rest
	}
	return all
}

func takeToken(s string) (token, rest string) {
	end := strings.IndexAny(s, " \t,=\"")
	if end < 0 {
		return s, ""
	}
	return s[:end], s[end:]
}

// takeValue reads a token or a quoted string.
func takeValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, " \t,")
		if end < 0 {
			return s, ""
		}
		return s[:end], s[end:]
	}
	var text strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			text.WriteByte(s[i])
		case s[i] == '"':
			return text.String(), s[i+1:]
		default:
			text.WriteByte(s[i])
		}
	}
	return text.String(), ""
}
