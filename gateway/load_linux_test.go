package gateway

import "testing"

func TestMemoryAvailable(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal:       8039916 kB\nMemFree:          306924 kB\nMemAvailable:    5161576 kB\nBuffers: 1 kB\n": 5161576 << 10,
		"MemAvailable: 1 kB\n": 1024,
		"":                     0, "MemFree: 3 kB\n": 0, "MemAvailable: x kB\n": 0, "MemAvailable: -3 kB\n": 0, "MemAvailable:": 0,
	} {
		if got := memoryAvailable([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
