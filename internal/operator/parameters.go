package operator

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/ledger"
)

// Page says which part of a list is wanted.
type Page struct {
	// Limit bounds the page.
	Limit int
	// After is the number of the last of the page before, in a list by numbers.
	After int64
	// Before is the ID of the last of the page before, in a list by IDs.
	Before string
}

// DecodePage reads the parameters of a list. Only those named, and limit, may be
// there.
func DecodePage(values url.Values, names ...string) (Page, error) {
	if err := onlyParameters(values, append(names, "limit")); err != nil {
		return Page{}, err
	}
	limit, err := parseCount("limit", values.Get("limit"))
	if err != nil {
		return Page{}, err
	}
	if limit > ledger.MaxLimit {
		return Page{}, fmt.Errorf("limit: %d must be between 1 and %d", limit, ledger.MaxLimit)
	}
	after, err := parseCount("after", values.Get("after"))
	if err != nil {
		return Page{}, err
	}
	return Page{Limit: cmp.Or(int(limit), ledger.DefaultLimit), After: after, Before: values.Get("before")}, nil
}

// RequireParameters reads parameters that all have to be there, and no others.
func RequireParameters(values url.Values, names ...string) ([]string, error) {
	if err := onlyParameters(values, names); err != nil {
		return nil, err
	}
	found := make([]string, len(names))
	for i, name := range names {
		if found[i] = values.Get(name); found[i] == "" {
			return nil, fmt.Errorf("%s: must be given", name)
		}
	}
	return found, nil
}

func onlyParameters(values url.Values, names []string) error {
	for name := range values {
		if !slices.Contains(names, name) {
			return fmt.Errorf("unknown parameter %q: the parameters are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}
