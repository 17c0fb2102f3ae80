package agents

import (
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

func TestRecipe(t *testing.T) {
	for _, tt := range []struct {
		name, function, path string
		settings             string // KEY=VALUE, separated by |
		tests                bool
		flags, env           string // separated by |
		err                  string
	}{
		{name: "a program", function: "main.main", path: "example.com/m", flags: "-tags=|-ldflags="},
		{name: "of a file", function: "main.init", path: "command-line-arguments", flags: "-tags=|-ldflags="},
		{name: "without modules", function: "main.main.func1", flags: "-tags=|-ldflags="},
		{name: "a test", function: "example.com/m/a.TestMain", path: "example.com/m/a.test", tests: true, flags: "-tags=|-ldflags="},
		{name: "from outside", function: "example.com/m/a_test.TestMain", path: "example.com/m/a.test", tests: true, flags: "-tags=|-ldflags="},
		{name: "of a program", function: "example.com/m.TestMain", path: "example.com/m", tests: true, flags: "-tags=|-ldflags="},
		{name: "with a dot", function: "gopkg.in/m%2ev3.(*T).Method", path: "gopkg.in/m.v3.test", tests: true, flags: "-tags=|-ldflags="},
		{name: "a library", function: "example.com/m/a.Open", path: "example.com/m", err: "called in package example.com/m/a:"},
		{name: "a library without modules", function: "a.Open", err: "called in package a:"},
		{
			name: "settings", function: "main.main", path: "example.com/m",
			settings: "-buildmode=pie|-compiler=gc|-tags=a,b|-race=true|-gcflags=all=-N -l|CGO_ENABLED=1|CGO_CFLAGS=-I/x|GOAMD64=v3|GOEXPERIMENT=synctest|vcs.revision=1",
			flags:    "-tags=a,b|-ldflags=|-gcflags=all=-N -l", env: "GOEXPERIMENT=synctest",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var info *debug.BuildInfo
			if tt.path != "" {
				info = &debug.BuildInfo{Path: tt.path}
			}
			for s := range strings.SplitSeq(tt.settings, "|") {
				if key, value, ok := strings.Cut(s, "="); ok {
					info.Settings = append(info.Settings, debug.BuildSetting{Key: key, Value: value})
				}
			}
			r, err := recipeOf(runtime.Frame{Function: tt.function, File: "/src/main.go"}, info)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			fields := func(text string) []string {
				return slices.DeleteFunc(strings.Split(text, "|"), func(s string) bool { return s == "" })
			}
			wantFlags := append([]string{"-trimpath", "-buildvcs=false"}, fields(tt.flags)...)
			if r.dir != "/src" || r.tests != tt.tests || !slices.Equal(r.flags, wantFlags) || !slices.Equal(r.env, fields(tt.env)) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// Of the linker's flags those are kept that change what the program is.
func TestLinkerFlags(t *testing.T) {
	for flags, want := range map[string]string{
		"":                                       "",
		"-X main.version=1.2 -X=main.commit=abc": "-X main.version=1.2 -X=main.commit=abc",
		"--X 'main.text=a b' -s -w":              "--X 'main.text=a b' -s -w",
		`-X "main.text=it's"`:                    `-X "main.text=it's"`,
		"-X main.empty=":                         "-X main.empty=",
		"-linkmode external -extldflags '-static -s' -X main.version=1": "-X main.version=1",
		"-extldflags \"-static\"":                   "",
		"-checklinkname=0 -H windowsgui -buildid= ": "-checklinkname=0 -buildid=",
		"-race -d -X main.a=b":                      "-X main.a=b",
		"all=-s -linkmode=external":                 "all=-s",
		"all=-linkmode=external":                    "",
		"-X":                                        "-X", // the go command has refused it
	} {
		if got := linkerFlags(flags); got != want {
			t.Errorf("%s: got %s, want %s", flags, got, want)
		}
	}
}
