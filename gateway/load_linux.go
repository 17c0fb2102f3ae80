package gateway

import (
	"bytes"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// loadAverage is that of the last minute.
func loadAverage() float64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return math.Round(float64(info.Loads[0])/(1<<16)*100) / 100 // as /proc/loadavg shows it
}

// availableMemory is the kernel's estimate.
func availableMemory() int64 {
	text, _ := os.ReadFile("/proc/meminfo") // which may be missing
	return memoryAvailable(text)
}

// memoryAvailable reads it in the text of /proc/meminfo. It is 0 when it is not there.
func memoryAvailable(text []byte) int64 {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("MemAvailable:")); ok {
			kilobytes, _ := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 53)
			return max(0, kilobytes) << 10
		}
	}
	return 0
}
