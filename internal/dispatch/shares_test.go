package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The sleeps below are within synctest's bubbles, whose clock is their own: they take
// no time, and end when all else waits.

// never is a registry that makes no progress.
func never(string) time.Time { return time.Time{} }

func TestARegistryThatIsStuckLeavesWorkersToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shares := newShares(4, func(string) time.Time { return time.Now() }) // slow, and not silent
		enter := func(host string) func(bool) {
			_, stay, ok := shares.enter(t.Context(), host)
			if !ok {
				return nil
			}
			return stay.leave
		}
		var under []func(bool)
		for range 4 {
			under = append(under, enter("slow.test"))
		}
		if under[3] == nil {
			t.Fatal("a registry is limited before it is known to be stuck")
		}
		time.Sleep(stuckAfter + time.Second)
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
			left := enter("slow.test")
			if left == nil {
				t.Fatal("a registry with which things go on is limited")
			}
			defer left(true)
		}
		under[2](true)
		under[3](true)
	})
}

func TestASilentRegistryGivesUpWorkersThatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var heard atomic.Pointer[time.Time] // when the registry last took bytes
		heard.Store(&began)
		shares := newShares(8, func(string) time.Time { return *heard.Load() })
		var hauls []context.Context
		for range 8 {
			hauling, stay, ok := shares.enter(t.Context(), "silent.test")
			if !ok {
				t.Fatal("a registry is limited before it is known to be stuck")
			}
			defer stay.leave(false)
			hauls = append(hauls, hauling)
		}
		ended := func() (n int) {
			for i, hauling := range hauls {
				if hauling.Err() == nil {
					continue
				}
				if n++; !errors.Is(context.Cause(hauling), errMakeRoom) || i < 6 {
					t.Errorf("haul %d ended: %v", i, context.Cause(hauling))
				}
			}
			return n
		}
		time.Sleep(20 * time.Second)
		bytesTaken := time.Now()
		heard.Store(&bytesTaken)
		time.Sleep(29 * time.Second)
		if n := ended(); n != 0 {
			t.Errorf("%d hauls ended after %s, %s after it took bytes", n, time.Since(began), time.Since(bytesTaken))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := ended(); n != 2 {
			t.Errorf("%d hauls made room, want a quarter of 8", n)
		}
	})
}

func TestWithOneWorkerNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shares := newShares(1, never)
		for range 3 {
			hauling, stay, ok := shares.enter(t.Context(), "slow.test")
			if !ok {
				t.Fatal("the only worker may not be taken")
			}
			time.Sleep(time.Hour)
			if hauling.Err() != nil {
				t.Errorf("the only haul had to make room: %v", context.Cause(hauling))
			}
			stay.leave(false)
		}
	})
}

func TestIdleRegistriesAreForgotten(t *testing.T) {
	shares := newShares(4, never)
	for n := range 3 * maxShares {
		_, stay, _ := shares.enter(t.Context(), fmt.Sprint(n))
		over := stay.visit(fmt.Sprint(n), fmt.Sprint("base-", n))
		over(true)
		stay.leave(true)
	}
	if len(shares.hosts) > maxShares {
		t.Errorf("%d registries are remembered", len(shares.hosts))
	}
}

func TestABaseThatIsDownPausesNothingThatGoesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shares := newShares(8, never)
		var hauls []context.Context
		var stays []*stay
		for range 8 {
			hauling, stay, ok := shares.enter(t.Context(), "registry.test")
			if !ok {
				t.Fatal("a registry is limited before it is known to be stuck")
			}
			stay.visit("registry.test", "base.test")
			hauls, stays = append(hauls, hauling), append(stays, stay)
		}
		time.Sleep(stuckAfter + time.Second)
		synctest.Wait()
		room := 0
		for i, hauling := range hauls {
			if hauling.Err() != nil {
				room++
				stays[i].leave(false)
			}
		}
		if room != 2 {
			t.Errorf("%d hauls made room, want a quarter of 8", room)
		}
		// Who needs no base goes on; who does comes back later.
		_, other, ok := shares.enter(t.Context(), "registry.test")
		if !ok {
			t.Fatal("the registry has no worker, for a base that is down")
		}
		hauling, needs, ok := shares.enter(t.Context(), "registry.test")
		if !ok {
			t.Fatal("the registry has no second worker")
		}
		over := needs.visit("registry.test", "base.test")
		if !errors.Is(context.Cause(hauling), errMakeRoom) {
			t.Error("the base has a seventh worker")
		}
		over(false)
		needs.leave(false)
		other.leave(true)
		// The base is back.
		for i, hauling := range hauls {
			if hauling.Err() == nil {
				stays[i].leave(true)
			}
		}
		if n := len(shares.hosts["base.test"].under) + len(shares.hosts["registry.test"].under) + shares.hosts["registry.test"].away; n != 0 {
			t.Errorf("%d hauls are still there", n)
		}
	})
}

func TestAHaulComesBackFromItsBase(t *testing.T) {
	shares := newShares(4, never)
	_, stay, _ := shares.enter(t.Context(), "registry.test")
	first, second := stay.visit("registry.test", "base.test"), stay.visit("registry.test", "other.test")
	home, base := shares.hosts["registry.test"], shares.hosts["base.test"]
	if len(home.under) != 0 || len(base.under) != 1 {
		t.Errorf("%d are at home and %d at the base", len(home.under), len(base.under))
	}
	first(true)
	second(false)
	if len(home.under) != 1 || len(base.under) != 0 || home.away != 0 {
		t.Errorf("%d are at home and %d at the base", len(home.under), len(base.under))
	}
	// The registry itself may be the base's.
	over := stay.visit("registry.test", "registry.test")
	over(true)
	stay.leave(true)
	if len(home.under) != 0 {
		t.Errorf("%d are at home after they left", len(home.under))
	}
}
