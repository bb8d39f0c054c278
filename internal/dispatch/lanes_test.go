package dispatch

import (
	"fmt"
	"testing"
	"time"
)

func TestARegistryThatIsStuckLeavesWorkersToOthers(t *testing.T) {
	now := time.Unix(0, 0)
	lanes := newLanes(4, func() time.Time { return now })
	enter := func(host string) func(bool) {
		left, ok := lanes.enter(host)
		if !ok {
			return nil
		}
		return left
	}
	var under []func(bool)
	for range 4 {
		under = append(under, enter("slow.test"))
	}
	if under[3] == nil {
		t.Fatal("a registry is limited before it is known to be stuck")
	}
	now = now.Add(stuckAfter + time.Second)
	under[0](false)
	if enter("slow.test") != nil {
		t.Error("a registry that is stuck took the fourth of four workers")
	}
	other := enter("quick.test")
	if other == nil {
		t.Fatal("another registry has no worker")
	}
	other(true)

	// One haul that ends for good, and it has all of them again.
	under[1](true)
	for range 2 {
		if enter("slow.test") == nil {
			t.Error("a registry with which things go on is limited")
		}
	}
}

func TestWithOneWorkerNobodyWaitsForEver(t *testing.T) {
	now := time.Unix(0, 0)
	lanes := newLanes(1, func() time.Time { return now })
	for range 3 {
		left, ok := lanes.enter("slow.test")
		if !ok {
			t.Fatal("the only worker may not be taken")
		}
		now = now.Add(time.Hour)
		left(false)
	}
}

func TestIdleRegistriesAreForgotten(t *testing.T) {
	lanes := newLanes(4, time.Now)
	for n := range 3 * maxLanes {
		left, _ := lanes.enter(fmt.Sprint(n))
		left(true)
	}
	if len(lanes.hosts) > maxLanes {
		t.Errorf("%d registries are remembered", len(lanes.hosts))
	}
}
