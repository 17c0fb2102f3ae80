package gateway

import "runtime"

// UsableCPUs returns how many processors this process may keep busy: those that its affinity mask
// allows, and no more than the CPU quota of its control groups. It is at least 1. GOMAXPROCS plays
// no part.
func UsableCPUs() int {
	n := runtime.NumCPU()
	if quota, ok := cpuQuota(); ok {
		n = min(n, max(1, int(quota+0.5)))
	}
	return n
}
