//go:build unix && !linux

package gateway

import "golang.org/x/sys/unix"

// addNice adds n to the niceness of this process.
func addNice(n int) error {
	now, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return err
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, now+n)
}

// niceness returns the niceness of this process.
func niceness() int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return n
}
