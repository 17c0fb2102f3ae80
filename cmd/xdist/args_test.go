package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitArgs(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"own flags, packages, go test's flags", "-n 2 ./... -run Foo -v", "-n 2 -- ./... -run Foo -v"},
		{"go test's flags before the packages", "-race -run Foo -n 2 ./...", "-n 2 -- -race -run Foo ./..."},
		{"a go test value that looks like a package", "-tags integration ./...", "-- -tags integration ./..."},
		{"-x and -n before the packages are xdist's", "-x -n 3 ./...", "-x -n 3 -- ./..."},
		{"-x and -n behind the packages are go test's", "./... -x -n", "-- ./... -x -n"},
		{"two dashes are xdist's behind the packages too", "./... --tx 2*popen --json", "--tx 2*popen --json -- ./..."},
		{"one dash behind the packages is the binary's", "./... -debug -format=x", "-- ./... -debug -format=x"},
		{"-args ends it", "-n 2 ./... -args --json -n", "-n 2 -- ./... -args --json -n"},
		{"a value after =", "--tx=2*popen -run=X .", "--tx=2*popen -- -run=X ."},
		{"no packages", "-n 2", "-n 2 --"},
		{"list has go test's flags", "list ./... -tags x", "list -- ./... -tags x"},
		{"other subcommands are left alone", "cache show --cache-dir d", "cache show --cache-dir d"},
		{"join takes its flags behind the address too", "join h:1 --key k -n 2 --insecure", "join --key k -n 2 --insecure h:1"},
		{"what follows -- is go test's, as gotestsum has it", "-n 2 -- -race -n ./x/...", "-n 2 -- -race -n ./x/..."},
		{"-- behind packages is go test's own", "./x -- -y", "-- ./x -- -y"},
		{"the version, as a flag", "--version", "version"},
		{"a package called like a subcommand needs ./", "./list", "-- ./list"},
	} {
		got := splitArgs(append([]string{"xdist"}, strings.Fields(tt.in)...))
		if diff := cmp.Diff(append([]string{"xdist"}, strings.Fields(tt.want)...), got); diff != "" {
			t.Errorf("%s: splitArgs(%q) (-want +got):\n%s", tt.name, tt.in, diff)
		}
	}
}

func TestCheckUnknown(t *testing.T) {
	for _, tt := range []struct {
		in string
		ok bool
	}{
		{"./... -own", true},
		{"-race ./...", true},
		{"-run X -count=1", true},
		{"--numproceses 3 ./...", false},
		{"-run -z ./...", true}, // -z is the value
		{"-v --jsonfiel=x", false},
	} {
		if err := checkUnknown(strings.Fields(tt.in)); (err == nil) != tt.ok {
			t.Errorf("checkUnknown(%q) = %v, want ok %t", tt.in, err, tt.ok)
		}
	}
}

func TestParseSize(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"17", 17, true}, {"500M", 500 << 20, true}, {"5G", 5 << 30, true},
		{"", 0, false}, {"G", 0, false}, {"-1", 0, false}, {"1.5G", 0, false}, {"5Gx", 0, false}, {"9999999999T", 0, false},
	} {
		got, err := parseSize("cache-size", tt.in)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("parseSize(%q) = %d, %v; want %d, ok %t", tt.in, got, err, tt.want, tt.ok)
		}
	}
}
