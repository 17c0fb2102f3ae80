// Package traps prints what a converter of test output can get wrong. Its tests run one by one, by name.
package traps

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestSubtests(t *testing.T) {
	t.Log("before")
	for _, name := range []string{"plain", "with space", "with (paren", "a/b", "ünï☺", "tab\tbed", "quote\"<&>", "bad\xffutf8", ""} {
		t.Run(name, func(t *testing.T) {
			t.Log("inner of", name)
			t.Run("deep", func(t *testing.T) { t.Log("deeper\nand deeper") })
			t.Run("skipped", func(t *testing.T) { t.Skip("not today") })
		})
	}
	t.Log("after")
}

func TestParallel(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprint("p", i), func(t *testing.T) {
			t.Parallel()
			t.Log("log", i)
			fmt.Println("print", i)
			fmt.Print("no newline ", i)
		})
	}
}

func TestFails(t *testing.T) {
	t.Run("sub", func(t *testing.T) { t.Error("wrong") })
	t.Run("fatal", func(t *testing.T) { t.Fatal("very wrong") })
}

func TestAttr(t *testing.T) {
	t.Attr("key", "a value with spaces")
	t.Attr("empty", "")
	t.Run("sub test", func(t *testing.T) { t.Attr("k", "v") })
}

func TestArtifacts(t *testing.T) {
	t.Log(t.ArtifactDir() != "")
}

func TestLongLines(t *testing.T) {
	for _, n := range []int{1023, 1024, 1025, 4094, 4095, 4096, 4097, 5000, 1 << 20} {
		fmt.Println(strings.Repeat("x", n))
		fmt.Println(strings.Repeat("☺", n/3))
	}
	t.Log(strings.Repeat("logged ", 2000))
}

func TestBinary(t *testing.T) {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	os.Stdout.Write(all[:])
	os.Stdout.Write([]byte("\xe2\x98\n\xf0\x9f\x98\n\xc0\x80\xed\xa0\x80\n\u2028\u2029<>&\r\n\x00\n"))
	for range 30 {
		os.Stdout.Write(all[128:])
	}
}

func TestImitates(t *testing.T) {
	fmt.Println("--- PASS: TestNotThere (0.00s)")
	fmt.Println("=== RUN   TestNotThere")
	fmt.Println("    --- FAIL: TestNotThere/sub (1.00s)")
	fmt.Println("PASS")
	fmt.Println("FAIL\tpkg\t0.1s")
	fmt.Println("mid \x16line")
	fmt.Println("mid \x16=== RUN   TestMid")
	fmt.Println("mid \x16=== NAME  TestImitates")
	fmt.Print("BenchmarkLike\tnot one")
	fmt.Print("\x16\x16\x16\n")
}

func TestNoNewline(t *testing.T) {
	fmt.Print("no newline at the end")
}

func TestStderr(t *testing.T) {
	for i := range 20 {
		println("err", i)
		fmt.Println("out", i)
	}
}

func TestPanics(t *testing.T) {
	t.Run("sub", func(t *testing.T) {
		fmt.Print("cut off ")
		panic("on purpose")
	})
}

func TestHangs(t *testing.T) {
	t.Log("waiting")
	time.Sleep(time.Hour)
}

func TestExits(t *testing.T) {
	t.Run("done", func(t *testing.T) {})
	fmt.Print("bye")
	os.Exit(3)
}

func FuzzSeeds(f *testing.F) {
	f.Add("one")
	f.Add("two\n")
	f.Fuzz(func(t *testing.T, s string) { t.Logf("%q", s) })
}

func ExampleOutput() {
	fmt.Println("hello")
	// Output: hello
}

func ExampleWrong() {
	fmt.Println("hello")
	// Output: goodbye
}

func BenchmarkGood(b *testing.B) {
	b.Log("logged")
	for b.Loop() {
	}
}

func BenchmarkBad(b *testing.B) {
	b.Run("sub", func(b *testing.B) { b.Fatal("bad") })
}
