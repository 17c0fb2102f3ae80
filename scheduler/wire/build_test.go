package wire

import (
	"path/filepath"
	"strings"
	"testing"
)

// The last element of what a host names becomes a name on the controller: it must be one, and not
// lead elsewhere.
func TestBuiltNames(t *testing.T) {
	const digest = "01234567890123456789012345678901"
	for _, tt := range []struct {
		binary, meta string
		want         string // of the error; "" is none
	}{
		{"/b/ab/m.test", "", ""},
		{`C:\b\ab\m.test.exe`, `C:\run\covermeta-0123456789abcdef`, ""},
		{"/b/ab/m.test", "/run/covermeta-0123456789abcdef", ""},
		{"", "", "the path of its binary"},
		{"/b/ab/", "", "the path of its binary"},
		{"/b/ab/..", "", "the path of its binary"},
		{"/b/ab/.", "", "the path of its binary"},
		{`C:\b\ab\..`, "", "the path of its binary"},
		{"/b/ab/m.test", "/x/..", "the path of its coverage data"},
		{"/b/ab/m.test", "/x/.", "the path of its coverage data"},
		{"/b/ab/m.test", "..", "the path of its coverage data"},
		{"/b/ab/m.test", `C:\x\..`, "the path of its coverage data"},
		{"/b/ab/m.test", "/x/", "the path of its coverage data"},
	} {
		b := BuiltPackage{Package: "m", Digest: []byte(digest), Binary: tt.binary, CoverMeta: tt.meta}
		r, err := b.Ready("token")
		if tt.want == "" && (err != nil || r.Binary != tt.binary || r.CoverMeta != tt.meta) {
			t.Errorf("%q, %q: %+v, %v", tt.binary, tt.meta, r, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q, %q: error %v, want %q", tt.binary, tt.meta, err, tt.want)
		}
	}
}

// A path of another host is split as that host does it.
func TestLastElement(t *testing.T) {
	for path, want := range map[string][2]string{"/a/b": {"/a", "b"}, `C:\a\b.exe`: {`C:\a`, "b.exe"}, "x": {"", "x"}} {
		if dir, name := LastElement(path); dir != want[0] || name != want[1] {
			t.Errorf("%s: %q and %q", path, dir, name)
		}
	}
	_, name := LastElement("/a/..")
	if at := filepath.Join("run", "built", name); at != "run" {
		t.Errorf("%s: such a name does lead elsewhere, and the test above means nothing", at)
	}
}
