//go:build !unix

package main

import "os"

var endSignals = []os.Signal{os.Interrupt}
