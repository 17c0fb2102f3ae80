package integration

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// hostileEnv has this test binary be an agent that floods its controller, with what it names.
const hostileEnv = "XDIST_TEST_HOSTILE"

// hostileMain is an agent, when the environment says so, and does not return then.
func hostileMain() {
	flood, handlers := os.Getenv(hostileEnv), silentHandlers()
	if flood == "" && handlers == nil || len(os.Args) < 2 || os.Args[1] != "hostile-agent" {
		return
	}
	if handlers == nil {
		handlers = floodHandlers(flood)
	}
	if err := gateway.ServeStdio(context.Background(), handlers); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// floodHandlers are those of an agent that floods its controller.
func floodHandlers(flood string) gateway.Handlers {
	return gateway.Handlers{
		wire.HostHandler:  hosts.DescribeHost,
		rsync.Handler:     rsync.Receive,
		rsync.BlobHandler: rsync.KeepBlobs,
		wire.WorkerHandler: func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			return inundate(ctx, ch, flood)
		},
	}
}

// inundate waits for an order and reports without end.
func inundate(ctx context.Context, ch *gateway.Channel, flood string) error {
	var a wire.Assignment
	if err := ch.Receive(ctx, &a); err != nil || a.Run == nil {
		return err
	}
	if profile, ok := floodProfiles[flood]; ok {
		for a.Run != nil {
			if err := profileUnit(ctx, ch, a.Run, profile); err != nil {
				return err
			}
			a = wire.Assignment{}
			if err := ch.Receive(ctx, &a); err != nil {
				return err
			}
		}
		return nil
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

// floodTests is how many tests the module of TestFloods has.
const floodTests = 26

func floodTest(i int) string { return "Test" + string(rune('A'+i)) }

// floodProfiles are cover profiles that are within the bounds of one, by flood.
var floodProfiles = map[string]func(unit int) iter.Seq[string]{
	// The blocks of a large program, other ones each time.
	"profiles": func(unit int) iter.Seq[string] {
		return func(yield func(string) bool) {
			for i := range 1_000_000 {
				if !yield(fmt.Sprintf("flood/%d/%d.go:%d.%d,%d.5 3 1\n", unit, i/100, i%100*7, i%80, i%100*7+4)) {
					return
				}
			}
		}
	},
	// Nothing but names of files.
	"files": func(unit int) iter.Seq[string] {
		return func(yield func(string) bool) {
			for i := range 60_000 {
				if !yield(fmt.Sprintf("flood/%d/%0150d.go:1.1,2.2 1 1\n", unit, i)) {
					return
				}
			}
		}
	},
	// The same blocks each time, and large counts.
	"counts": func(unit int) iter.Seq[string] {
		return func(yield func(string) bool) {
			for i := range 1_000_000 {
				if !yield(fmt.Sprintf("flood/%d.go:%d.1,%d.2 1 %d\n", i/10000, i%10000, i%10000, 4_000_000_000+unit)) {
					return
				}
			}
		}
	},
}

// profileUnit passes all tests of a unit, with a profile.
func profileUnit(ctx context.Context, ch *gateway.Channel, o *wire.Order, profile func(int) iter.Seq[string]) error {
	names := o.Names
	if names == nil {
		for i := range floodTests {
			names = append(names, floodTest(i))
		}
	}
	for _, name := range names {
		e := test2json.Event{Action: test2json.ActionRun, Package: o.Package, Test: name}
		end, long := e, 10.0 // so that the package is split
		end.Action, end.Elapsed = test2json.ActionPass, &long
		if err := ch.Send(ctx, wire.Report{Events: []test2json.Event{e, end}}); err != nil {
			return err
		}
	}
	part := []byte("mode: count\n")
	for line := range profile(rand.IntN(1 << 20)) {
		if part = append(part, line...); len(part) < wire.ProfilePart-1000 {
			continue
		}
		if err := ch.Send(ctx, wire.Report{Profile: part}); err != nil {
			return err
		}
		part = part[:0]
	}
	if err := ch.Send(ctx, wire.Report{Profile: part}); err != nil {
		return err
	}
	return ch.Send(ctx, wire.Report{Result: &unit.Result{Started: true, Verdict: "PASS", Wall: time.Second}})
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
			return wire.Report{Profile: []byte("mode: count\n")}
		}
		return wire.Report{Profile: floodProfile}
	case "untested":
		for range 1000 {
			events = append(events, event("output", "", "a line that belongs to no test, as any other of its kind\n"))
		}
	case "chatter": // of subtests, one after the other
		name, short := fmt.Sprintf("%s/%d", test, i), 0.0
		events = append(events, event("run", name, ""))
		for range 16 {
			events = append(events, event("output", name, floodText))
		}
		end := event("pass", name, "")
		end.Elapsed = &short
		events = append(events, end)
	case "line":
		events = append(events, event("output", test, floodText))
	case "subtests":
		short := 0.0
		for k := range 300 {
			name := fmt.Sprintf("%s/%d", test, 300*i+k)
			events = append(events, event("run", name, ""), event("output", name, "=== RUN   "+name+"\n"), event("output", name, "    --- PASS: "+name+" (0.00s)\n"), event("pass", name, ""))
			events[len(events)-1].Elapsed = &short
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
