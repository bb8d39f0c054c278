package haul

import (
	"errors"
	"fmt"
	"strings"

	"github.com/drayage/drayage/pushspec"
)

// mindLeftAlone tells of the layers that were not sent where a registry does not take
// a manifest without them. Another try would fail in the same way, although
// distribution answers with 500 where it does not take their urls.
func (s *shipment) mindLeftAlone(err error) error {
	failed, ok := errors.AsType[*Error](err)
	if !ok || !isUnknown(err) {
		return err
	}
	left := s.leavesAlone()
	if len(left) == 0 {
		return err
	}
	return &Error{
		Class: Rejected, Err: failed.Err,
		Text: fmt.Sprintf("%s; the image has layers that must not be distributed, so they were not sent: %s. Have the registry accept them by their urls "+
			"(validation.manifests.urls.allow in distribution's configuration), or use a base without such layers", failed.Text, strings.Join(left, ", ")),
	}
}

// leavesAlone are the layers that are not to be distributed.
func (s *shipment) leavesAlone() []string {
	var left []string
	for _, blob := range s.request.Spec.Blobs {
		if !pushspec.Distributable(blob.MediaType) {
			left = append(left, blob.Digest.String())
		}
	}
	return left
}
