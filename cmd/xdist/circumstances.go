package main

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest"
)

// passing are variables that differ from one command of a shell to the next, or from one terminal
// to another, and that tests have no use for.
var passing = []string{"_", "OLDPWD", "SHLVL", "WINDOWID", "TERM_SESSION_ID", "COLUMNS", "LINES"}

// circumstances are what tests can see beside their binary, as one number: their arguments and
// their environment, in any order.
func circumstances(cmd *gotest.Command, environ []string) uint64 {
	h := fnv.New64a()
	for _, arg := range cmd.TestArgs {
		fmt.Fprintf(h, "%q\n", arg)
	}
	for _, v := range slices.Sorted(slices.Values(environ)) {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains(passing, name) {
			fmt.Fprintf(h, "%q\n", v)
		}
	}
	return h.Sum64()
}
