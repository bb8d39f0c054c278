package main

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/drift"
	"github.com/drayage/drayage/internal/operator"
)

func TestTheLastComparisonWithTheRegistriesIsShown(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	d := newTestDaemon(t)
	began := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	ok := operator.Verification{Began: began, Ended: began.Add(time.Minute), Checked: 12, Unknown: 1, Differences: []drift.Difference{
		{Row: 7, Kind: drift.Unknown, Reference: "ghcr.io/acme/app:v1", Text: "could not be looked up: it is down"},
	}}
	bad := operator.Verification{Began: began, Checked: 5, Missing: 1, Omitted: 2, Error: "the store is on fire", Differences: []drift.Difference{
		{Row: 3, Kind: drift.Missing, Reference: "ghcr.io/acme/app:v0", Text: "is no longer in the registry"},
	}}
	var shown strings.Builder
	show := func(args ...string) {
		out, _ := tool(t, append([]string{"ledger", "verify", "--last"}, args...)...) // the error is in it
		shown.WriteString(out)
	}
	show()
	for _, v := range []operator.Verification{ok, bad} {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.store.SaveVerification(t.Context(), body, nil); err != nil {
			t.Fatal(err)
		}
		show()
	}
	show("--registry")
	golden(t, "verify_last.golden", shown.String())
}
