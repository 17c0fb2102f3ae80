//go:build !linux && !darwin && !freebsd

package gateway

func loadAverage() float64   { return 0 }
func availableMemory() int64 { return 0 }
