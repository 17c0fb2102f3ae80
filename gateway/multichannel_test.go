package gateway_test

import (
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gateway"
)

func TestQueueWithEndMarkers(t *testing.T) { overTransports(t, testQueueWithEndMarkers) } // conformance 49, 76

func testQueueWithEndMarkers(t *testing.T, tr transport) {
	g := newGroup(t, config())
	var channels []*gateway.Channel
	for range 3 {
		channels = append(channels, remoteExec(t, tr.openIn(t, g), "count", 5))
	}
	m := gateway.NewMultiChannel(channels...)
	got := make(map[*gateway.Channel][]int)
	ends := 0
	for {
		c, it, err := m.Receive(t.Context())
		if c == nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("after the last end: %v", err)
			}
			break
		}
		if errors.Is(err, io.EOF) {
			ends++
			continue
		}
		var n int
		if err := errors.Join(err, it.Decode(&n)); err != nil {
			t.Fatal(err)
		}
		got[c] = append(got[c], n)
	}
	if ends != 3 || len(got) != 3 {
		t.Errorf("%d ends of %d channels, want 3 of 3", ends, len(got))
	}
	for c, items := range got {
		if diff := cmp.Diff([]int{0, 1, 2, 3, 4}, items); diff != "" {
			t.Errorf("%s: %s", c, diff)
		}
	}
	if c, _, err := m.Receive(t.Context()); c != nil || !errors.Is(err, io.EOF) {
		t.Errorf("once more: %v, %v", c, err)
	}
}

func TestQueueTellsFailures(t *testing.T) { overTransports(t, testQueueTellsFailures) }

func testQueueTellsFailures(t *testing.T, tr transport) {
	gw := tr.open(t)
	m := gateway.NewMultiChannel(remoteExec(t, gw, "send42 and fail", nil), remoteExec(t, gw, "send", []int{}))
	failures, ends := 0, 0
	for {
		c, _, err := m.Receive(t.Context())
		if c == nil {
			break
		}
		if _, ok := errors.AsType[*gateway.RemoteError](err); ok {
			failures++
		} else if err != nil {
			ends++
		}
	}
	if failures != 1 || ends != 1 {
		t.Errorf("%d failures and %d ends, want one each", failures, ends)
	}
	if _, ok := errors.AsType[*gateway.RemoteError](m.WaitClose(t.Context())); !ok {
		t.Error("WaitClose does not tell the failure")
	}
}
