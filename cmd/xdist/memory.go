package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// garbageFrom is from how many bytes of memory on a run collects garbage sooner than Go does by
// itself, which lets as much come together as is in use.
const garbageFrom = 128 << 20

// boundGarbage keeps the memory of this process near what it uses, where that is much, unless the
// user has set GOGC or GOMEMLIMIT. What agents can make a run keep has bounds, and twice as much
// would be there without it.
//
// It has no goroutine: each collection frees a mark that has the runtime look again.
func boundGarbage() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		followHeap(0)
	}
}

// mark is a pointer, so that it is an object of its own.
type mark struct{ _ *mark }

// followHeap sets Go's limit by what the last collection has found in use, and looks again after
// the next one.
func followHeap(before int64) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	limit := memoryLimit(int64(live[0].Value.Uint64()))
	if limit != before {
		debug.SetMemoryLimit(limit)
	}
	runtime.AddCleanup(new(mark), followHeap, limit)
}

// memoryLimit is Go's limit for a heap of which so much is in use. One that has nothing but what is
// needed is not to be collected all the time.
func memoryLimit(live int64) int64 {
	const step = 16 << 20 // to set it costs more than to look
	return max(garbageFrom, (live+live/2)/step*step)
}
