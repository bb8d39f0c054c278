package dispatch

import (
	"fmt"
	"strings"
)

// maxNamed bounds the targets that the message of a failed build names.
const maxNamed = 10

// verdict is how the pushes of a held build have ended, by their targets.
type verdict struct {
	failed, missing, withheld []string
	// why says why tags are withheld.
	why string
	// waits says what tags wait for that do not move by themselves.
	waits string
}

func (v verdict) well() bool {
	return len(v.failed)+len(v.missing)+len(v.withheld) == 0 && v.waits == ""
}

// line is what Bazel prints: one line of ASCII.
func (v verdict) line(invocation string) string {
	var parts []string
	see := "drayage ledger --invocation "
	if len(v.failed) > 0 {
		parts = append(parts, counted(len(v.failed), "push", "pushes")+" failed: "+named(v.failed))
	}
	if len(v.missing) > 0 {
		parts = append(parts, counted(len(v.missing), "push", "pushes")+" never came: "+named(v.missing))
		see = "drayage ledger expected "
	}
	if len(v.withheld) > 0 {
		parts = append(parts, fmt.Sprintf("the tags of %s are withheld (%s): %s", counted(len(v.withheld), "push", "pushes"), named(v.withheld), v.why))
	}
	if v.waits != "" {
		parts = append(parts, "no tag has moved: "+v.waits)
	}
	return fmt.Sprintf("drayage: %s; see %s%s", strings.Join(parts, "; "), see, invocation)
}

// named names targets, if they are not too many.
func named(targets []string) string {
	if len(targets) <= maxNamed {
		return strings.Join(targets, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(targets[:maxNamed], ", "), len(targets)-maxNamed)
}

func counted(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
