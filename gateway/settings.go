package gateway

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

// obey does in the agent what the controller's spec asks for, and tells what the agent is then.
func obey(h hello) (Info, error) {
	if h.Chdir != "" {
		if err := os.MkdirAll(h.Chdir, 0o777); err != nil {
			return Info{}, fmt.Errorf("create directory: %w", err)
		}
		if err := os.Chdir(h.Chdir); err != nil {
			return Info{}, fmt.Errorf("enter directory: %w", err)
		}
	}
	if h.Nice != 0 {
		if err := addNice(h.Nice); err != nil {
			return Info{}, fmt.Errorf("add %d to niceness: %w", h.Nice, err)
		}
	}
	return selfInfo(), nil
}

// infoHandler is the name of the handler that every agent has for Refresh.
const infoHandler = reservedPrefix + "info"

func tellInfo(ctx context.Context, ch *Channel, _ Item) error { return ch.Send(ctx, selfInfo()) }

// selfInfo describes this process. What cannot be found out stays empty.
func selfInfo() Info {
	info := Info{
		Pid: os.Getpid(), GOOS: runtime.GOOS, GOARCH: runtime.GOARCH,
		CPUs: UsableCPUs(), GoVersion: runtime.Version(), Niceness: niceness(),
	}
	info.Hostname, _ = os.Hostname()
	info.Dir, _ = os.Getwd()
	info.Executable, _ = os.Executable()
	info.Version = ownVersion()
	info.Load = loadOf(info.Dir)
	return info
}

// ownVersion is that of the program, "" when it is not known.
func ownVersion() string {
	if b, ok := debug.ReadBuildInfo(); ok {
		return b.Main.Version
	}
	return ""
}
