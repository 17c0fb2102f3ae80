package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/scheduler/event"
)

// openHistory reads what is known of the module, and the files of --timings. What is wrong with the
// history is a warning, what is wrong with such a file is the user's error.
func openHistory(c *cli.Context, command *gotest.Command) (book *history.Book, warnings []string, err error) {
	book = &history.Book{}
	if !c.Bool("no-history") {
		if book, err = openBook(c, command.Dir); err != nil {
			warnings = append(warnings, err.Error())
		}
	}
	book.Conditions = command.Conditions()
	for _, file := range c.StringSlice("timings") {
		if err := addTimings(book, file); err != nil {
			return nil, nil, usageError(err)
		}
	}
	return book, warnings, nil
}

// openBook opens the history of the module of a directory, which is never nil.
func openBook(c *cli.Context, dir string) (*history.Book, error) {
	cache, _, err := cachePlace(c)
	if err != nil {
		return &history.Book{}, err
	}
	return history.Open(filepath.Join(cache, "history"), moduleOf(dir))
}

func addTimings(book *history.Book, file string) error {
	f, err := ownfile.Open(file)
	if err != nil {
		return fmt.Errorf("--timings: %w", err)
	}
	defer f.Close()
	timings, err := history.ReadTimings(f)
	if err != nil {
		return fmt.Errorf("--timings %s: %w", file, err)
	}
	book.Add(timings)
	return nil
}

// newHistoryReporter makes what records the run.
func newHistoryReporter(c *cli.Context, command *gotest.Command, book *history.Book) (event.Reporter, error) {
	return reporters.NewHistory(reporters.HistoryConfig{
		Book:        book,
		Partial:     strings.Contains(command.Run+command.Skip, "/"),
		Narrow:      command.Run+command.Skip+c.String("shard") != "",
		Warn:        warnTo(c.App.ErrWriter),
		TimingsFile: c.String("timings-out"),
	})
}

// moduleOf is the path of the module that a directory is in, as its go.mod has it. Without one it
// is the place of the workspace, or the directory.
func moduleOf(dir string) string {
	root, module := moduleAbove(dir)
	return cmp.Or(module, root)
}

// moduleAbove finds the module that a directory is in: where its go.mod is, absolute, and its path.
// Without one the root is the place of the workspace, or the directory, and the path is empty.
func moduleAbove(dir string) (root, module string) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", ""
	}
	for at := dir; ; at = filepath.Dir(at) {
		if path, err := modulePath(filepath.Join(at, "go.mod")); err == nil {
			return at, path
		}
		if _, err := os.Stat(filepath.Join(at, "go.work")); err == nil {
			return at, ""
		}
		if at == filepath.Dir(at) {
			return dir, ""
		}
	}
}

// modulePath finds the module line of a go.mod. What is wrong with the file is the go command's to
// say.
func modulePath(file string) (string, error) {
	text, err := ownfile.Read(file, settingsLimit)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) >= 2 && words[0] == "module" {
			return strings.Trim(words[1], "\"`"), nil
		}
	}
	return filepath.Dir(file), nil
}
