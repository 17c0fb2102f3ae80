package unit

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPanicNamesTheTest has traces of goroutines, and whose test of package example.com/a.b/p.q
// they are of.
func TestPanicNamesTheTest(t *testing.T) {
	const pkg, sym = "example.com/a.b/p.q", "example.com/a.b/p%2eq"
	const runner = "testing.tRunner(0xc000007a40, 0x54a3b8)\n\t/go/src/testing/testing.go:1934 +0xea\ncreated by testing.(*T).Run in goroutine 1\n\t/go/src/testing/testing.go:1997 +0x465\n"
	for _, tt := range []struct{ name, text, want string }{
		{"no trace", "panic: x\n", ""},
		{"the test itself", "panic: x\n\ngoroutine 7 [running]:\n" + sym + ".TestA(0xc0)\n\t/p_test.go:5 +0x1\n" + runner, "TestA"},
		{"a function that the test calls", "panic: x\n\ngoroutine 7 [running]:\n" + sym + ".boom(...)\n\t/p_test.go:5\n" + sym + ".TestA(0xc0)\n\t/p_test.go:5 +0x1\n" + runner, "TestA"},
		{"a test that the test calls", "panic: x\n\ngoroutine 7 [running]:\n" + sym + ".TestB(0xc0)\n\t/p_test.go:5\n" + sym + ".TestA(0xc0)\n\t/p_test.go:5 +0x1\n" + runner, "TestA"},
		{"a subtest", "panic: x [recovered, repanicked]\n\ngoroutine 8 [running]:\npanic({0x51, 0x55})\n\t/panic.go:1 +0x1\n" + sym + ".TestA.func1.2(0xc0)\n\t/p_test.go:5 +0x1\n" + runner, "TestA"},
		{"of the external test package", "panic: x\n\ngoroutine 7 [running]:\n" + sym + "_test.ExampleA()\n\t/p_test.go:5 +0x1\n" + runner, "ExampleA"},
		{"a fuzz target", "panic: x\n\ngoroutine 7 [running]:\n" + sym + ".FuzzA.func1(0xc0)\n\t/p_test.go:5 +0x1\nreflect.Value.call({0x1})\n\t/v.go:1\n" + runner, "FuzzA"},
		{"a generic function", "panic: x\n\ngoroutine 7 [running]:\n" + sym + ".TestA.f[...](0xc0)\n\t/p_test.go:5 +0x1\n" + runner, "TestA"},
		{"a goroutine that the test has started", "panic: x\n\ngoroutine 9 [running]:\n" + sym + ".work()\n\t/p.go:5 +0x1\ncreated by " + sym + ".TestA in goroutine 7\n\t/p_test.go:1 +0x1\n", "TestA"},
		{"a goroutine that a subtest has started", "panic: x\n\ngoroutine 9 [running]:\nother.work()\n\t/p.go:5 +0x1\ncreated by " + sym + ".TestA.func2.1 in goroutine 7\n\t/p_test.go:1 +0x1\n", "TestA"},
		{"a goroutine of older releases", "panic: x\n\ngoroutine 9 [running]:\nother.work()\n\t/p.go:5 +0x1\ncreated by " + sym + ".TestA\n\t/p_test.go:1 +0x1\n", "TestA"},
		{"the goroutine's maker is in the text", "fatal error: x\n\ngoroutine 9 gp=0xc000 m=3 mp=0xc1 [running]:\n" + sym + ".work()\n\t/p.go:5 +0x1\ncreated by " + sym + ".start in goroutine 7\n\t/p.go:1 +0x1\n\n" +
			"goroutine 1 [chan receive]:\ntesting.(*T).Run(0x1)\n\ngoroutine 7 [chan receive]:\n" + sym + ".TestA(0xc0)\n\t/p_test.go:5 +0x1\n" + runner, "TestA"},
		{"others have tests", "panic: x\n\ngoroutine 9 [running]:\nother.work()\n\t/p.go:5 +0x1\n\ngoroutine 7 [chan receive]:\n" + sym + ".TestB(0xc0)\n\t/p_test.go:5 +0x1\n" + runner, ""},
		{"a test of another package", "panic: x\n\ngoroutine 7 [running]:\nexample.com/other.TestA(0xc0)\n\t/p_test.go:5 +0x1\n" + runner, ""},
		{"a method", "panic: x\n\ngoroutine 7 [running]:\n" + sym + ".(*Suite).TestA(0xc0)\n\t/p_test.go:5 +0x1\n" + runner, ""},
		{"a name that only looks so", "panic: x\n\ngoroutine 7 [running]:\n" + sym + ".helpTestA(0xc0)\n\t/p_test.go:5 +0x1\n" + runner, ""},
		{"the timeout", "panic: test timed out after 1s\n\trunning tests:\n\t\tTestA (1s)\n\ngoroutine 20 [running]:\ntesting.(*M).startAlarm.func1()\n\t/t.go:1 +0x1\ncreated by time.goFunc\n\t/s.go:1 +0x2\n", ""},
		{"goroutines in a circle", "panic: x\n\ngoroutine 9 [running]:\na.b()\ncreated by a.c in goroutine 8\n\t/p.go:1\n\ngoroutine 8 [running]:\na.b()\ncreated by a.c in goroutine 9\n\t/p.go:1\n", ""},
		{"an earlier text", "panic: fake\n\ngoroutine 7 [running]:\n" + sym + ".TestB(0xc0)\n\npanic: x\n\ngoroutine 7 [running]:\n" + sym + ".TestA(0xc0)\n", "TestA"},
	} {
		var s scanner
		s.write([]byte("output\n" + tt.text))
		if got := s.panicked.test(pkg); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestPanicText shows where the text of a panic begins and that it is bounded.
func TestPanicText(t *testing.T) {
	for _, tt := range []struct{ output, want string }{
		{"", ""},
		{"hello\npanic: x\n\ngoroutine 1 [running]:\n", "panic: x\n\ngoroutine 1 [running]:\n"},
		{"hello\nfatal error: x\nend\n", "fatal error: x\nend\n"},
		{"no newlinepanic: x\nend\n", "panic: x\nend\n"},
		{"panic: x\n\tpanic: y\n", "panic: x\n\tpanic: y\n"},
		{"log: panic: no\npanic: x\nlater panic: no\n", "panic: x\nlater panic: no\n"},
		{"panic: x\n\x16=== NAME  TestB\n    log\n", "panic: x\n    log\n"},
		{"panic: \xff\n", "panic: \uFFFD\n"},
	} {
		var s scanner
		s.write([]byte(tt.output))
		if got := s.panicked.String(); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.output, got, tt.want)
		}
	}
	var s scanner
	s.write([]byte("panic: x\n" + strings.Repeat(strings.Repeat("é", 1000)+"\n", 100)))
	if got := s.panicked.String(); len(got) > maxPanic+4 || len(got) < maxPanic-4 || !utf8.ValidString(got) {
		t.Errorf("%d bytes are kept, want %d", len(got), maxPanic)
	}
}

// TestPanicAmongNeighbours shows that a test whose goroutine panics is blamed, while another one
// prints.
func TestPanicAmongNeighbours(t *testing.T) {
	t.Parallel()
	for range 20 {
		rec := &recorder{}
		res := Run(t.Context(), fixture(t, "moody", "^(TestLoudNeighbour|TestBackgroundPanic)$", "-test.parallel=2"), rec.emit)
		if res.Culprit != "TestBackgroundPanic" || res.Items["TestLoudNeighbour"].Action != "" {
			t.Fatalf("blames %q, items %v\n%s", res.Culprit, res.Items, rec.output(""))
		}
		if !strings.HasPrefix(res.Panic, "panic: background\n\tboom\n") || !strings.Contains(res.Panic, "TestBackgroundPanic") {
			t.Errorf("its text is %q", res.Panic)
		}
	}
}
