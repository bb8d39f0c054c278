package dispatch

import (
	"errors"
	"slices"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/pushspec"
)

// missing is a blob of an image that the remote cache does not have.
type missing struct {
	blob pushspec.Blob
	err  error
}

func (m *missing) Error() string { return m.err.Error() }

func (m *missing) Unwrap() error { return m.err }

// nameMissing says which of the spec's blobs an error is about, if it is that the remote
// cache does not have it.
func nameMissing(spec *pushspec.Spec, err error) error {
	absent, ok := errors.AsType[*cas.NotFoundError](err)
	if !ok {
		return err
	}
	for _, blob := range spec.Blobs {
		if slices.ContainsFunc(blob.Sources, func(s pushspec.Source) bool { return s.CAS == absent.Digest.String() }) {
			return &missing{blob: blob, err: err}
		}
	}
	return err
}
