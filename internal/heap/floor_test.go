package heap

import (
	"runtime"
	"runtime/debug"
	"testing"
)

var sink []byte

func TestFloorLetsGarbageBe(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	collections := func() uint32 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range 64 << 10 {
			sink = make([]byte, 1<<10) // 64 MiB in all
		}
		runtime.ReadMemStats(&after)
		return after.NumGC - before.NumGC
	}
	without := collections()
	release := Floor(32 << 20)
	with := collections()
	release()
	// The test's own heap of less than 4 MiB is collected at 4 MiB without the floor,
	// and at some 60 MiB with it.
	if without < 8 || with > without/4 {
		t.Errorf("%d collections without a floor, %d with one", without, with)
	}
}
