package pushspec_test

import (
	"strings"
	"testing"

	"github.com/drayage/drayage/pushspec"
)

func TestTheStrictestGateCounts(t *testing.T) {
	for _, row := range []struct {
		given []pushspec.Gate
		want  pushspec.Gate
		holds bool
	}{
		{nil, pushspec.GatePushed, false},
		{[]pushspec.Gate{"", ""}, pushspec.GatePushed, false},
		{[]pushspec.Gate{"", "green", "pushed"}, pushspec.GateGreen, true},
		{[]pushspec.Gate{"approved", "green", ""}, pushspec.GateApproved, true},
		{[]pushspec.Gate{"green", "gren"}, pushspec.GateApproved, true}, // nobody knows what was meant
	} {
		got := pushspec.Strictest(row.given...)
		if got != row.want || got.Holds() != row.holds {
			t.Errorf("of %q the strictest is %q, and holds tags: %t, want %q, %t", row.given, got, got.Holds(), row.want, row.holds)
		}
	}
}

func TestAGateIsOneOfThree(t *testing.T) {
	for text, want := range map[string]pushspec.Gate{"": "pushed", "pushed": "pushed", "green": "green", "approved": "approved"} {
		if got, err := pushspec.ParseGate(text); err != nil || got != want {
			t.Errorf("%q is %q, error %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"Green", "red", "green "} {
		if got, err := pushspec.ParseGate(text); err == nil || !strings.Contains(err.Error(), "must be pushed, green or approved") {
			t.Errorf("%q is %q, error %v, want one that says which there are", text, got, err)
		}
	}
}
