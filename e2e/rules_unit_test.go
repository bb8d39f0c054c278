package e2e_test

import (
	"slices"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// Drayage is the root module here, as its developers have it.
func TestTheRulesPassTheirOwnTests(t *testing.T) {
	t.Parallel()
	w := rig.Checkout(t)
	w.Bazel(t, "test", "--test_output=errors", "//rules/tests/...")
	w.Bazel(t, "build", "//...")
	w.Bazel(t, "test", append(slices.Clone(laterBazels), "--test_output=errors", "//rules/tests/...")...)
}
