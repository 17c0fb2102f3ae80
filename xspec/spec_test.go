package xspec

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// diff compares what Parse has read, apart from the text, which is all that Equal looks at.
func diff(want, got Spec) string {
	type fields Spec // without the method
	return cmp.Diff(fields(want), fields(got), cmpopts.IgnoreUnexported(fields{}))
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		conformance int // number in the list of conformance cases; 0 for others
		text        string
		want        Spec
	}{
		{1, "popen", Spec{Popen: true}},
		{2, `socket=192.168.102.2:8888//go=c:/go/bin/go//chdir=d:\hello`,
			Spec{Socket: "192.168.102.2:8888", Go: "c:/go/bin/go", Chdir: `d:\hello`}},
		{2, "popen//chdir=a=b", Spec{Popen: true, Chdir: "a=b"}},
		{3, "socket=h:1//nice=3", Spec{Socket: "h:1", Nice: 3}},
		{3, "popen//nice=-3", Spec{Popen: true, Nice: -3}},
		{4, "ssh=-i ~/.ssh/id -p 22100 user@host//id=a", Spec{SSH: "-i ~/.ssh/id -p 22100 user@host", ID: "a"}},
		{4, "ssh=user@host:2222", Spec{SSH: "user@host:2222"}},
		{4, "ssh=user@[2001:db8::2]:22", Spec{SSH: "user@[2001:db8::2]:22"}},
		{0, "listen=:7000//key=team.key//nice=3", Spec{Listen: ":7000", Key: "team.key", Nice: 3}},
		{0, "listen=[::1]:7000//insecure//id=gw3", Spec{Listen: "[::1]:7000", Insecure: true, ID: "gw3"}},
		{7, "hello=3", Spec{Unknown: []Var{{"hello", "3"}}}},
		{7, "popen//z//a=1", Spec{Popen: true, Unknown: []Var{{"z", "true"}, {"a", "1"}}}},
		{8, "popen//env:NAME=value1", Spec{Popen: true, Env: []Var{{"NAME", "value1"}}}},
		{8, "popen//env:B=//env:A=x=y", Spec{Popen: true, Env: []Var{{"B", ""}, {"A", "x=y"}}}},
		{0, "popen//env:A=1//env:a=2", Spec{Popen: true, Env: []Var{{"A", "1"}, {"a", "2"}}}},
		{0, "popen//goos=linux//goarch=arm64//exec=qemu-aarch64 -L /usr//key=k",
			Spec{Popen: true, GOOS: "linux", GOARCH: "arm64", Exec: "qemu-aarch64 -L /usr", Key: "k"}},
		{0, "cmd=docker exec -i box xdist agent", Spec{Cmd: "docker exec -i box xdist agent"}},
		{0, "ssh=h//compress=zstd", Spec{SSH: "h", Compress: "zstd"}},
		{35, "socket//installvia=p1//id=s1", Spec{InstallVia: "p1", ID: "s1"}},
		{0, "net=mynet", Spec{Net: "mynet"}},
		{0, "net=mynet//label=big//label:fast//host=b1", Spec{Net: "mynet", Host: "b1", Label: "big", Labels: []string{"big", "fast"}}},
		{0, "net=mynet//label=big,gpu", Spec{Net: "mynet", Label: "big,gpu", Labels: []string{"big", "gpu"}}},
		{0, "net=mynet//label:big//label=big//via=p", Spec{Net: "mynet", Label: "big", Labels: []string{"big"}, Via: "p"}},
		{0, "popen//via=p", Spec{Popen: true, Via: "p"}},
	} {
		t.Run(fmt.Sprintf("%d %s", tc.conformance, tc.text), func(t *testing.T) {
			got, err := Parse(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if got.String() != tc.text {
				t.Errorf("String is %q", got.String())
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		conformance         int
		text, field, reason string
	}{
		{3, "popen//nice=x", "nice=x", "whole number"},
		{3, "popen//nice=", "nice=", "whole number"},
		{3, "popen//nice", "nice", "whole number"},
		{3, "popen//nice=40", "nice=40", "from -39 to 39"},
		{0, "popen//compress=lz4", "compress=lz4", "can only be zstd"},
		{0, "popen//compress", "compress", "can only be zstd"},
		{0, "popen//exec='a", "exec='a", "quote is not closed"},
		{0, `popen//exec=a\`, `exec=a\`, "backslash"},
		{0, "popen//exec= ", "exec= ", "needs a value"},
		{0, "popen//exec", "exec", "needs a value"},
		{0, "ssh=h//build=here", "build=here", "only be remote"},
		{0, "ssh=h//build", "build", "only be remote"},
		{0, "popen//build=remote", "build", "is for other hosts"},
		{0, "ssh=h//build=remote//goos=linux", "goos", "builds for itself"},
		{0, "ssh=h//goarch=arm64//build=remote", "goarch", "builds for itself"},
		{5, "popen//popen", "popen", `"popen" is given twice`},
		{5, "popen//popen=123", "popen=123", `"popen" is given twice`},
		{5, "popen//chdir=x//chdir=y", "chdir=y", `"chdir" is given twice`},
		{5, "popen//env:A=1//env:A=2", "env:A=2", `"env:A" is given twice`},
		{5, "popen//u=1//u=2", "u=2", `"u" is given twice`},
		{6, "popen//_x=1", "_x=1", `"_x" begins with an underscore`},
		{12, "", "", "is empty"},
		{12, "popen//", "", "is empty"},
		{12, "//popen", "", "is empty"},
		{12, "=x", "=x", "has no key"},
		{12, "popen///x", "/x", "has a / where"},
		{0, "popen=python", "popen=python", "takes no value"},
		{0, "popen//id=", "id=", "needs a value"},
		{0, "popen//id", "id", "needs a value"},
		{0, "ssh", "ssh", "needs a value"},
		{0, "popen//env:=x", "env:=x", "names no variable"},
		{0, "popen//env:A", "env:A", "needs ="},
		{0, "popen//chdir=a\x00b", "chdir=a\x00b", "NUL"},
		{37, "popen//socket=h:1", "socket", "cannot be combined with popen"},
		{37, "socket=h:1//ssh=x", "socket", "cannot be combined with ssh"},
		{37, "ssh=x//popen", "ssh", "cannot be combined with popen"},
		{0, "cmd=x//popen", "cmd", "cannot be combined with popen"},
		{0, "socket", "socket", "installvia"},
		{0, "popen//installvia=x", "installvia", "only for socket"},
		{0, "socket//installvia=x//via=y", "installvia", "via"},
		{0, "popen//via=x//id=x", "id", "goes through"},
		{0, "listen=:1//popen", "listen", "cannot be combined with popen"},
		{0, "listen", "listen", "needs a value"},
		{0, "listen=:1", "listen", "needs key=FILE"},
		{0, "listen=:1//insecure=1", "insecure=1", "takes no value"},
		{0, "listen=:1//insecure//key=k", "insecure", "key"},
		{0, "listen=:1//insecure//via=x", "via", "listen"},
		{0, "net", "net", "needs a value"},
		{0, "net=a//ssh=b", "net", "cannot be combined with ssh"},
		{0, "popen//host=b", "host", "is only for net"},
		{0, "ssh=h//label=big", "label", "label:NAME gives"},
		{0, "net=a//label=", "label=", "needs a value"},
		{0, "net=a//label=a,", "label=a,", "names no label"},
		{0, "net=a//label=a b", "label=a b", "one word"},
		{0, "socket=h:1//insecure", "insecure", "only for listen"},
	} {
		t.Run(fmt.Sprintf("%d %q", tc.conformance, tc.text), func(t *testing.T) {
			got, err := Parse(tc.text)
			wantError(t, err, tc.text, tc.field, tc.reason)
			if diff := diff(Spec{}, got); diff != "" {
				t.Errorf("a Spec came along with the error: %s", diff)
			}
		})
	}
}

func wantError(t *testing.T, err error, text, field, reason string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	if e.Spec != text || e.Field != field || !strings.Contains(e.Reason, reason) {
		t.Errorf("got spec %q, field %q, reason %q; want %q, %q, %q", e.Spec, e.Field, e.Reason, text, field, reason)
	}
	if msg := err.Error(); !strings.Contains(msg, quote(text)) || !strings.Contains(msg, quote(field)) {
		t.Errorf("%q lacks the whole text or the field", msg)
	}
}

func TestErrorText(t *testing.T) {
	_, err := Parse(`popen//chdir=d:\x//nice=low`)
	want := `parse spec "popen//chdir=d:\x//nice=low": field "nice=low": must be a whole number from -39 to 39`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestEqualityIsByText(t *testing.T) { // conformance 10
	for _, tc := range []struct {
		a, b string
		want bool
	}{{"popen", "popen", true}, {"popen", "popen//go=x", false}, {"popen//a=1//b=2", "popen//b=2//a=1", false}} {
		if got := parse(t, tc.a).Equal(parse(t, tc.b)); got != tc.want {
			t.Errorf("%q == %q: %v", tc.a, tc.b, got)
		}
	}
}

func TestSharesFiles(t *testing.T) { // conformance 11
	for text, want := range map[string]bool{
		"popen": true, "popen//go=x": true, "popen//env:A=1": true,
		"popen//chdir=hello": false, "ssh=x": false, "socket=h:1": false, "popen//via=p": false, "cmd=x": false,
	} {
		if got := parse(t, text).SharesFiles(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestHasTransport(t *testing.T) {
	for text, want := range map[string]bool{"hello=3": false, "popen": true, "ssh=x": true, "socket//installvia=a": true, "cmd=x": true, "net=a": true, "listen=:1//insecure": true} {
		if got := parse(t, text).HasTransport(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestWithID(t *testing.T) {
	s, err := parse(t, "popen//nice=1").WithID("gw0")
	if err != nil || s.ID != "gw0" || s.Nice != 1 || s.String() != "popen//nice=1//id=gw0" {
		t.Errorf("got %v (id %q), %v", s, s.ID, err)
	}
	if _, err := s.WithID("gw1"); err == nil {
		t.Error("a second id was taken")
	}
	if _, err := parse(t, "popen").WithID("a//b"); err == nil {
		t.Error("an id that cannot be written was taken")
	}
}

func TestLookup(t *testing.T) {
	s := parse(t, "popen//a=1//b")
	for key, want := range map[string]string{"a": "1", "b": "true"} {
		if got, ok := s.Lookup(key); !ok || got != want {
			t.Errorf("%s: %q, %v", key, got, ok)
		}
	}
	if _, ok := s.Lookup("popen"); ok {
		t.Error("a known key is unknown")
	}
}

func parse(t *testing.T, text string) Spec {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "popen", "popen//", "ssh=-p 22 a@b//id=x", "socket//installvia=p", "popen//env:A=//nice=3//x", "=", "///", "_"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Spec != text || e.Reason == "" {
				t.Fatalf("undocumented error %#v", err)
			}
			return
		}
		again, err := Parse(s.String())
		if err != nil || !again.Equal(s) {
			t.Fatalf("parse %q again: %v", s.String(), err)
		}
		if diff := diff(s, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestExecWords(t *testing.T) {
	for text, want := range map[string][]string{
		"popen":                                nil,
		"popen//exec=qemu-aarch64 -L /usr":     {"qemu-aarch64", "-L", "/usr"},
		`popen//exec=env 'A=a b' "B=c d" e\ f`: {"env", "A=a b", "B=c d", "e f"},
	} {
		s, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s.ExecWords(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}
