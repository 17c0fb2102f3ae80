package gateway

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/xspec"
)

// FuzzJoinOffer reads what a joiner says first. What is taken has a name within bounds, and is of
// this version where it brings a program of its own; it is read again as it was.
func FuzzJoinOffer(f *testing.F) {
	for _, o := range []joinOffer{
		{}, {Protocol: ProtocolVersion, Program: ownVersion(), Own: true, Host: "h"}, {Own: true, Program: "v0"}, {Host: string(make([]byte, hostNameAtMost+1))},
	} {
		f.Add(joinGreeting(f, o))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var o joinOffer
		if readSocketGreeting(bytes.NewReader(b), joinMagic, &o) != nil || o.check() != nil {
			return
		}
		if len(o.Host) > hostNameAtMost || o.Own && (o.Protocol != ProtocolVersion || o.Program != ownVersion()) {
			t.Errorf("it takes %+v", o)
		}
		o.destination(xspec.Spec{})
		var again joinOffer
		if err := readSocketGreeting(bytes.NewReader(joinGreeting(t, o)), joinMagic, &again); err != nil || again != o {
			t.Errorf("%+v is read again as %+v, %v", o, again, err)
		}
	})
}

// FuzzJoinRequest reads what a controller answers to that: what is asked for is read again as it
// was.
func FuzzJoinRequest(f *testing.F) {
	for _, r := range []joinRequest{
		{}, {Error: "no"}, {Request: socketRequest{Env: []socketVar{{"A", "b"}}, Grace: 5, Program: &programRequest{}}},
	} {
		f.Add(joinGreeting(f, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again joinRequest
		if readSocketGreeting(bytes.NewReader(b), joinMagic, &r) != nil {
			return
		}
		r.Request.env()
		longer, err := socketGreeting(joinMagic, r)
		if err != nil { // than one may be
			return
		}
		if err := readSocketGreeting(bytes.NewReader(longer), joinMagic, &again); err != nil || !cmp.Equal(r, again) {
			t.Errorf("%+v is read again as %+v, %v", r, again, err)
		}
	})
}

func joinGreeting(t testing.TB, v any) []byte {
	t.Helper()
	b, err := socketGreeting(joinMagic, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
