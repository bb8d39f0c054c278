package main

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
)

func TestWhatAnInvocationExpectedIsShown(t *testing.T) {
	d := newTestDaemon(t)
	d.enqueue(t, "first", map[string]string{"//app:push": "a", "//app:bad": "b"})
	d.pushTo(t, "registry.test", "first")
	d.enqueue(t, "first", map[string]string{"//web:push": "c"})
	if err := d.store.SaveInvocation(t.Context(), store.Invocation{ID: "first", Absent: []store.Absent{
		{Target: "//gone:push", State: ledger.ExpectedAborted, Reason: "analysis\x1b[2Jfailed"},
	}}); err != nil {
		t.Fatal(err)
	}
	out, err := tool(t, "ledger", "expected", "first")
	if err != nil {
		t.Error(err)
	}
	golden(t, "expected.golden", out)

	out, err = tool(t, "ledger", "expected", "first", "-o", "json")
	var set operator.ExpectedSet
	if err != nil || json.Unmarshal([]byte(out), &set) != nil || len(set.Expected) != 4 {
		t.Errorf("as JSON it is %v\n%s", err, out)
	}
	if out, err := tool(t, "ledger", "expected", "nobody"); err == nil || !strings.Contains(out, `no stream of invocation "nobody"`) {
		t.Errorf("what is expected of nobody: %v\n%s", err, out)
	}
}

func TestTwoInvocationsAreCompared(t *testing.T) {
	d := newTestDaemon(t)
	d.enqueue(t, "first", map[string]string{"//app:push": "a", "//app:bad": "b", "//web:push": "c"})
	d.enqueue(t, "second", map[string]string{"//app:push": "d", "//web:push": "c"})
	d.pushTo(t, "registry.test", "first")
	d.pushTo(t, "registry.test", "second")
	out, err := tool(t, "ledger", "compare", "first", "second")
	if err != nil {
		t.Error(err)
	}
	all, err := tool(t, "ledger", "compare", "first", "second", "--all")
	if err != nil {
		t.Error(err)
	}
	same, err := tool(t, "ledger", "compare", "first", "first")
	if err != nil {
		t.Error(err)
	}
	golden(t, "compare.golden", out+"\n"+all+"\n"+same)
	if out, err := tool(t, "ledger", "compare", "first", "second", "-o", "csv"); err == nil || !strings.Contains(out, "must be table or json") {
		t.Errorf("a format that is not there: %v\n%s", err, out)
	}
}
