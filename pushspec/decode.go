package pushspec

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Decode reads a push spec and validates it. It refuses a document over [MaxSize], a
// document of another version (a [*VersionError]), and a field that is unknown, given
// twice, spelled in another case, over its limit, or in conflict with other fields
// (an [*Error]). It checks counts, depth and sizes before it makes anything of the
// document, so that it allocates no more than [DecodeMemory].
func Decode(data []byte) (*Spec, error) {
	if len(data) > MaxSize {
		return nil, &Error{Reason: fmt.Sprintf("the document has %d bytes; the limit is %d", len(data), MaxSize)}
	}

	// The version first: a later version's fields must not be reported as
	// unknown ones.
	var head head
	err := specShape.check(data, head.note)
	if head.Version != 0 && head.MediaType != "" && !knownVersion(head.Version, head.MediaType) {
		return nil, &head.VersionError
	}
	if err != nil {
		return nil, syntaxError(head.Target, err)
	}

	var spec Spec
	if err := json.Unmarshal(data, &spec, json.RejectUnknownMembers(true)); err != nil {
		return nil, syntaxError(head.Target, err)
	}
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	return &spec, nil
}

// head is what a document says of itself in the fields that each version has.
type head struct{ VersionError }

// note takes in a field of the document. What is of another kind than it must be is
// left to what decodes the document.
func (h *head) note(field []byte, value jsontext.Value) {
	switch string(field) {
	case "schemaVersion":
		_ = json.Unmarshal(value, &h.Version)
	case "mediaType":
		h.MediaType = clippedText(value)
	case "target":
		h.Target = clippedText(value)
	}
}

func clippedText(value jsontext.Value) string {
	var text string
	_ = json.Unmarshal(value, &text)
	return clip(text)
}

// Encode validates the spec and returns its bytes. Equal specs give equal bytes.
func (s *Spec) Encode() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(s, json.Deterministic(true), jsontext.Multiline(false))
	if err != nil {
		return nil, fmt.Errorf("encode push spec of %s: %w", s.Target, err)
	}
	if len(data) > MaxSize {
		return nil, &Error{Target: s.Target, Reason: fmt.Sprintf("the document has %d bytes; the limit is %d", len(data), MaxSize)}
	}
	if err := specShape.check(data, nil); err != nil {
		return nil, syntaxError(s.Target, err)
	}
	return data, nil
}

// syntaxError turns an error of a shape, or of the JSON package, into one that names the
// target and the field.
func syntaxError(target string, err error) error {
	if limit, ok := errors.AsType[*Error](err); ok {
		limit.Target = clip(target)
		return limit
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		reason := "the value does not fit the field"
		switch {
		case semantic.Err != nil:
			reason = semantic.Err.Error()
		case semantic.JSONKind != 0 && semantic.GoType != nil:
			reason = fmt.Sprintf("a JSON %s does not fit the field", semantic.JSONKind)
		}
		return &Error{Target: target, Field: fieldPath(semantic.JSONPointer), Reason: clip(reason)}
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &Error{
			Target: target,
			Field:  fieldPath(syntactic.JSONPointer),
			Reason: clip(fmt.Sprintf("not valid JSON at byte %d: %v", syntactic.ByteOffset, syntactic.Err)),
		}
	}
	return &Error{Target: target, Reason: clip("not valid JSON: " + err.Error())}
}

// fieldPath writes a JSON pointer in the form of messages:
// "/blobs/3/digest" becomes "blobs[3].digest".
func fieldPath(p jsontext.Pointer) string {
	path := ""
	for token := range p.Tokens() {
		if isIndex(token) {
			path += "[" + token + "]"
			continue
		}
		if path != "" {
			path += "."
		}
		path += token
	}
	return clip(path)
}

func isIndex(token string) bool {
	for _, c := range token {
		if c < '0' || c > '9' {
			return false
		}
	}
	return token != ""
}

// clip bounds text from a document before it goes into a message.
func clip(text string) string {
	const limit = 200
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}
