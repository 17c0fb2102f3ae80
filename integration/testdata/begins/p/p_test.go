package p

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain counts the processes of the package in a file, and hangs on request in one that has no
// tests to run.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("BEGINS_HANG") != "" && flag.Lookup(strings.Join([]string{"test", "run"}, ".")).Value.String() == "^$" {
		time.Sleep(time.Hour)
	}
	f, err := os.OpenFile(os.Getenv("BEGINS_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString("began\n")
	}
	if err != nil && os.Getenv("BEGINS_LOG") != "" {
		panic(err)
	}
	Open()
	code := m.Run()
	Close()
	os.Exit(code)
}

func run(t *testing.T, n int) {
	time.Sleep(100 * time.Millisecond)
	for range n {
		if double(n) != 2*n {
			t.Error(double(n))
		}
	}
}

func TestOne(t *testing.T)      { run(t, 1) }
func TestTwo(t *testing.T)      { run(t, 2) }
func TestThree(t *testing.T)    { run(t, 3) }
func TestFour(t *testing.T)     { run(t, 4) }
func TestFive(t *testing.T)     { run(t, 5) }
func TestSix(t *testing.T)      { run(t, 6) }
func TestSeven(t *testing.T)    { run(t, 7) }
func TestEight(t *testing.T)    { run(t, 8) }
func TestNine(t *testing.T)     { run(t, 9) }
func TestTen(t *testing.T)      { run(t, 10) }
func TestEleven(t *testing.T)   { run(t, 11) }
func TestTwelve(t *testing.T)   { run(t, 12) }
func TestThirteen(t *testing.T) { run(t, 13) }
func TestFourteen(t *testing.T) { run(t, 14) }
func TestFifteen(t *testing.T)  { run(t, 15) }
func TestSixteen(t *testing.T)  { run(t, 16) }
func TestNone(t *testing.T)     {}
