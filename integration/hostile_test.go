package integration

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// hostileEnv has this test binary be an agent that floods its controller, with what it names.
const hostileEnv = "XDIST_TEST_HOSTILE"

// hostileMain is an agent, when the environment says so, and does not return then.
func hostileMain() {
	flood := os.Getenv(hostileEnv)
	if flood == "" || len(os.Args) < 2 || os.Args[1] != "hostile-agent" {
		return
	}
	err := gateway.ServeStdio(context.Background(), gateway.Handlers{
		wire.HostHandler:  hosts.DescribeHost,
		rsync.Handler:     rsync.Receive,
		rsync.BlobHandler: rsync.KeepBlobs,
		wire.WorkerHandler: func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			return inundate(ctx, ch, flood)
		},
	})
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// inundate waits for an order and reports without end.
func inundate(ctx context.Context, ch *gateway.Channel, flood string) error {
	var a wire.Assignment
	if err := ch.Receive(ctx, &a); err != nil || a.Run == nil {
		return err
	}
	name := "TestA"
	if len(a.Run.Names) > 0 {
		name = a.Run.Names[0]
	}
	begins := test2json.Event{Action: test2json.ActionRun, Package: a.Run.Package, Test: name}
	if err := ch.Send(ctx, wire.Report{Events: []test2json.Event{begins}}); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := ch.Send(ctx, floodReport(flood, a.Run.Package, name, i)); err != nil {
			return err
		}
	}
}

var (
	floodText    = strings.Repeat("x", 64<<10)
	floodProfile = []byte(strings.Repeat("example.com/flood/a.go:1.1,2.2 1 1\n", wire.ProfilePart/35))
)

// floodReport is the next report of a flood.
func floodReport(flood, pkg, test string, i int) wire.Report {
	event := func(action, test, output string) test2json.Event {
		return test2json.Event{Action: action, Package: pkg, Test: test, Output: output}
	}
	var events []test2json.Event
	switch flood {
	case "profile":
		if i == 0 {
			return wire.Report{Profile: []byte("mode: set\n")}
		}
		return wire.Report{Profile: floodProfile}
	case "untested":
		for range 1000 {
			events = append(events, event("output", "", "a line that belongs to no test, as any other of its kind\n"))
		}
	case "line":
		events = append(events, event("output", test, floodText))
	case "subtests":
		for k := range 300 {
			name := fmt.Sprintf("%s/%d", test, 300*i+k)
			events = append(events, event("run", name, ""), event("output", name, "=== RUN   "+name+"\n"), event("output", name, "    --- PASS: "+name+" (0.00s)\n"), event("pass", name, ""))
		}
	case "names":
		for k := range 100 {
			events = append(events, event("run", fmt.Sprintf("%s/%d-%s", test, 100*i+k, floodText[:15<<10]), ""))
		}
	case "strangers":
		for k := range 1000 {
			events = append(events, event("run", fmt.Sprintf("TestStranger%d", 1000*i+k), ""))
		}
	}
	return wire.Report{Events: events}
}
