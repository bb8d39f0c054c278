package registry

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
)

const (
	// maxSecrets bounds the secrets that are known at a time, and maxSecretBytes their
	// length together.
	maxSecrets     = 8192
	maxSecretBytes = 16 << 20
	// minSecret is the length of the shortest text that is taken for one: "a" would be
	// found in every word.
	minSecret = 4
	// redacted stands for a secret.
	redacted = "[redacted]"
)

// secrets are what was sent to prove who we are. A server may repeat any of them.
type secrets struct {
	mu    sync.Mutex
	known map[string]bool
	// order is that of their coming: the oldest is forgotten first.
	order []string
	bytes int
}

// add makes texts known, in the forms in which they travel.
func (s *secrets) add(texts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]bool{}
	}
	for _, text := range texts {
		for _, form := range []string{text, url.QueryEscape(text), url.PathEscape(text)} {
			if len(form) < minSecret || s.known[form] {
				continue
			}
			s.known[form] = true
			s.order = append(s.order, form)
			s.bytes += len(form)
			for len(s.order) > maxSecrets || s.bytes > maxSecretBytes {
				delete(s.known, s.order[0])
				s.bytes -= len(s.order[0])
				s.order = s.order[1:]
			}
		}
	}
}

// addCredential makes what is secret of a credential known.
func (s *secrets) addCredential(c authn.AuthConfig) {
	s.add(c.Password, c.IdentityToken, c.RegistryToken, c.Auth)
	if c.Username != "" && c.Password != "" {
		s.add(base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password)))
		s.add(base64.RawURLEncoding.EncodeToString([]byte(c.Username + ":" + c.Password)))
	}
}

// redact takes what is known out of a text. The beginning of a secret at the end of a
// text that was cut off goes as well.
func (s *secrets) redact(text string, cut bool) string {
	s.mu.Lock()
	all := slices.Clone(s.order)
	s.mu.Unlock()
	// The longest first: one secret may be a part of another.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range all {
		text = strings.ReplaceAll(text, secret, redacted)
	}
	if !cut {
		return text
	}
	for _, secret := range all {
		for n := min(len(secret)-1, len(text)); n >= minSecret; n-- {
			if strings.HasSuffix(text, secret[:n]) {
				text = text[:len(text)-n] + redacted
				break
			}
		}
	}
	return text
}
