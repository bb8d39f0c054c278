package pushspec

import "fmt"

// Error says which field of a push spec is wrong, and how.
type Error struct {
	// Target is the label in the spec, or "" if it could not be read.
	Target string
	// Field is the path to the field: "blobs[3].sources[0].cas".
	Field string
	// Reason says what is wrong with the field.
	Reason string
}

func (e *Error) Error() string {
	text := "push spec"
	if e.Target != "" {
		text += " of " + e.Target
	}
	if e.Field != "" {
		text += ": " + e.Field
	}
	return text + ": " + e.Reason
}

// VersionError says that a spec has a schema version that this program does not
// understand.
type VersionError struct {
	// Target is the label in the spec, or "" if it has none.
	Target string
	// Version and MediaType are those of the spec.
	Version   int
	MediaType string
}

func (e *VersionError) Error() string {
	of := ""
	if e.Target != "" {
		of = " of " + e.Target
	}
	return fmt.Sprintf("push spec%s has schema version %d and media type %q; this program understands version %d, %q, and version %d, %q: "+
		"use rules and a daemon of the same release", of, e.Version, e.MediaType, SchemaVersion, MediaType, SchemaVersionV2, MediaTypeV2)
}
