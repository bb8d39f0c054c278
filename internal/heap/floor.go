// Package heap sets how much garbage a process may hold before it is collected.
package heap

import "runtime"

// DaemonFloor is what drayaged has, in bytes.
const DaemonFloor = 16 << 20

// Floor lets the process hold up to the given number of bytes of garbage, beside what
// the collector lets it hold anyway, until release is called.
//
// The collector runs when the heap has doubled. A relay keeps next to nothing and
// throws away some megabytes a millisecond, so that it would collect, say, a heap of
// 4 MiB a hundred times a second: a sixth of its CPU time. A larger GOGC would let a
// heap that is large for good reasons grow by the same factor, and a memory limit is a
// ceiling. So this is an allocation that nobody touches: the collector counts it, and
// the system never has to back it with memory.
func Floor(bytes int) (release func()) {
	ballast := make([]byte, bytes)
	return func() { runtime.KeepAlive(ballast) }
}
