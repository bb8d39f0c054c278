package credentials

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-containerregistry/pkg/authn"
)

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 4 << 20

// configFile has the credentials of a docker config.json or a podman auth.json.
type configFile struct {
	Auths       map[string]*entry `json:"auths"`
	CredHelpers map[string]string `json:"credHelpers"`
	CredsStore  string            `json:"credsStore"`
}

// entry is one of a file's auths.
type entry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// readConfig reads a file. Its errors name the file and the line, and contain nothing
// of the file.
func readConfig(path string) (*configFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxConfig {
		return nil, &lookupError{text: fmt.Sprintf("%s is larger than %d bytes, the limit of a docker configuration", path, maxConfig), lasts: true}
	}
	return decodeConfig(path, data)
}

func decodeConfig(path string, data []byte) (*configFile, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(bytes.TrimSpace(data)) == 0 {
		return &configFile{}, nil
	}
	var c configFile
	err := json.Unmarshal(data, &c, json.MatchCaseInsensitiveNames(true), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, &lookupError{text: path + ": " + explainJSON(data, err), lasts: true}
	}
	return &c, nil
}

// explainJSON says on which line JSON is wrong, and what it must be.
func explainJSON(data []byte, err error) string {
	offset, what := int64(len(data)), "it must be JSON"
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset = e.ByteOffset
	} else if e, ok := errors.AsType[*json.SemanticError](err); ok {
		offset = e.ByteOffset
		what = fmt.Sprintf("%s must not be a JSON %s", printable(string(e.JSONPointer)), kindName(e.JSONKind))
	}
	offset = min(max(offset, 0), int64(len(data)))
	before := data[:offset]
	if offset == int64(len(data)) {
		// What is missing at the end is missing on the last line that there is.
		before = bytes.TrimRight(before, "\r\n")
	}
	return fmt.Sprintf("line %d: %s", bytes.Count(before, []byte("\n"))+1, what)
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "object"
	case '[':
		return "array"
	}
	return k.String()
}

// credential is the credential of an entry. It is empty if the entry only says that a
// credential store has one.
func (e *entry) credential() (authn.AuthConfig, error) {
	if e == nil {
		return authn.AuthConfig{}, nil
	}
	c := authn.AuthConfig{Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken}
	if auth := strings.TrimRight(strings.TrimSpace(e.Auth), "="); auth != "" {
		decoded, err := base64.RawStdEncoding.DecodeString(auth)
		if err != nil {
			decoded, err = base64.RawURLEncoding.DecodeString(auth)
		}
		user, password, found := strings.Cut(string(decoded), ":")
		if err != nil || !found {
			return authn.AuthConfig{}, errors.New("auth must be the base64 of USER:PASSWORD")
		}
		c.Username, c.Password = user, strings.TrimRight(password, "\x00")
	}
	// Docker writes this user when only the token counts.
	if c.IdentityToken != "" && c.Password == "" {
		c.Username = ""
	}
	return c, nil
}

// maxPrintable bounds what is shown of a name in a file, in bytes.
const maxPrintable = 100

// printable is a name in a file, made safe for a line of text.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) > maxPrintable {
		text = strings.ToValidUTF8(text[:maxPrintable], "") + "…"
	}
	return text
}
