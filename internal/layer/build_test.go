package layer

import "testing"

func TestASandboxWithARootOfItsOwnDoesNotHoldEverything(t *testing.T) {
	b := build{}
	b.addBase("/execroot/_main")
	if b.holds("/opt/jdk/bin/java") || !b.holds("/execroot/_main/bazel-out/x") {
		t.Errorf("the folders of the build are %v", b.roots)
	}
}
