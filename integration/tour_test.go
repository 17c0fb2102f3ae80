package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The first command of README.md runs examples/tour and tells what is in it: a failure with its
// place, a flaky test, a skip, and what to do next.
func TestFirstCommand(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile(`(?m)^    go run \./cmd/xdist (.*?) +#`).FindSubmatch(readme)
	if first == nil {
		t.Fatal("README.md has no first command")
	}
	report := filepath.Join(t.TempDir(), "report.html")
	line := strings.Replace(string(first[1]), " report.html ", " "+report+" ", 1)
	e := command(t, "..", append(os.Environ(), "XDIST_CACHE="+t.TempDir(), "XDIST_NO_HISTORY=", "CI=", "GITHUB_ACTIONS=", "NO_COLOR=1"), xdist(t), strings.Fields(line)...)
	if e.status != 1 {
		t.Errorf("exit status %d", e.status)
	}
	for _, want := range []string{
		`(?m)^FAIL  money\.TestString \(\S+\)  gw[01]  attempt 2$`,
		`(?m)^AGAIN store\.TestFlaky  gw[01]  attempt 1: store.store_test\.go:\d+: the server did not answer`,
		`(?m)^✓  other/list `,
		`(?m)^FAIL  1 of 14 tests, 1 skipped, 1 flaky   .* on 2 gateways\)$`,
		`(?m)^  money\.TestString/debt  ` + regexp.QuoteMeta(filepath.Join("money", "money_test.go")) + `:\d+   -250 cents are "-2\.-50", want "-2\.50"$`,
		`(?m)^again: xdist --last-failed --tx '2\*popen' --reruns 1 --html \S+ -C examples/tour \./\.\.\.      report: \S+report\.html$`,
	} {
		if !regexp.MustCompile(want).MatchString(e.stdout) {
			t.Errorf("nothing like %s in\n%s", want, e.stdout)
		}
	}
	if page, err := os.ReadFile(report); err != nil || !strings.Contains(string(page), "failed: 1 of 14 tests, 1 skipped") {
		t.Errorf("the report: %v", err)
	}
}
