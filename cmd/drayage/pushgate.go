package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/drayage/pushspec"
)

// behindGate are the specs whose tags do not move as soon as their image is there.
func behindGate(specs []*pushspec.Spec) []*pushspec.Spec {
	return slices.DeleteFunc(slices.Clone(specs), func(spec *pushspec.Spec) bool {
		return len(spec.Destination.Tags) == 0 || !spec.Destination.Gate.Holds()
	})
}

// unapproved is the error of specs whose tags need somebody's approval.
func unapproved(specs []*pushspec.Spec) error {
	waiting := slices.DeleteFunc(behindGate(specs), func(spec *pushspec.Spec) bool {
		return pushspec.Strictest(spec.Destination.Gate) != pushspec.GateApproved
	})
	if len(waiting) == 0 {
		return nil
	}
	return fmt.Errorf("nothing was pushed: the gate of %s is approved, and nobody has approved this push. "+
		"Build with --bes_backend, so that the daemon pushes, and run drayage promote INVOCATION; or give --approved, if you approve it yourself", targets(waiting))
}

// keptBack is the error of specs whose images are in their registries, except for those
// that failed, and whose tags were not written.
func keptBack(waiting []*pushspec.Spec) error {
	return fmt.Errorf("no tag of %s was written, since the gate needs all images in their registries: mend what failed, and push again", targets(waiting))
}

// targets names the targets of specs, each once.
func targets(specs []*pushspec.Spec) string {
	var labels []string
	for _, spec := range specs {
		if !slices.Contains(labels, spec.Target) {
			labels = append(labels, spec.Target)
		}
	}
	return strings.Join(labels, ", ")
}
