package pushspec

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// shape bounds a JSON document. It is checked on the bytes, before any of them becomes
// a Go value: an empty object takes 2 bytes in a document, and a hundred times that as
// a descriptor.
type shape struct {
	// depth is of arrays and objects in each other.
	depth int
	// members bounds the members of one object.
	members int
	// entries bounds the entries of one array, and lists those of some arrays, by the
	// array's path without indexes: "blobs.sources".
	entries int
	lists   map[string]int
	// extra bounds the members of all maps and the entries of all arrays together that
	// neither lists nor fixed has.
	extra int
	// fixed are the paths of the objects that have known fields.
	fixed map[string]bool
	// text bounds a name, a string or a number as it is written, in bytes, and texts
	// some strings, by their paths.
	text  int
	texts map[string]int
}

// specShape is the shape of a push spec.
var specShape = shape{
	depth:   8,
	members: maxAnnotations,
	entries: maxAnnotations,
	lists: map[string]int{
		"destination.tags": MaxTags,
		"manifests":        MaxManifests,
		"blobs":            MaxBlobs,
		"blobs.sources":    MaxSources,
	},
	extra: 4 * MaxBlobs,
	fixed: map[string]bool{
		"": true, "destination": true, "manifests": true, "manifests.platform": true,
		"blobs": true, "blobs.platform": true, "blobs.sources": true,
	},
	text:  maxWritten,
	texts: map[string]int{"manifests.data": maxWrittenData, "blobs.data": maxWrittenData},
}

// manifestShape is the shape of an embedded manifest or index.
var manifestShape = documentShape(MaxBlobs, map[string]int{"manifests": MaxManifests})

// documentShape is that of a document of which little is read. What is passed over costs
// nothing but the names that are looked through for one that occurs twice.
func documentShape(entries int, lists map[string]int) *shape {
	return &shape{depth: 32, members: 1024, entries: entries, lists: lists, extra: math.MaxInt, text: MaxDataSize / 4}
}

// CheckDocument bounds a manifest, an index, or another document of a registry before it is
// decoded: how deep it is, and how many members its objects and entries its arrays have.
// A decoder makes a hundred times its bytes of one that is there to do harm.
func CheckDocument(data []byte, entries int) error {
	return shapeError(documentShape(entries, nil).check(data, nil))
}

// shapeError is an error of a shape without the words that tell of a spec.
func shapeError(err error) error {
	if limit, ok := errors.AsType[*Error](err); ok {
		return fmt.Errorf("%s: %s", cmp.Or(limit.Field, "the document"), limit.Reason)
	}
	return err
}

var maxWrittenData = base64.StdEncoding.EncodedLen(MaxDataSize) + len(`""`)

// check walks a document. If note is set, it gets the texts and the numbers among the
// document's own members; the bytes are not its to keep. An error is an [*Error] without
// its target, or of the JSON package.
func (s *shape) check(data []byte, note func(field []byte, value jsontext.Value)) error {
	w := shapeWalk{
		shape: s,
		note:  note,
		// Names that repeat are found by what decodes the document. To look for them
		// here would keep every name.
		decoder: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)),
	}
	return w.value(0)
}

type shapeWalk struct {
	*shape
	note    func(field []byte, value jsontext.Value)
	decoder *jsontext.Decoder
	path    []byte // of names alone
	extras  int
}

func (w *shapeWalk) value(depth int) error {
	switch w.decoder.PeekKind() {
	case '{':
		return w.object(depth + 1)
	case '[':
		return w.array(depth + 1)
	}
	value, err := w.written()
	if err == nil && depth == 1 && w.note != nil {
		w.note(w.path, value)
	}
	return err
}

func (w *shapeWalk) object(depth int) error {
	if err := w.begin(depth); err != nil {
		return err
	}
	above, known := len(w.path), w.fixed[string(w.path)]
	for n := 1; w.decoder.PeekKind() != '}'; n++ {
		name, err := w.decoder.ReadValue()
		if err != nil {
			return err //nolint:wrapcheck // the caller of check turns it into an *Error
		}
		if len(name) > w.text {
			return &Error{Field: clip(string(w.path)), Reason: fmt.Sprintf("has a member whose name has %d bytes; the limit is %d", len(name), w.text)}
		}
		if n > w.members {
			return w.fail("the object around it has more than %d members", w.members)
		}
		if !known {
			if err := w.countExtra(); err != nil {
				return err
			}
		}
		if above > 0 {
			w.path = append(w.path, '.')
		}
		w.path, _ = jsontext.AppendUnquote(w.path, name) // it was read, so it is valid
		if err := w.value(depth); err != nil {
			return err
		}
		w.path = w.path[:above]
	}
	return w.token()
}

func (w *shapeWalk) array(depth int) error {
	if err := w.begin(depth); err != nil {
		return err
	}
	limit, known := w.lists[string(w.path)]
	if !known {
		limit = w.entries
	}
	for n := 1; w.decoder.PeekKind() != ']'; n++ {
		if n > limit && w.decoder.PeekKind() != 0 {
			return &Error{
				Field:  fieldPath(w.decoder.StackPointer().Parent()),
				Reason: fmt.Sprintf("has more than %d entries, which is the limit", limit),
			}
		}
		if !known {
			if err := w.countExtra(); err != nil {
				return err
			}
		}
		if err := w.value(depth); err != nil {
			return err
		}
	}
	return w.token()
}

func (w *shapeWalk) begin(depth int) error {
	if err := w.token(); err != nil {
		return err
	}
	if depth > w.depth {
		return w.fail("arrays and objects are nested deeper than %d", w.depth)
	}
	return nil
}

func (w *shapeWalk) token() error {
	_, err := w.decoder.ReadToken()
	return err //nolint:wrapcheck // the caller of check turns it into an *Error
}

// written reads a string or a number as it is written.
func (w *shapeWalk) written() (jsontext.Value, error) {
	value, err := w.decoder.ReadValue()
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller of check turns it into an *Error
	}
	limit := cmp.Or(w.texts[string(w.path)], w.text)
	if len(value) > limit {
		return nil, w.fail("has %d bytes as it is written; the limit is %d", len(value), limit)
	}
	return value, nil
}

func (w *shapeWalk) countExtra() error {
	if w.extras++; w.extras > w.extra {
		return w.fail("the document has more than %d annotations, URLs and features", w.extra)
	}
	return nil
}

// fail is about what was read last.
func (w *shapeWalk) fail(format string, args ...any) error {
	return &Error{Field: fieldPath(w.decoder.StackPointer()), Reason: fmt.Sprintf(format, args...)}
}
