package gateway

// isZombie reports whether the process has ended and waits to be reaped.
func isZombie(pid int) bool {
	_, dead, ok := sessionOf(pid)
	return ok && dead
}
