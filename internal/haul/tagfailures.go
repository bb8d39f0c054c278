package haul

import (
	"errors"
	"fmt"
	"strings"
)

// tagFailures are the tags that a registry does not take, of several. One of them is no
// reason to leave out the others.
type tagFailures struct {
	tags []string
	errs []error
}

// note takes a failure in. It is false for one that may pass, and for the caller's own
// end: then the others fare no better.
func (f *tagFailures) note(tag string, err error) bool {
	if _, ok := asRefusal(err); !ok {
		return false
	}
	f.tags, f.errs = append(f.tags, tag), append(f.errs, err)
	return true
}

// err is the failure of all of them, which says what became of the others.
func (f *tagFailures) err(of []string) error {
	if len(f.errs) == 0 {
		return nil
	}
	if len(of) == 1 {
		return f.errs[0]
	}
	e := &Error{Class: Denied, Err: errors.Join(f.errs...)}
	texts := make([]string, len(f.errs))
	for i, err := range f.errs {
		if failed, ok := errors.AsType[*Error](err); ok && failed.Class != Denied {
			e.Class = failed.Class
		}
		texts[i] = fmt.Sprintf("tag %s: %v", f.tags[i], err)
	}
	e.Text = strings.Join(texts, "; ")
	if written := len(of) - len(f.tags); written > 0 {
		e.Text += fmt.Sprintf("; the other tags (%d) point to the image", written)
	}
	return e
}
