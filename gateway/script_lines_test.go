package gateway_test

import (
	"math"
	"math/big"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/xdist-go/xdist/gateway"
)

func needProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("skipped: there is no %s: %v", name, err)
	}
}

func runIn(t *testing.T, gw *gateway.Gateway, interpreter, source string, variables map[string]any) *gateway.Channel {
	t.Helper()
	ch, err := gw.RunScript(t.Context(), interpreter, source, variables)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// Shells and Node speak lines of JSON.
func TestScriptLines(t *testing.T) { overPlatforms(t, testScriptLines) }

func testScriptLines(t *testing.T, tr transport) {
	needProgram(t, "sh")
	gw := tr.open(t)
	ch := runIn(t, gw, "sh", `
		printf '"%s"\n' "$PWD"
		while read -r n; do echo $((n * factor)); done
		echo '{"text": "'"$text"'", "list": [1, 2.5, null, true]}'
	`, map[string]any{"factor": 3, "text": "Grüße"})
	if dir := receive[string](t, ch); dir != gw.Info().Dir {
		t.Errorf("$PWD is %s, not %s", dir, gw.Info().Dir)
	}
	for n := range 3 {
		send(t, ch, n)
		if got := receive[int](t, ch); got != 3*n {
			t.Errorf("got %d", got)
		}
	}
	if err := ch.CloseSend(); err != nil {
		t.Fatal(err)
	}
	want := map[any]any{"text": "Grüße", "list": []any{uint64(1), 2.5, nil, true}}
	if got := receive[any](t, ch); !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v", got)
	}
	wantEnd(t, ch)
	awaitRunning(t, gw)
}

// Values are the same after they have been to Node and back.
func TestNodeValues(t *testing.T) {
	needProgram(t, "node")
	gw := open(t, "popen")
	ch := runIn(t, gw, "node", `
		const lines = require("readline").createInterface({input: process.stdin});
		console.log(JSON.stringify(greeting));
		lines.on("line", line => console.log(JSON.stringify(JSON.parse(line))));
	`, map[string]any{"greeting": []string{"hello"}})
	if got := receive[[]string](t, ch); len(got) != 1 || got[0] != "hello" {
		t.Errorf("got %q", got)
	}
	for _, v := range []any{
		nil, true, uint64(0), uint64(1 << 53), int64(-5), 1.5, "", "a\nb \u2028 Grüße", []any{}, []any{uint64(1), []any{"x", nil}}, map[any]any{"a": map[any]any{"b": uint64(1)}},
	} {
		send(t, ch, v)
		if got := receive[any](t, ch); !reflect.DeepEqual(got, v) {
			t.Errorf("%#v came back as %#v", v, got)
		}
	}
	if err := ch.CloseSend(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, ch)
}

// Integers are the same whatever their size, as far as items have them, and what is tagged is a
// line without its tag.
func TestScriptLineNumbers(t *testing.T) {
	needProgram(t, "sh")
	gw := open(t, "popen")
	ch := runIn(t, gw, "sh", `while read -r line; do printf '%s\n"%s"\n' "$line" "$line"; done`, nil)
	large, _ := new(big.Int).SetString("-1180591620717411303424", 10)
	for _, tc := range []struct{ sent, got, text any }{
		{uint64(1<<64 - 1), uint64(1<<64 - 1), "18446744073709551615"},
		{uint64(1 << 63), uint64(1 << 63), "9223372036854775808"},
		{int64(-1 << 63), int64(-1 << 63), "-9223372036854775808"},
		{large, -0x1p70, "-1180591620717411303424"},
		{cbor.Tag{Number: 4711, Content: 5}, uint64(5), "5"},
		{cbor.Tag{Number: 4711, Content: map[string]int{}}, map[any]any{}, "{}"},
	} {
		send(t, ch, tc.sent)
		if got, text := receive[any](t, ch), receive[any](t, ch); !reflect.DeepEqual(got, tc.got) || text != tc.text {
			t.Errorf("%v is the line %v, which comes back as %#v", tc.sent, text, got)
		}
	}
}

// Errors have the status and the end of standard error, and say what is wrong with a line.
func TestScriptLineErrors(t *testing.T) {
	needProgram(t, "sh")
	gw := open(t, "popen")
	for source, want := range map[string]string{
		"echo 1; echo first >&2; echo last >&2; exit 3": "sh: exit status 3: first\nlast",
		"kill -9 $$":    "sh: signal: killed",
		"echo hello":    `no JSON value (what is for people goes to standard error): "hello"`,
		"echo 1 2":      "more follows the first value",
		"no-such-thing": "exit status 127: ",
		"if":            "exit status 2: ",
		"echo 1e999":    "a number is too large",
		"echo '\"x'":    "no JSON value",
		`yes 1 | head -c 40000000 | tr -d '\n'; echo`: "item is too large",
	} {
		ch := runIn(t, gw, "sh", source, nil)
		if err := ch.WaitClose(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
	ch := runIn(t, gw, "sh", "cat >/dev/null", nil)
	send(t, ch, map[any]any{uint64(1): "x"})
	if err := ch.WaitClose(t.Context()); err == nil || !strings.Contains(err.Error(), "JSON has no key such as 1") {
		t.Errorf("got %v", err)
	}
	for name, v := range map[string]any{"1x": 1, "": 1, "a b": 1, "ok": math.Inf(1)} {
		if _, err := gw.RunScript(t.Context(), "sh", "true", map[string]any{name: v}); err == nil || !strings.Contains(err.Error(), "variable") {
			t.Errorf("variable %q: %v", name, err)
		}
	}
	if _, err := gw.RunScript(t.Context(), "sh", strings.Repeat("#", 200_000), nil); err == nil || !strings.Contains(err.Error(), "fit an argument") {
		t.Errorf("got %v", err)
	}
	awaitRunning(t, gw)
}

// A script ends when its channel does, also when it does not listen, and what it has started ends
// with it.
func TestScriptLinesEnd(t *testing.T) {
	needProgram(t, "sh")
	gw := open(t, "popen")
	for _, source := range []string{"echo 1; cat", "echo 1; sleep 1000", "trap '' TERM; echo 1; while :; do sleep 1; done", "sleep 1000 & echo 1"} {
		ch := runIn(t, gw, "sh", source, nil)
		receive[int](t, ch)
		if err := ch.Close(); err != nil {
			t.Error(err)
		}
		awaitRunning(t, gw)
	}
	wantEnd(t, runIn(t, gw, "sh", "sleep 1000 & true", nil))
}

// shell= names the shell that sh stands for, and python= that of no name.
func TestScriptKeys(t *testing.T) {
	needProgram(t, "bash")
	gw := open(t, "popen//shell=bash//python=false")
	if got := receive[string](t, runIn(t, gw, "sh", `printf '"%s"\n' "${BASH_VERSION:+bash}"`, nil)); got != "bash" {
		t.Errorf("got %q", got)
	}
	if err := runIn(t, gw, "", "", nil).WaitClose(t.Context()); err == nil || !strings.Contains(err.Error(), "false has ended before its source") {
		t.Errorf("got %v", err)
	}
}
