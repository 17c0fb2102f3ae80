//go:build !linux

package unit

import (
	"os"
	"time"
)

func statusChange(os.FileInfo) (time.Time, bool) { return time.Time{}, false }
