package registry

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// unmarshalLoosely reads JSON of servers that are not to be corrected: half of what they
// say of an error, or a token, is better than nothing.
func unmarshalLoosely(data []byte, into any) error {
	return json.Unmarshal(data, into, json.MatchCaseInsensitiveNames(true), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}
