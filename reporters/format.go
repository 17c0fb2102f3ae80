package reporters

import (
	"fmt"
	"os"
	"strings"

	"gotest.tools/gotestsum/testjson"
)

// Format is a way to write a run: xdist's own, or one of gotestsum's.
type Format string

// The formats. The names that gotestsum keeps for older ones are accepted too.
const (
	FormatXdist           Format = "xdist"                  // a line per package, failures as they happen, one account at the end; the default
	FormatPkgname         Format = "pkgname"                // a line per package
	FormatPkgnameFails    Format = "pkgname-and-test-fails" // that, and the output of failed tests as they fail
	FormatTestname        Format = "testname"               // a line per test
	FormatTestdox         Format = "testdox"                // a sentence per test, by package
	FormatDots            Format = "dots"                   // a character per test
	FormatDotsV2          Format = "dots-v2"                // that, with a line per package that is rewritten
	FormatGitHubActions   Format = "github-actions"         // testname with foldable groups
	FormatStandardQuiet   Format = "standard-quiet"         // as go test
	FormatStandardVerbose Format = "standard-verbose"       // as go test -v
	FormatStandardJSON    Format = "standard-json"          // as go test -json, as far as testjson reads it; see JSON
	FormatDebug           Format = "debug"                  // what testjson understood
	FormatNone            Format = "none"                   // the summary only
)

// Formats returns the names to offer to a user.
func Formats() []Format {
	return []Format{
		FormatXdist, FormatPkgname, FormatPkgnameFails, FormatTestname, FormatTestdox, FormatDots, FormatDotsV2,
		FormatGitHubActions, FormatStandardQuiet, FormatStandardVerbose, FormatStandardJSON, FormatNone,
	}
}

// resolve returns the one name for what f means where the report goes to: on a terminal or not. As
// in gotestsum, testname is github-actions in a GitHub workflow.
func (f Format) resolve(terminal bool) (Format, error) {
	switch f {
	case "":
		f = FormatXdist
	case "short":
		f = FormatPkgname
	case "short-with-failures":
		f = FormatPkgnameFails
	case "short-verbose":
		f = FormatTestname
	case "gotestdox":
		f = FormatTestdox
	case "dots-v1":
		f = FormatDots
	case "github-action":
		f = FormatGitHubActions
	}
	switch f {
	case FormatTestname:
		if os.Getenv("GITHUB_ACTIONS") == "true" {
			f = FormatGitHubActions
		}
	case FormatDotsV2:
		if !terminal {
			f = FormatDots // dots-v2 rewrites its lines
		}
	case FormatXdist, FormatPkgname, FormatPkgnameFails, FormatTestdox, FormatDots, FormatGitHubActions, FormatStandardQuiet,
		FormatStandardVerbose, FormatStandardJSON, FormatDebug, FormatNone:
	default:
		var names []string
		for _, known := range Formats() {
			names = append(names, string(known))
		}
		return "", fmt.Errorf("choose console format %q: not one of %s", string(f), strings.Join(names, ", "))
	}
	return f, nil
}

// streams reports whether the format writes this event's output as it comes, whatever becomes of
// its test.
func (f Format) streams(test string) bool {
	return f == FormatStandardVerbose || f == FormatStandardQuiet && test == ""
}

// suspects reports whether the format has a line for a failure that is to be confirmed: in format
// xdist, where each test is named, and where somebody looks on. live says that there is a status.
func (f Format) suspects(live bool) bool {
	switch f {
	case FormatXdist, FormatTestname, FormatTestdox, FormatGitHubActions, FormatStandardVerbose, FormatDebug:
		return true
	case FormatPkgname, FormatPkgnameFails:
		return live
	}
	return false
}

// EmptyPackages says what becomes of packages without tests.
type EmptyPackages int

// The choices of EmptyPackages.
const (
	ShowEmpty EmptyPackages = iota
	HideEmpty
)

func (c ConsoleConfig) formatOptions() testjson.FormatOptions {
	return testjson.FormatOptions{HideEmptyPackages: c.EmptyPackages == HideEmpty, Icons: c.Icons}
}
