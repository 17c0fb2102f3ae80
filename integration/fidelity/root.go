package main

import (
	"fmt"
	"os"
)

// keepRoot returns what puts the mode of the root directory back. Tests of gin change it to 0750
// where root runs them, and no other user can start a program then.
func keepRoot() (restore func() error, err error) {
	before, err := os.Stat("/")
	if err != nil {
		return nil, err
	}
	return func() error {
		now, err := os.Stat("/")
		if err != nil || now.Mode() == before.Mode() {
			return err
		}
		fmt.Fprintf(os.Stderr, "fidelity: the mode of / was changed to %v, and is %v again\n", now.Mode(), before.Mode())
		return os.Chmod("/", before.Mode())
	}, nil
}
