package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// warner is a slog.Handler that shows warnings as xdist's own, each of them once, and nothing else.
// Groups and attributes of a logger are not shown. It may be used concurrently.
type warner struct {
	out io.Writer

	mu   sync.Mutex // guards told and out
	told map[string]bool
}

func newWarner(out io.Writer) *warner { return &warner{out: out, told: make(map[string]bool)} }

// Enabled implements slog.Handler.
func (w *warner) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// WithAttrs implements slog.Handler.
func (w *warner) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements slog.Handler.
func (w *warner) WithGroup(string) slog.Handler { return w }

// Handle implements slog.Handler.
func (w *warner) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(": %s %v", a.Key, a.Value)
		return true
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told[text] {
		return nil
	}
	w.told[text] = true
	warnTo(w.out)(errors.New(text))
	return nil
}

// warnTo tells of what goes wrong beside the run and changes nothing of it.
func warnTo(out io.Writer) func(error) {
	return func(err error) { fmt.Fprintf(out, "xdist: warning: %v\n", err) }
}
