package gateway

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/xdist-go/xdist/internal/cmdline"
)

// unameSystems and unameMachines are Go's names for what uname -s and -m print, in lower case.
var (
	unameSystems = map[string]string{
		"linux": "linux", "darwin": "darwin", "freebsd": "freebsd", "netbsd": "netbsd", "openbsd": "openbsd", "dragonfly": "dragonfly",
		"sunos": "solaris", "aix": "aix",
	}
	unameMachines = map[string]string{
		"x86_64": "amd64", "amd64": "amd64", "i386": "386", "i486": "386", "i586": "386", "i686": "386", "x86": "386", "i86pc": "amd64",
		"aarch64": "arm64", "arm64": "arm64", "evbarm": "arm64",
		"arm": "arm", "armv5tel": "arm", "armv6l": "arm", "armv7l": "arm", "armv8l": "arm", "armv7": "arm",
		"riscv64": "riscv64", "s390x": "s390x", "ppc64": "ppc64", "ppc64le": "ppc64le", "loongarch64": "loong64",
		"mips": "mips", "mipsel": "mipsle", "mips64": "mips64", "mips64el": "mips64le",
	}
)

// parseUname names the platform for which uname -s -m has printed this.
func parseUname(system string) (goos, goarch string, err error) {
	name, machine, _ := strings.Cut(strings.ToLower(strings.TrimSpace(system)), " ")
	goos, goarch = unameSystems[name], unameMachines[strings.TrimSpace(machine)]
	if goos == "" {
		for _, shell := range []string{"mingw", "msys", "cygwin", "windows"} {
			if strings.HasPrefix(name, shell) {
				goos = "windows"
			}
		}
	}
	if goos == "" || goarch == "" {
		return "", "", fmt.Errorf("the system %q is not one that Go has", cmdline.Printable(system))
	}
	return goos, goarch, nil
}

// ownUname is what uname -s -m most likely prints where this program runs; empty when that is
// anybody's guess.
func ownUname() string {
	systems := map[string]string{"linux": "Linux", "darwin": "Darwin", "freebsd": "FreeBSD"}
	machines := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64", "s390x": "s390x", "ppc64le": "ppc64le"}
	if runtime.GOOS != "linux" {
		machines["arm64"] = "arm64"
	}
	if runtime.GOOS == "freebsd" {
		machines["amd64"] = "amd64"
	}
	system, machine := systems[runtime.GOOS], machines[runtime.GOARCH]
	if system == "" || machine == "" {
		return ""
	}
	return system + " " + machine
}
