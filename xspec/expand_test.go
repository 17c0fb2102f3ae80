package xspec

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func texts(specs []Spec) []string {
	var out []string
	for _, s := range specs {
		out = append(out, s.String())
	}
	return out
}

func TestExpand(t *testing.T) { // conformance 17
	three := func(s Spec) (int, error) {
		if s.String() != "ssh=host" {
			t.Errorf("asked to count %q", s)
		}
		return 3, nil
	}
	for _, tc := range []struct{ in, want []string }{
		{[]string{"3*popen", "ssh=xyz"}, []string{"popen", "popen", "popen", "ssh=xyz"}},
		{[]string{"auto*ssh=host", "popen"}, []string{"ssh=host", "ssh=host", "ssh=host", "popen"}},
		{[]string{"0*popen", "1*popen//id=a"}, []string{"popen//id=a"}},
		{[]string{"popen//env:A=2*3", "cmd=ls *"}, []string{"popen//env:A=2*3", "cmd=ls *"}},
	} {
		got, err := Expand(tc.in, three)
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
		}
		if diff := cmp.Diff(tc.want, texts(got)); diff != "" {
			t.Errorf("%q: %s", tc.in, diff)
		}
	}
}

func TestExpandRefuses(t *testing.T) {
	counting := errors.New("host is down")
	for _, tc := range []struct {
		conformance   int
		in            []string
		auto          func(Spec) (int, error)
		field, reason string
	}{
		{18, []string{"0*popen"}, nil, "", "no gateway at all"},
		{18, nil, nil, "", "no gateway at all"},
		{18, []string{"x*popen"}, nil, "x*", "whole number"},
		{18, []string{"-1*popen"}, nil, "-1*", "whole number"},
		{18, []string{"*popen"}, nil, "*", "whole number"},
		{18, []string{"99999999999999999999*popen"}, nil, "99999999999999999999*", "whole number"},
		{18, []string{"5000*popen"}, nil, "5000*", "4096"},
		{0, []string{"auto*popen"}, nil, "auto*", "cannot be counted"},
		{0, []string{"auto*popen"}, func(Spec) (int, error) { return 0, counting }, "auto*", "count usable cores"},
		{0, []string{"auto*popen"}, func(Spec) (int, error) { return -5, nil }, "auto*", "-5"},
		{0, []string{"auto*popen"}, func(Spec) (int, error) { return -1, nil }, "auto*", "-1"},
		{0, []string{"2*listen=:1//insecure"}, nil, "2*", "xdist join -n N"},
		{0, []string{"auto*listen=:1//insecure"}, nil, "auto*", "xdist join -n N"},
		{0, []string{"2*"}, nil, "", "is empty"},
		{0, []string{"2*3*popen"}, nil, "3*popen", "holds a"},
		{0, []string{"2*popen//id=a"}, nil, "id=a", "two gateways"},
		{0, []string{"popen//id=a", "ssh=x//id=a"}, nil, "id=a", "two gateways"},
	} {
		t.Run(strings.Join(tc.in, " "), func(t *testing.T) {
			_, err := Expand(tc.in, tc.auto)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Field != tc.field || !strings.Contains(e.Reason, tc.reason) {
				t.Errorf("got %v", err)
			}
			if tc.reason == "count usable cores" && !errors.Is(err, counting) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestProxies(t *testing.T) { // conformance 19
	got, err := Proxies([]string{"popen//id=p", "ssh=x//id=q"})
	if err != nil || !slices.Equal(texts(got), []string{"popen//id=p", "ssh=x//id=q"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, in := range [][]string{{"popen"}, {"popen//id=p", "popen//id=p"}, {"=x"}} {
		if _, err := Proxies(in); err == nil {
			t.Errorf("%q was taken", in)
		} else if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%q: %T", in, err)
		}
	}
	_, err = Proxies([]string{"popen"})
	wantError(t, err, "popen", "id", "a proxy needs id=")
}

func FuzzExpand(f *testing.F) {
	for _, text := range []string{"3*popen", "auto*popen", "*", "1*", "a*b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		specs, err := Expand([]string{text}, func(Spec) (int, error) { return 2, nil })
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("undocumented error %#v", err)
			}
			return
		}
		for _, s := range specs {
			if again, err := Parse(s.String()); err != nil || !again.Equal(s) {
				t.Fatalf("parse %q: %v", s, err)
			}
		}
	})
}
