package gateway_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// Any connection is a gateway when somebody serves at its other end.
func TestAttach(t *testing.T) {
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- gateway.Serve(context.Background(), theirs, handlers()) }()
	g := newGroup(t, config())
	gw, err := g.Attach(t.Context(), ours, "id=a")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := sum.Call(t.Context(), gw, []int{1, 2}); err != nil || n != 3 || g.Len() != 1 || gw.ID() != "a" {
		t.Errorf("%d, %v, %v", n, err, g)
	}
	began := time.Now()
	gw.Exit()
	<-gw.Done()
	if err := <-served; err != nil || time.Since(began) > prompt {
		t.Errorf("it was served until %v, for %v", err, time.Since(began))
	}

	ours, theirs = net.Pipe()
	go func() { served <- gateway.Serve(context.Background(), theirs, handlers()) }()
	if gw, err = g.Attach(t.Context(), ours, ""); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	<-gw.Done()
	if _, lost := errors.AsType[*gateway.LostError](gw.Err()); !lost {
		t.Errorf("it ended with %v", gw.Err())
	}
	<-served
}

// What does not greet is given up, and its connection closed.
func TestAttachFails(t *testing.T) {
	g := newGroup(t, config())
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	go theirs.Read(make([]byte, 1000))
	if _, err := g.Attach(ctx, ours, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := theirs.Write([]byte("x")); err == nil {
		t.Error("the connection is open")
	}
	if _, err := g.Attach(t.Context(), ours, "id=a//id=b"); err == nil {
		t.Error("a spec that makes no sense was attached")
	}
	if g.Len() != 0 {
		t.Errorf("there is a %v", g)
	}
}
