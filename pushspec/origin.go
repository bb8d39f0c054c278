package pushspec

import (
	"fmt"
	"strings"
	"unicode"
)

// Annotations of a blob's descriptor in a spec. They are for messages, and are not in
// manifests.
const (
	// TargetAnnotation is the label of the target that makes the blob, in Bazel's full
	// form: "@@//app:app_layer", for example.
	TargetAnnotation = "dev.drayage.target"

	// UncachedAnnotation is the tag of that target that keeps the blob out of remote
	// caches: "no-remote-cache", for example.
	UncachedAnnotation = "dev.drayage.uncached"
)

// Target returns the label of the target that makes the blob, in the form that users
// write, or "" if the spec does not say. It grants nothing.
func (b Blob) Target() string {
	label := printable(b.Annotations[TargetAnnotation])
	if own, ok := strings.CutPrefix(label, "@@//"); ok {
		return "//" + own
	}
	return label
}

// Uncached returns the tag that keeps the blob out of remote caches, or "".
func (b Blob) Uncached() string { return printable(b.Annotations[UncachedAnnotation]) }

// printable is text without control characters for a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// origin checks the length of a blob's annotations.
func (v *validator) origin(field string, blob Blob) error {
	for _, name := range []string{TargetAnnotation, UncachedAnnotation} {
		if value := blob.Annotations[name]; len(value) > maxText {
			return v.fail(fmt.Sprintf("%s.annotations[%s]", field, name), "has %d bytes; the limit is %d", len(value), maxText)
		}
	}
	return nil
}
