package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/pushspec"
)

// writeSpec runs drayage pushspec for an image without layers.
func writeSpec(t *testing.T, flags ...string) ([]byte, error) {
	t.Helper()
	made, err := image.Assemble(image.Spec{Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	files := map[string][]byte{"manifest": made.Manifest, "config": made.Config}
	args := []string{"pushspec", "--out=" + filepath.Join(folder, "out"), "--target=@@//app:push", "--registry=ghcr.io", "--repository=acme/app"}
	for name, data := range files {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+name+"="+path)
	}
	if _, err := tool(t, append(args, flags...)...); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(folder, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return data, nil
}

func TestASpecHasItsGate(t *testing.T) {
	plain, err := writeSpec(t, "--tag=v1")
	if err != nil {
		t.Fatal(err)
	}
	// Daemons that know version 1 alone read it, and it is the same to the byte.
	if pushed, err := writeSpec(t, "--tag=v1", "--gate=pushed"); err != nil || !bytes.Equal(pushed, plain) {
		t.Errorf("with the gate pushed the spec is\n%s\nand without one\n%s (%v)", pushed, plain, err)
	}
	for _, gate := range []pushspec.Gate{pushspec.GateGreen, pushspec.GateApproved} {
		data, err := writeSpec(t, "--tag=v1", "--gate="+string(gate))
		if err != nil {
			t.Fatal(err)
		}
		spec, err := pushspec.Decode(data)
		if err != nil || spec.SchemaVersion != pushspec.SchemaVersionV2 || spec.Destination.Gate != gate {
			t.Errorf("the spec is %s (%v), want version 2 with the gate %s", data, err, gate)
		}
	}
}

func TestWhatIsWrongInASpecIsSaidOfItsAttribute(t *testing.T) {
	for _, row := range []struct{ flag, want string }{
		{"--gate=red", `destination.gate: "red" must be pushed, green or approved (of the attribute gate or push_gate, or the setting gate)`},
		{"--tag={BRANCH|lower}", `destination.tags[0]: {BRANCH|lower}: there is no filter "lower"; write {BRANCH|slug} (of the attribute tag, tag_list, tag_file or push_specs)`},
		{"--tag={BRANCH:-a b}", `destination.tags[0]: {BRANCH:-a b}: the default "a b" must have 1 to 128 letters, digits, . _ - and / (of the attribute tag, tag_list, tag_file or push_specs)`},
		{"--overwrite=no", `destination.overwrite: "no" must be always or never (of the attribute overwrite)`},
	} {
		_, err := writeSpec(t, row.flag)
		if err == nil || !strings.HasSuffix(err.Error(), "push spec of @@//app:push: "+row.want) {
			t.Errorf("%s: error is\n%v\nwant\n%s", row.flag, err, row.want)
		}
	}
}
