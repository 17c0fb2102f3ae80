package xspec

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"slices"
	"testing"
)

// Specs are what a flag that is given many times asks for.
func TestSpecs(t *testing.T) {
	var specs Specs
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Var(&specs, "tx", "")
	if err := fs.Parse([]string{"-tx", "2*popen", "-tx", "ssh=host//id=a"}); err != nil || specs.String() != "popen popen ssh=host//id=a" {
		t.Errorf("%v, %v", specs.String(), err)
	}
	for _, text := range []string{"popen//id=a", "popen//", ""} {
		if err := fs.Parse([]string{"-tx", text}); err == nil || len(specs) != 3 {
			t.Errorf("%q: %v, %d specs", text, err, len(specs))
		}
	}
}

// Specs are one text where a configuration or a flag.TextVar has one, and come back from it.
func TestSpecsText(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                   nil,
		" \t\n":                              nil,
		"2*popen\n\tssh=host//id=a ":         {"popen", "popen", "ssh=host//id=a"},
		`'ssh=-p 22 me@host' popen`:          {"ssh=-p 22 me@host", "popen"},
		`"cmd=docker exec -i box sh"`:        {"cmd=docker exec -i box sh"},
		`cmd="sh -c 'exec sh'"`:              {"cmd=sh -c 'exec sh'"},
		`popen//chdir=d:\x '2*popen//z=a b'`: {`popen//chdir=d:\x`, "popen//z=a b", "popen//z=a b"},
		`popen//z='it'"'"'s "so"'`:           {`popen//z=it's "so"`},
	} {
		got := Specs{Spec{Popen: true}}
		if err := got.UnmarshalText([]byte(text)); err != nil || len(got) != len(want) {
			t.Errorf("%q: %q, %v", text, got.String(), err)
			continue
		}
		for i, spec := range got {
			if spec.String() != want[i] {
				t.Errorf("%q: spec %d is %q, want %q", text, i, spec, want[i])
			}
		}
		b, err := got.MarshalText()
		var again Specs
		if err := errors.Join(err, again.UnmarshalText(b)); err != nil || !slices.EqualFunc(got, again, Spec.Equal) || again.String() != string(b) {
			t.Errorf("%q: written %q, read %q, %v", text, b, again.String(), err)
		}
	}
	kept := Specs{parse(t, "popen")}
	for text, field := range map[string]string{"popen popen//popen": "popen", "2*popen//id=a": "id=a", "0*popen": "", "auto*popen": "auto*", "'popen": "'popen"} {
		err := kept.UnmarshalText([]byte(text))
		if e, ok := errors.AsType[*Error](err); !ok || e.Field != field || kept.String() != "popen" {
			t.Errorf("%q: %v, %q", text, err, kept.String())
		}
	}
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	var specs Specs
	fs.TextVar(&specs, "tx", Specs{parse(t, "popen")}, "")
	if err := fs.Parse([]string{"-tx", "2*popen"}); err != nil || specs.String() != "popen popen" || fs.Lookup("tx").DefValue != "popen" {
		t.Errorf("by flag.TextVar: %q, %v", specs.String(), err)
	}
}

// A Spec is a text in JSON.
func TestSpecText(t *testing.T) {
	var got struct{ TX []Spec }
	if err := json.Unmarshal([]byte(`{"TX":["popen","ssh=-p 22 me@host//chdir=x"]}`), &got); err != nil || len(got.TX) != 2 || got.TX[1].Chdir != "x" {
		t.Errorf("%+v, %v", got, err)
	}
	if b, err := json.Marshal(got); err != nil || string(b) != `{"TX":["popen","ssh=-p 22 me@host//chdir=x"]}` {
		t.Errorf("%s, %v", b, err)
	}
	if err := json.Unmarshal([]byte(`{"TX":["popen//popen"]}`), &got); err == nil {
		t.Error("a spec that is none was read")
	}
}

// user@host is short for ssh.
func TestBareSSH(t *testing.T) {
	for text, want := range map[string]string{
		"me@host":              "me@host",
		"me@host:2222//id=a":   "me@host:2222",
		"me@[2001:db8::1]:22":  "me@[2001:db8::1]:22",
		"popen//env:A=b@c":     "",
		"popen//note@this":     "",
		"cmd=ssh me@host sh":   "",
		"socket=user@host:888": "",
	} {
		if s, err := Parse(text); err != nil || s.SSH != want || s.String() != text {
			t.Errorf("%s: %q, %v", text, s.SSH, err)
		}
	}
}

// FuzzSpecsText reads what was written.
func FuzzSpecsText(f *testing.F) {
	for _, text := range []string{"", "popen", "2*popen 'ssh=-p 22 me@host'", `popen//z="a'b"'"'`, "'", `d:\x`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var specs, again Specs
		if err := specs.UnmarshalText([]byte(text)); err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason == "" || specs != nil {
				t.Fatalf("undocumented error %#v, %d specs", err, len(specs))
			}
			return
		}
		b, err := specs.MarshalText()
		if err = errors.Join(err, again.UnmarshalText(b)); err != nil || !slices.EqualFunc(specs, again, Spec.Equal) {
			t.Fatalf("%q was written as %q, %v", text, b, err)
		}
	})
}
