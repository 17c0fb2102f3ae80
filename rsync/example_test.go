package rsync_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/rsync"
)

// scratch makes two directories and a gateway that works in the second. In a program the first
// statement of main is gateway.Main(gateway.Handlers{rsync.Handler: rsync.Receive,
// rsync.FetchHandler: rsync.Offer}), and there is no Command.
func scratch() (here, there string, gw *gateway.Gateway, end func()) {
	base, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	here, there = filepath.Join(base, "here"), filepath.Join(base, "there")
	for _, dir := range []string{here, there} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			log.Fatal(err)
		}
	}
	g := gateway.NewGroup(gateway.Config{Command: []string{os.Args[0], "agent"}})
	if gw, err = g.Open(context.Background(), "popen//chdir="+there); err != nil {
		log.Fatal(err)
	}
	return here, there, gw, func() {
		g.Close()
		os.RemoveAll(base)
	}
}

// Keep a directory on a host, or on many, as one here is.
func ExampleWatch() {
	here, _, gw, end := scratch()
	defer end()
	write := func(text string) { // as a whole: what is looked at may be sent
		if err := os.WriteFile(filepath.Join(here, ".new"), []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
		if err := os.Rename(filepath.Join(here, ".new"), filepath.Join(here, "page")); err != nil {
			log.Fatal(err)
		}
	}
	write("first")
	next, seen := []string{"second", "third"}, ""
	opts := rsync.WatchOptions{Source: rsync.Source{Root: here, Ignore: []string{".new"}}, Dir: "site", Quiet: 10 * time.Millisecond}
	for _, err := range rsync.Watch(context.Background(), opts, gw) {
		if err != nil {
			log.Fatal(err)
		}
		text, err := fs.ReadFile(gw.FS("site"), "page")
		if err != nil {
			log.Fatal(err)
		}
		if string(text) == seen {
			continue
		}
		seen = string(text)
		fmt.Println(seen)
		if len(next) == 0 {
			break // which ends the watch
		}
		write(next[0])
		next = next[1:]
	}
	// Output:
	// first
	// second
	// third
}

// Bring what a host has made: of a tree that is here already, what has changed.
func ExamplePull() {
	here, there, gw, end := scratch()
	defer end()
	ctx := context.Background()
	for name, text := range map[string]string{"out/a.txt": "one", "out/b.txt": "two", "log": "much"} {
		name = filepath.Join(there, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	opts := rsync.PullOptions{Match: []string{"/out"}, Delete: true}
	r, err := rsync.Pull(ctx, gw, ".", here, opts)
	fmt.Println(r.Changed, err)
	if err := os.Remove(filepath.Join(there, "out", "b.txt")); err != nil {
		log.Fatal(err)
	}
	r, err = rsync.Pull(ctx, gw, ".", here, opts)
	fmt.Println(r.Changed, r.Removed, err)
	// Output:
	// [out out/a.txt out/b.txt] <nil>
	// [] [out/b.txt] <nil>
}
