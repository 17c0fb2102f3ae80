//go:build !linux && !darwin && !windows

package unit

import (
	"os"
	"time"
)

func statusChange(os.FileInfo) (time.Time, bool) { return time.Time{}, false }

func birth(string) (time.Time, bool) { return time.Time{}, false }
