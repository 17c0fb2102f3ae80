//go:build !linux

package gateway

// cpuQuota returns false: only Linux has control groups.
func cpuQuota() (float64, bool) { return 0, false }
