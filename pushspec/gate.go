package pushspec

import (
	"fmt"
	"slices"
)

// Gate says when tags move to an image that is in its registry. See docs/release.md.
type Gate string

// The gates, the strictest last. Empty means GatePushed.
const (
	// GatePushed moves the tags as soon as the image is there.
	GatePushed Gate = "pushed"
	// GateGreen moves the tags of an invocation together, once all that it pushes is
	// there and the build has ended well.
	GateGreen Gate = "green"
	// GateApproved is GateGreen, and somebody has said so.
	GateApproved Gate = "approved"
)

var gates = []Gate{GatePushed, GateGreen, GateApproved}

// ParseGate reads a gate. The empty text is GatePushed.
func ParseGate(text string) (Gate, error) {
	if text == "" {
		return GatePushed, nil
	}
	if gate := Gate(text); slices.Contains(gates, gate) {
		return gate, nil
	}
	return "", fmt.Errorf("%q must be pushed, green or approved", clip(text))
}

// Strictest returns the strictest of gates. What is no gate counts as the strictest.
func Strictest(given ...Gate) Gate {
	strictest := 0
	for _, gate := range given {
		at := slices.Index(gates, gate)
		switch {
		case gate == "":
			continue
		case at < 0:
			at = len(gates) - 1
		}
		strictest = max(strictest, at)
	}
	return gates[strictest]
}

// Holds says whether tags wait at the gate at all.
func (g Gate) Holds() bool { return Strictest(g) != GatePushed }
