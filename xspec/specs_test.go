package xspec

import (
	"encoding/json"
	"flag"
	"io"
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
