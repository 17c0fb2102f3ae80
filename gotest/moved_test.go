package gotest

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMoved has paths of every kind in a command that goes to another host.
func TestMoved(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)
	abs := func(name string) string { return filepath.Join(here, name) }
	c, err := ParseCommand([]string{
		"-C=sub", "-tags=a=b", "-modfile=" + abs("sub/x.mod"), "-cover", "-buildvcs=true", "-cpuprofile=x", "./...", abs("sub/p"), "-args", "-own=" + abs("y"), "-test.v",
	}, "-run=TestX")
	if err != nil {
		t.Fatal(err)
	}
	m := c.Moved(func(path string) string {
		return strings.Replace(filepath.ToSlash(path), filepath.ToSlash(here), "/there", 1)
	})
	if m.Dir != "/there/sub" || m.Chdir != "" {
		t.Errorf("directory %q, -C %q", m.Dir, m.Chdir)
	}
	if want := []string{"-tags=a=b", "-modfile=/there/sub/x.mod", "-buildvcs=true"}; !slices.Equal(m.BuildFlags, want) {
		t.Errorf("build flags %q, want %q", m.BuildFlags, want)
	}
	if want := []string{"./...", "/there/sub/p"}; !slices.Equal(m.Packages, want) {
		t.Errorf("packages %q, want %q", m.Packages, want)
	}
	for _, want := range []string{"-test.outputdir=/there/sub", "-own=" + abs("y"), "-test.run=TestX"} {
		if !slices.Contains(m.TestArgs, want) {
			t.Errorf("no %q in %q", want, m.TestArgs)
		}
	}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeCommand(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("written and read (- before, + after): %s", diff)
	}
	if !got.coverFlagsSet || !got.vcsStamped || !got.rawTestFlags {
		t.Errorf("not all is there: %+v", got)
	}
}

func TestDecodeCommandRefuses(t *testing.T) {
	if _, err := DecodeCommand([]byte(`{"Packages":`)); err == nil || !strings.HasPrefix(err.Error(), "read a go test command: ") {
		t.Errorf("error %v", err)
	}
}
