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
		for range 256 << 10 {
			sink = make([]byte, 1<<10) // 256 MiB in all
		}
		runtime.ReadMemStats(&after)
		return after.NumGC - before.NumGC
	}
	without := collections()
	release := Floor(128 << 20)
	with := collections()
	release()
	// The test's own small heap is collected every few MiB without the floor, and every
	// 256 MiB with it.
	if without < 4 || with > without/4 {
		t.Errorf("%d collections without a floor, %d with one", without, with)
	}
}
