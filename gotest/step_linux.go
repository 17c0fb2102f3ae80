package gotest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// childrenOf returns the processes that a process has started and that run, in so far as /proc
// tells.
func childrenOf(pid int) []child {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is right
	var all []child
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			id, err := strconv.Atoi(field)
			if err != nil {
				continue
			}
			if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id)); err == nil && len(line) > 0 {
				all = append(all, child{id, strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")})
			}
		}
	}
	return all
}
