package gateway

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// kernelNice is what getpriority(2) gives for niceness 0: the system call returns 20 minus
// niceness.
const kernelNice = 20

// Niceness runs from leastNice to mostNice; the kernel cuts what lies outside.
const (
	leastNice = -20
	mostNice  = 19
)

// addNice adds n to the niceness of this process. Linux keeps it per thread, and a new thread has
// its creator's: so each thread gets the same value, until a pass finds none that has another.
func addNice(n int) error {
	target := max(leastNice, min(mostNice, niceness()+n))
	for {
		changed, err := niceThreads(target)
		if err != nil || !changed {
			return err
		}
	}
}

func niceThreads(target int) (changed bool, err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return false, err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return false, err
		}
		now, err := unix.Getpriority(unix.PRIO_PROCESS, tid)
		if errors.Is(err, unix.ESRCH) || kernelNice-now == target {
			continue // the thread has ended, or is done
		}
		if err != nil {
			return false, err
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, target); err != nil && !errors.Is(err, unix.ESRCH) {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

// niceness returns the niceness of the calling thread, which is that of the process unless somebody
// treats threads differently.
func niceness() int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return kernelNice - n
}
