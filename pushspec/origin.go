package pushspec

import (
	"fmt"
	"strings"
	"unicode"
)

// Annotations of a blob's descriptor in a spec. They are the spec's own, for messages,
// and in no manifest.
const (
	// TargetAnnotation is the label of the target that makes the blob, as the rules
	// know it: "@@//app:app_layer", say.
	TargetAnnotation = "dev.drayage.target"

	// UncachedAnnotation is the tag of that target that keeps the blob out of remote
	// caches: "no-remote-cache", say.
	UncachedAnnotation = "dev.drayage.uncached"
)

// Target is the label of the target that makes the blob, as its users write it, or
// "" where the spec does not say. It grants nothing.
func (b Blob) Target() string {
	label := printable(b.Annotations[TargetAnnotation])
	if own, ok := strings.CutPrefix(label, "@@//"); ok {
		return "//" + own
	}
	return label
}

// Uncached is the tag that keeps the blob out of remote caches, or "".
func (b Blob) Uncached() string { return printable(b.Annotations[UncachedAnnotation]) }

// printable is text without what could write over a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// origin bounds what is read of a blob's annotations.
func (v *validator) origin(field string, blob Blob) error {
	for _, name := range []string{TargetAnnotation, UncachedAnnotation} {
		if value := blob.Annotations[name]; len(value) > maxText {
			return v.fail(fmt.Sprintf("%s.annotations[%s]", field, name), "%d bytes are over the limit of %d", len(value), maxText)
		}
	}
	return nil
}
