package scheduler

import (
	"errors"
	"fmt"
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

func TestLostOnTheWay(t *testing.T) {
	p := &gateway.LostError{Gateway: "p", Status: "signal: killed", Cause: errors.New("EOF")}
	q := &gateway.LostError{Gateway: "q", Cause: fmt.Errorf("via %w", p)}
	for _, tt := range []struct {
		spec string
		err  error
		want bool
	}{
		{"popen//id=a//via=p", fmt.Errorf("open: %w", p), true},
		{"popen//id=a//via=p", &gateway.LostError{Gateway: "a", Cause: fmt.Errorf("via %w", p)}, true},
		{"popen//id=a//via=q", &gateway.LostError{Gateway: "a", Cause: fmt.Errorf("via %w", q)}, true},
		{"socket//id=a//installvia=p", p, true},
		{"popen//id=a//via=p", &gateway.LostError{Gateway: "a", Cause: errors.New("EOF")}, false},
		{"popen//id=p", p, false},
		{"popen//id=a//via=p", errors.New("EOF"), false},
		{"popen//id=a//via=p", nil, false},
	} {
		spec, err := xspec.Parse(tt.spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := lostOnTheWay(spec, tt.err); got != tt.want {
			t.Errorf("lostOnTheWay(%s, %v) = %t", tt.spec, tt.err, got)
		}
	}
}
