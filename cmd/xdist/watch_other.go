//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package main

import "os"

// watchedSignals is empty: no signal says more than that the run is to end.
var watchedSignals []os.Signal

func (w *watch) take(os.Signal) {}

// keyboard is of no use here: keys come with the Enter that ends their line.
type keyboard struct{ pressed chan byte }

func newKeyboard() *keyboard { return new(keyboard) }

func (*keyboard) open(*os.File) {}
func (*keyboard) engage()       {}
func (*keyboard) lend()         {}
func (*keyboard) takeBack()     {}
func (*keyboard) close()        {}
