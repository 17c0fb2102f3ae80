package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

const (
	flagSuiteName = "junitfile-testsuite-name"
	flagClassName = "junitfile-testcase-classname"
)

// gotestsumFlags are flags that people have in their Makefiles for gotestsum and that xdist has by
// another name. Those with the same meaning work; of the others the error says what to write.
func gotestsumFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{Name: "rerun-fails", Hidden: true, Value: &rerunFails{}},
		&cli.StringFlag{Name: "packages", Hidden: true},
	}
}

// rerunFails is gotestsum's --rerun-fails[=N]: --reruns N, 2 without a number.
type rerunFails struct{ n int }

// Set takes "true" for no number, which is what the flag package gives a flag without a value.
func (f *rerunFails) Set(text string) error {
	if text == "true" {
		f.n = 2
		return nil
	}
	var err error
	if f.n, err = strconv.Atoi(text); err != nil || f.n < 0 {
		return fmt.Errorf("want --rerun-fails or --rerun-fails=N with a number")
	}
	return nil
}

func (f *rerunFails) String() string { return "" }

// IsBoolFlag lets the flag stand without a value.
func (f *rerunFails) IsBoolFlag() bool { return true }

// fromGotestsum gives our flags the values of gotestsum's, and go test's arguments the packages of
// --packages.
func fromGotestsum(c *cli.Context, args []string) ([]string, error) {
	if c.IsSet("rerun-fails") && !c.IsSet("reruns") {
		if err := c.Set("reruns", strconv.Itoa(c.Generic("rerun-fails").(*rerunFails).n)); err != nil {
			return nil, err
		}
	}
	if packages := strings.Fields(c.String("packages")); len(packages) > 0 {
		return append(packages, args...), nil
	}
	return args, nil
}

// inGotestsum are gotestsum's other flags, with what does the same here.
var inGotestsum = map[string]string{
	"no-summary":                     "--format says what the console shows",
	"hide-summary":                   "--format says what the console shows; --format none shows the sum only",
	"format-hide-empty-pkg":          "--format xdist, the default, has no lines for packages without tests",
	"format-icons":                   "xdist has one set of icons",
	"rerun-fails-max-failures":       "--maxfail N stops the run after N failures",
	"rerun-fails-run-root-test":      "--reruns runs the whole test again, always",
	"rerun-fails-report":             "--junitxml and --json have each attempt",
	"rerun-fails-abort-on-data-race": "a data race counts at once, always",
	"raw-command":                    "xdist runs go test itself",
	"watch":                          "xdist does not watch files yet",
	"jsonfile-timing-events":         "--jsonfile, or --timings-out for durations",
}
