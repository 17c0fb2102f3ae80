// Package chromium shows pages in a real browser, for tests.
package chromium

import (
	"bytes"
	"context"
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// Page is what becomes of the page at an address. What the browser complains of fails the test,
// which is skipped where there is no browser.
func Page(t *testing.T, address string, flags ...string) (dom string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium (Debian's chromium)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	flags = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr", "--user-data-dir=" + t.TempDir(), "--window-size=1400,900", "--dump-dom",
	}, flags...)
	cmd := exec.CommandContext(ctx, browser, append(flags, address)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errs, time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	if complaint := regexp.MustCompile(`.*CONSOLE.*`).FindString(errs.String()); complaint != "" {
		t.Errorf("the browser says: %s", complaint)
	}
	return out.String()
}
