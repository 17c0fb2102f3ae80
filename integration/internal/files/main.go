// Files uses the files and connections of the hosts that it is given, and says of each what came of
// it: a program of a test, which is sent to hosts of other platforms.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/agents"
	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/rsync"
)

func main() {
	gateway.Main(gateway.Handlers{rsync.Handler: rsync.Receive, rsync.FetchHandler: rsync.Offer})
	ctx, g := context.Background(), gateway.NewGroup(gateway.Config{Agent: agents.Self()})
	defer g.Close()
	gws, err := g.OpenAll(ctx, os.Args[2:]...)
	if err != nil {
		log.Fatal(err)
	}
	if err := watch(ctx, os.Args[1], gws); err != nil {
		log.Fatal(err)
	}
	for _, gw := range gws {
		tree, err := pull(ctx, gw, filepath.Join(os.Args[1]+".back", gw.ID()))
		tcp, tcpErr := talk(ctx, gw, "tcp", "127.0.0.1:0")
		unix, unixErr := talk(ctx, gw, "unix", filepath.Join(gw.Info().Dir, "socket"))
		fmt.Printf("%s %s: tree %s, tcp %s, unix %s\n", gw, gw.Info().GOARCH, tree, tcp, unix)
		if err := errors.Join(err, tcpErr, unixErr); err != nil {
			log.Fatal(err)
		}
	}
}

// watch sends a tree to all hosts, and what is changed in it.
func watch(ctx context.Context, dir string, gws []*gateway.Gateway) error {
	opts := rsync.WatchOptions{Source: rsync.Source{Root: dir}, Dir: "tree"}
	first, then := 0, 0 // hosts that have it
	for report, err := range rsync.Watch(ctx, opts, gws...) {
		if err != nil {
			return err
		}
		if first < len(gws) {
			if first += len(report.Targets); first == len(gws) {
				if err := os.Rename(filepath.Join(dir, "old"), filepath.Join(dir, "new")); err != nil {
					return err
				}
			}
			continue
		}
		if slices.ContainsFunc(report.Targets, func(t rsync.TargetReport) bool { return t.Files != 1 || t.Removed != 1 }) {
			return fmt.Errorf("after the change: %+v", report)
		}
		if then += len(report.Targets); then == len(gws) {
			return nil
		}
	}
	return errors.New("it has ended")
}

// pull brings the tree back and returns its files.
func pull(ctx context.Context, gw *gateway.Gateway, dir string) (string, error) {
	r, err := rsync.Pull(ctx, gw, "tree", dir, rsync.PullOptions{})
	if err != nil {
		return "", err
	}
	slices.Sort(r.Changed)
	return strings.Join(r.Changed, " "), nil
}

// talk connects within the host, and returns what came of two words, one in each direction.
func talk(ctx context.Context, gw *gateway.Gateway, network, addr string) (string, error) {
	l, err := gw.Listen(ctx, network, addr)
	if err != nil {
		return "", err
	}
	defer l.Close()
	client, err := gw.Dial(ctx, network, l.Addr().String())
	if err != nil {
		return "", err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return "", err
	}
	defer server.Close()
	if _, err := io.WriteString(client, "ping"); err != nil {
		return "", err
	}
	word := make([]byte, 4)
	if _, err := io.ReadFull(server, word); err != nil {
		return "", err
	}
	if _, err := io.WriteString(server, string(word)+" pong"); err != nil {
		return "", err
	}
	server.Close()
	answer, err := io.ReadAll(client)
	return string(answer), err
}
