package scheduler

import (
	"runtime"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/scheduler/wire"
)

// A popen gateway of another platform has its agent started under the spec's exec=. Under an
// emulator of processors (qemu) the agent sees this host's files as they are, and a program that it
// starts leaves the emulator, so it needs the wrapper again. Under wine the agent is a Windows
// program in a Windows world: what it starts stays there, and this host's files are on drive Z.

// insideWindows reports whether n's agent runs as a Windows program on a host that is none.
func (n *node) insideWindows() bool {
	return n.spec.Popen && n.spec.Via == "" && n.info.GOOS == "windows" && runtime.GOOS != "windows"
}

// localize puts an order into the terms of the world that n's agent lives in. A mirrored order gets
// its directory when it is sent.
func (n *node) localize(o *wire.Order, mirrored bool) {
	if !n.insideWindows() {
		o.Exec = append(n.spec.ExecWords(), o.Exec...)
		return
	}
	o.Binary, o.CoverMeta = driveZ(o.Binary), driveZ(o.CoverMeta)
	if !mirrored {
		o.Dir = driveZ(o.Dir)
	}
	o.Args = slices.Clone(o.Args)
	for i, a := range o.Args {
		if name, value, ok := strings.Cut(a, "="); ok && name == "-test.outputdir" {
			o.Args[i] = name + "=" + driveZ(value)
		}
	}
	// The directories on this host's PATH mean nothing there.
	o.Env = slices.DeleteFunc(slices.Clone(o.Env), func(e string) bool { return strings.HasPrefix(e, "PATH=") })
}

// driveZ is an absolute path of this host as a Windows program under wine sees it.
func driveZ(path string) string {
	if !strings.HasPrefix(path, "/") {
		return path
	}
	return "Z:" + strings.ReplaceAll(path, "/", `\`)
}
