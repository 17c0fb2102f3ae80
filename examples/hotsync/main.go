// Hotsync keeps a directory on many hosts as one here is, from the first copy on.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/xdist-go/xdist/agents"
	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/rsync"
)

func main() {
	gateway.Main(gateway.Handlers{rsync.Handler: rsync.Receive}) // what runs on the hosts
	if len(os.Args) < 4 {
		log.Fatal("usage: hotsync DIR DIR-THERE SPEC...")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	g := gateway.NewGroup(gateway.Config{Agent: agents.Self()})
	defer g.Close()
	gws, err := g.OpenAll(ctx, os.Args[3:]...) // ssh=user@host 2*popen
	if err != nil {
		log.Fatal(err)
	}
	opts := rsync.WatchOptions{Source: rsync.Source{Root: os.Args[1]}, Dir: os.Args[2]}
	for report, err := range rsync.Watch(ctx, opts, gws...) {
		if err != nil {
			log.Print(err) // the other hosts go on
		}
		for _, t := range report.Targets {
			fmt.Printf("%s: %d files came and %d went, with %d bytes in %v\n", t.Gateway, t.Files, t.Removed, t.Sent, report.Took)
		}
	}
}
