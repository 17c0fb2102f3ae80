// Package ci shows a run where the CI service that it runs in shows things: at the lines of the
// sources that failed, in the summary of the job, and folded in the log.
//
// A Service is found by its environment (Detect) or named (Parse). Fold, Text and Colours are for
// whoever writes the log. New makes the event.Reporter of a service: it annotates failures as they
// happen and writes a summary at the end. Each follows the published format of its service:
//
//   - GitHub Actions: workflow commands (::error file=…), groups, $GITHUB_STEP_SUMMARY
//   - GitLab: collapsible sections (its list of tests comes from a JUnit report)
//   - Buildkite: group headers, and an annotation by buildkite-agent
//   - TeamCity: service messages for tests, with a flow for each package
//   - Azure Pipelines: logging commands, groups, task.uploadsummary
//   - Jenkins: nothing of its own: it reads JUnit reports
//
// # Goroutines, limits
//
// None. Annotations are bounded (maxAnnotations), since services drop what is beyond their own
// bounds, and the summary is cut at maxSummary.
package ci

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Service is a CI service. The zero value is none.
type Service string

// The services.
const (
	None      Service = "none"
	GitHub    Service = "github"
	GitLab    Service = "gitlab"
	Buildkite Service = "buildkite"
	TeamCity  Service = "teamcity"
	Azure     Service = "azure"
	Jenkins   Service = "jenkins"
)

// traits are what a service is known by and can do. The first one whose variable is set is it.
var traits = []struct {
	service Service
	env     string
	colours bool
	tests   bool   // is told of tests by New's reporter; the others read JUnit reports
	summary bool   // shows Markdown on the page of a job
	root    string // the variable with the directory that annotations are relative to
}{
	{GitHub, "GITHUB_ACTIONS", true, true, true, "GITHUB_WORKSPACE"},
	{GitLab, "GITLAB_CI", true, false, false, "CI_PROJECT_DIR"},
	{Buildkite, "BUILDKITE", true, true, true, "BUILDKITE_BUILD_CHECKOUT_PATH"},
	{TeamCity, "TEAMCITY_VERSION", true, true, false, ""},
	{Azure, "TF_BUILD", true, true, true, "BUILD_SOURCESDIRECTORY"},
	{Jenkins, "JENKINS_URL", false, false, false, "WORKSPACE"}, // colours need a plugin there
}

// Names are those that Parse takes.
func Names() []string {
	names := []string{"auto"}
	for _, t := range traits {
		names = append(names, string(t.service))
	}
	return append(names, string(None))
}

// Detect returns the service whose variables are in the environment, None without one.
func Detect(getenv func(string) string) Service {
	for _, t := range traits {
		if v := getenv(t.env); v != "" && !strings.EqualFold(v, "false") {
			return t.service
		}
	}
	return None
}

// Parse returns the service of a name, which with "auto" or "" is Detect's.
func Parse(name string, getenv func(string) string) (Service, error) {
	switch name {
	case "", "auto":
		return Detect(getenv), nil
	case string(None):
		return None, nil
	}
	for _, t := range traits {
		if name == string(t.service) {
			return t.service, nil
		}
	}
	return None, fmt.Errorf("CI service %q: want one of %s", name, strings.Join(Names(), ", "))
}

// Colours reports whether the log of the service shows the colours of a terminal.
func (s Service) Colours() bool {
	for _, t := range traits {
		if t.service == s {
			return t.colours
		}
	}
	return false
}

// Tests reports whether the service is told of tests, by the reporter that New makes.
func (s Service) Tests() bool {
	for _, t := range traits {
		if t.service == s {
			return t.tests
		}
	}
	return false
}

// summary reports whether the service shows a summary of the job.
func (s Service) summary() bool {
	for _, t := range traits {
		if t.service == s {
			return t.summary
		}
	}
	return false
}

// Root is the directory that the service's annotations are relative to: the one that the service
// says, or else the root of the repository that dir is in, or dir.
func (s Service) Root(dir string, getenv func(string) string) string {
	for _, t := range traits {
		if t.service != s || t.root == "" {
			continue
		}
		if root := getenv(t.root); root != "" && below(root, dir) {
			return filepath.Clean(root)
		}
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

func below(root, dir string) bool {
	rel, err := filepath.Rel(root, dir)
	return err == nil && filepath.IsLocal(rel)
}

// Fold returns text below a title that folds it away in the log, or stays above it where nothing
// folds. Where the service leaves the choice it is open. The title is one line. Commands in the
// text are none.
func (s Service) Fold(title, text string, now time.Time) string {
	if s == GitHub {
		return "::group::" + title + "\n" + unheard(text) + "::endgroup::\n"
	}
	text = s.Text(text)
	switch s {
	case Azure:
		return "##[group]" + title + "\n" + text + "##[endgroup]\n"
	case Buildkite:
		return "+++ " + title + "\n" + text
	case TeamCity:
		return teamCityMessage("blockOpened", "name", title) + text + teamCityMessage("blockClosed", "name", title)
	case GitLab:
		name := sectionName(title)
		return fmt.Sprintf("\x1b[0Ksection_start:%d:%s\r\x1b[0K%s\n%s\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", now.Unix(), name, title, text, now.Unix(), name)
	}
	return title + "\n" + text
}

// sectionName is a title as GitLab wants the names of sections: letters, digits and `_ . -`.
func sectionName(title string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r) {
			return r
		}
		return '_'
	}, strings.TrimSpace(title))
	return cmp.Or(name, "section")
}
