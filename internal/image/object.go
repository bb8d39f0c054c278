package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/drayage/drayage/pushspec"
)

const (
	// MaxDocument bounds a config, a manifest or a config fragment, in bytes. A push
	// spec holds no larger one.
	MaxDocument = pushspec.MaxDataSize

	// maxDepth bounds how deep objects and lists lie within one another.
	maxDepth = 100
)

// asText are the options under which JSON is read and written here. What is not UTF-8
// becomes U+FFFD, as it does for every runtime that is written in Go.
var asText = jsontext.AllowInvalidUTF8(true)

// written are the options of what is written: nothing is escaped that need not be,
// so that a label with an ampersand reads as it was given.
var written = json.JoinOptions(asText, jsontext.EscapeForJS(true), json.Deterministic(true))

// object is a JSON object whose members stay as they were written, so that what this
// program knows nothing of is in what it writes as well. Numbers keep their digits.
type object []member //nolint:recvcheck // what reads it takes a copy of the slice, what changes it needs its address

type member struct {
	name  string
	value jsontext.Value
}

// readDocument reads a JSON object that somebody else wrote, and that has the form.
func readDocument(data []byte, f *form) (object, error) {
	if len(data) > MaxDocument {
		return nil, fmt.Errorf("%d bytes are over the limit of %s", len(data), humanize.IBytes(MaxDocument))
	}
	if err := checkDocument(data); err != nil {
		return nil, err
	}
	value := jsontext.Value(bytes.Clone(data))
	if err := value.Format(written); err != nil {
		return nil, explain(err)
	}
	o, err := readObject(value)
	if err != nil {
		return nil, err
	}
	return o, f.spell(o)
}

// checkDocument reads data once, and refuses what is no object, a name that is in an
// object twice, and what lies too deep.
func checkDocument(data []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewReader(data), asText)
	if kind := decoder.PeekKind(); kind != jsontext.KindInvalid && kind != jsontext.KindBeginObject {
		return fmt.Errorf("it must be a JSON object, not %s", kindText(kind))
	}
	for {
		_, err := decoder.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("it must be a JSON object, but is empty")
		case err != nil:
			return explain(err)
		case decoder.StackDepth() > maxDepth:
			return fmt.Errorf("at byte %d, objects and lists must be at most %d levels deep", decoder.InputOffset(), maxDepth)
		case decoder.StackDepth() == 0:
			if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
				return errors.New("it must be one JSON object, with nothing after it")
			}
			return nil
		}
	}
}

// readObject takes an object apart.
func readObject(value jsontext.Value) (object, error) {
	if kind := value.Kind(); kind != jsontext.KindBeginObject {
		return nil, fmt.Errorf("it must be a JSON object, not %s", kindText(kind))
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(value), asText)
	if _, err := decoder.ReadToken(); err != nil {
		return nil, explain(err)
	}
	o := object{}
	for decoder.PeekKind() != jsontext.KindEndObject {
		name, err := decoder.ReadToken()
		if err != nil {
			return nil, explain(err)
		}
		text := name.String() // before the decoder's buffer is used again
		value, err := decoder.ReadValue()
		if err != nil {
			return nil, explain(err)
		}
		o = append(o, member{text, value.Clone()})
	}
	return o, nil
}

// readList takes a list apart. None, or null, is an empty one, as everywhere in a
// config.
func readList(value jsontext.Value) ([]jsontext.Value, error) {
	if value == nil {
		return nil, nil
	}
	var list []jsontext.Value
	if err := json.Unmarshal(value, &list, asText); err != nil {
		return nil, fmt.Errorf("it must be a list, not %s", kindText(value.Kind()))
	}
	return list, nil
}

// MarshalJSONTo implements [json.MarshalerTo].
func (o object) MarshalJSONTo(encoder *jsontext.Encoder) error {
	err := encoder.WriteToken(jsontext.BeginObject)
	for _, m := range o {
		err = errors.Join(err, encoder.WriteToken(jsontext.String(m.name)), encoder.WriteValue(m.value))
	}
	return errors.Join(err, encoder.WriteToken(jsontext.EndObject))
}

func (o object) index(name string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.name == name })
}

// get is the value of a member, or nil.
func (o object) get(name string) jsontext.Value {
	if i := o.index(name); i >= 0 {
		return o[i].value
	}
	return nil
}

// put sets a member, in its place if it is there.
func (o *object) put(name string, value jsontext.Value) {
	if i := o.index(name); i >= 0 {
		(*o)[i].value = value
		return
	}
	*o = append(*o, member{name, value})
}

// remove takes a member out.
func (o *object) remove(name string) {
	*o = slices.DeleteFunc(*o, func(m member) bool { return m.name == name })
}

// set writes a Go value as a member.
func (o *object) set(name string, value any) error {
	data, err := json.Marshal(value, written)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	o.put(name, data)
	return nil
}

// object reads a member that is an object. Where it is missing or null there is an
// empty one.
func (o object) object(name string) (object, error) {
	value := o.get(name)
	if value == nil || value.Kind() == jsontext.KindNull {
		return object{}, nil
	}
	inner, err := readObject(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return inner, nil
}

// strings reads a member that is a list of texts.
func (o object) strings(name string) ([]string, error) {
	value := o.get(name)
	if value == nil {
		return nil, nil
	}
	var list []string
	if err := json.Unmarshal(value, &list, asText); err != nil {
		return nil, fmt.Errorf("%s must be a list of strings", name)
	}
	return list, nil
}

// explain says where JSON is wrong, and not more of it than a message should hold.
func explain(err error) error {
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return err
	}
	where := fmt.Sprintf("at byte %d", syntax.ByteOffset)
	if syntax.JSONPointer != "" {
		where += ", " + clip(string(syntax.JSONPointer))
	}
	if errors.Is(syntax.Err, jsontext.ErrDuplicateName) {
		return fmt.Errorf("%s: the name is used twice", where)
	}
	return fmt.Errorf("it is not valid JSON %s: %w", where, syntax.Err)
}

// clip bounds text out of a document before it goes into a message.
func clip(text string) string {
	const limit = 200
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}

func kindText(kind jsontext.Kind) string {
	switch kind {
	case jsontext.KindBeginArray:
		return "a list"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	}
	return kind.String()
}
