package gateway

import (
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// takeStdio keeps the two files and gives the process others in their place.
func takeStdio() (*stdioConn, error) {
	conn := &stdioConn{in: os.Stdin, out: os.Stdout}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	if err := windows.SetStdHandle(windows.STD_INPUT_HANDLE, windows.Handle(null.Fd())); err != nil {
		null.Close()
		return nil, fmt.Errorf("replace standard input: %w", err)
	}
	if err := windows.SetStdHandle(windows.STD_OUTPUT_HANDLE, windows.Handle(os.Stderr.Fd())); err != nil {
		null.Close()
		return nil, fmt.Errorf("replace standard output: %w", err)
	}
	os.Stdin, os.Stdout = null, os.Stderr
	return conn, nil
}

// catchBrokenPipes does nothing: there is no such signal.
func catchBrokenPipes(chan<- os.Signal) {}
