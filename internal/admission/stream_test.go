package admission_test

import (
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/admission"
)

func TestWhoMaySendBuildEvents(t *testing.T) {
	for _, row := range []struct {
		name   string
		stream []string
		client string
		want   bool
	}{
		{"everybody, if nobody is named", nil, "address:10.0.0.7", true},
		{"nobody, if the list is empty", []string{}, "token:ci", false},
		{"a client that a pattern matches", []string{"token:c*", "address:10.0.0.0/8"}, "token:ci", true},
		{"a network", []string{"token:c*", "address:10.0.0.0/8"}, "address:10.0.0.7", true},
		{"no other client", []string{"token:c*", "address:10.0.0.0/8"}, "address:192.168.0.7", false},
	} {
		if got := policy(t, admission.Policy{Stream: row.stream}).MayStream(row.client); got != row.want {
			t.Errorf("%s: %t, want %t", row.name, got, row.want)
		}
	}
	if _, err := admission.New(admission.Policy{Stream: []string{"everybody"}}); err == nil || !strings.HasPrefix(err.Error(), `stream: "everybody" must begin with`) {
		t.Errorf("a pattern that is none: error is %v", err)
	}
}
