package e2e_test

import (
	"os/exec"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/go-json-experiment/json"
)

func TestDoctorTellsWhatRealRegistriesCan(t *testing.T) {
	t.Parallel()
	// What the two do differently is what makes the one cheaper to push to.
	for name, want := range map[string]map[string]bool{
		"distribution 3":   {"resume": true, "mount": true, "upload by PATCH": true, "lookup of tags": true, "digest told": true, "tags can be moved": true, "cleaning up": true},
		"distribution 2.8": {"resume": false, "mount": true, "upload by PATCH": true, "lookup of tags": true, "digest told": true, "tags can be moved": true, "cleaning up": true},
	} {
		t.Run(name, func(t *testing.T) {
			target := realRegistries[name](t)
			out, err := exec.CommandContext(t.Context(), rig.Drayage(t), "doctor", "--json", target.Host).Output()
			check(t, err)
			t.Logf("%s", out)
			var findings []struct {
				Name  string
				Works bool
			}
			check(t, json.Unmarshal(out, &findings, json.MatchCaseInsensitiveNames(true)))
			got := map[string]bool{}
			for _, f := range findings {
				got[f.Name] = f.Works
			}
			if len(findings) < 8 || !got["auth"] || !got["upload"] || !got["manifest"] {
				t.Errorf("the findings are %+v", findings)
			}
			for name, ok := range want {
				if got[name] != ok {
					t.Errorf("%s is %t, want %t", name, got[name], ok)
				}
			}
		})
	}
	target := rig.StartRegistry(t)
	out, err := exec.CommandContext(t.Context(), rig.Drayage(t), "doctor", target.Host).CombinedOutput()
	t.Logf("%s", out)
	check(t, err)
}
