package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// A heap that is in use has half as much again, and a small one what Go takes.
func TestMemoryLimit(t *testing.T) {
	for live, want := range map[int64]int64{0: garbageFrom, 80 << 20: garbageFrom, 200 << 20: 288 << 20, 1 << 30: 3 << 29} {
		if got := memoryLimit(live); got != want {
			t.Errorf("%d MiB in use: %d MiB, want %d", live>>20, got>>20, want>>20)
		}
	}
}

// The limit follows what is in use, up and down.
func TestBoundGarbage(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	had := debug.SetMemoryLimit(-1)
	boundGarbage()
	defer debug.SetMemoryLimit(had)
	await := func(what string, reached func(limit int64) bool) {
		deadline := time.Now().Add(time.Minute)
		for !reached(debug.SetMemoryLimit(-1)) {
			if time.Now().After(deadline) {
				t.Fatalf("the limit is %d MiB with %s", debug.SetMemoryLimit(-1)>>20, what)
			}
			runtime.GC()
			runtime.Gosched() // to the cleanup
		}
	}
	await("little in use", func(limit int64) bool { return limit == garbageFrom })
	large := make([]byte, 300<<20)
	await("much in use", func(limit int64) bool { return limit > 400<<20 && limit < math.MaxInt64 })
	runtime.KeepAlive(large)
	large = nil
	await("little in use again", func(limit int64) bool { return limit == garbageFrom })
}
