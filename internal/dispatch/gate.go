package dispatch

import "github.com/drayage/drayage/pushspec"

// releaseMetadata is the key of the build metadata with which a build says what its tags
// wait for: --build_metadata=DRAYAGE_RELEASE=green.
const releaseMetadata = "DRAYAGE_RELEASE"

// emptyGate stands for a DRAYAGE_RELEASE without a value: a variable of a shell that was
// not set, most likely, and no leave to move tags.
const emptyGate = "(empty)"

// askedGate is what a build's metadata asks for, or "".
func askedGate(metadata map[string]string) string {
	asked, given := metadata[releaseMetadata]
	if given && asked == "" {
		return emptyGate
	}
	return asked
}

// gateError is about a gate that a build asks for and that there is not.
type gateError struct{ err error }

func (e *gateError) Error() string {
	return "--build_metadata=" + releaseMetadata + ": " + e.err.Error()
}

func (e *gateError) Unwrap() error { return e.err }

// chooseGate finds out what the tags wait for: the strictest of what the target, the build,
// the daemon and its policy ask for. What is not understood must not let tags move.
func (r *run) chooseGate() error {
	gates := []pushspec.Gate{r.destination.Gate, r.floor}
	// An operator asks for a copy; it has no build whose end its tags could wait for.
	if !r.isCopy() {
		gates = append(gates, r.worker.opts.Gate)
	}
	for _, asked := range []string{r.job.Gate, askedGate(r.invocation.Metadata)} {
		gate, err := pushspec.ParseGate(asked)
		if err != nil {
			return &gateError{err}
		}
		gates = append(gates, gate)
	}
	if gate := pushspec.Strictest(gates...); gate.Holds() && len(r.destination.Tags) > 0 {
		r.gate, r.entry.Gate = gate, string(gate)
	}
	return nil
}
