package waits

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// file is one by which the test that runs this one and this one tell each other things.
func file(name string) string { return filepath.Join(os.Getenv("TERMINAL_DIR"), name) }

// TestWaits says who it is, and goes on when it may.
func TestWaits(t *testing.T) {
	fmt.Println("the first line")
	fmt.Println("waiting for a sign")
	if err := os.WriteFile(file("pid"), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for {
		if _, err := os.Stat(file("go")); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if limit, err := time.ParseDuration(os.Getenv("TERMINAL_LIMIT")); err == nil && time.Since(start) > limit {
		t.Errorf("the sign came after more than %v", limit)
	}
}

// TestLoud prints more than a terminal takes.
func TestLoud(t *testing.T) {
	if os.Getenv("TERMINAL_LOUD") == "" {
		t.Skip("skipped: nobody wants to hear it")
	}
	fmt.Print(strings.Repeat(strings.Repeat("x", 99)+"\n", 4000))
	if err := os.WriteFile(file("said"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
