package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// needPython ends a test where there is no Python 3.
func needPython(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("python3", "-c", "import sys; print(sys.version_info[0])").CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "3" {
		t.Skipf("skipped: there is no python3: %v", err)
	}
}

func runScript(t *testing.T, gw *gateway.Gateway, source string, variables map[string]any) *gateway.Channel {
	t.Helper()
	ch, err := gw.RunScript(t.Context(), "python3", source, variables)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// The remote parts of the examples of py.execnet's documents run as they stand there.
func TestScriptsOfTheDocuments(t *testing.T) { overPlatforms(t, testScriptsOfTheDocuments) }

func testScriptsOfTheDocuments(t *testing.T, tr transport) {
	needPython(t)
	gw := tr.open(t)
	pid := receive[int](t, runScript(t, gw, `
     import os
     channel.send(os.getpid())
`[1:], nil))
	if pid <= 0 || pid == os.Getpid() || pid == gw.Info().Pid {
		t.Errorf("os.getpid() is %d", pid)
	}
	ch := runScript(t, gw, "import os; channel.send(os.getcwd())", nil)
	if dir := receive[string](t, ch); dir != gw.Info().Dir {
		t.Errorf("os.getcwd() is %s", dir)
	}
	wantEnd(t, ch)

	other := tr.open(t)
	two := func() *gateway.MultiChannel {
		return gateway.NewMultiChannel(runScript(t, gw, "channel.send(1)", nil), runScript(t, other, "channel.send(2)", nil))
	}
	items, err := two().ReceiveEach(t.Context()) // synchronously, by receive_each
	var l []int
	for _, it := range items {
		var n int
		err = errors.Join(err, it.Decode(&n))
		l = append(l, n)
	}
	if err != nil || !slices.Equal(l, []int{1, 2}) {
		t.Errorf("receive_each gives %v, %v", l, err)
	}

	m := two() // asynchronously, by make_receive_queue
	sum := 0
	for {
		ch, it, err := m.Receive(t.Context())
		if ch == nil {
			break
		}
		var n int
		if err == nil && it.Decode(&n) == nil {
			sum += n
		}
	}
	if sum != 3 {
		t.Errorf("res1 + res2 is %d", sum)
	}

	ch = runScript(t, gw, `
        for fn in channel:
            f = open(fn, 'rb')
            channel.send(f.read())
            f.close()
`, nil)
	for _, content := range []string{"first", strings.Repeat("second", 100_000)} {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		send(t, ch, name)
		if got := receive[[]byte](t, ch); string(got) != content {
			t.Errorf("%d bytes, want %d", len(got), len(content))
		}
	}
	if err := ch.CloseSend(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, ch)

	mytmp := tr.open(t, "chdir="+filepath.Join(t.TempDir(), "mytmp"))
	if got := receive[string](t, runScript(t, mytmp, `
      import os.path
      basename = os.path.basename(os.getcwd())
      channel.send(basename)
`[1:], nil)); got != "mytmp" {
		t.Errorf("os.path.basename(os.getcwd()) is %q", got)
	}

	if got := receive[string](t, runScript(t, gw, "if __name__ == '__channelexec__':\n    channel.send('remote')", nil)); got != "remote" {
		t.Errorf("got %q", got)
	}
}

// Values are the same after they have been to Python and back.
func TestScriptValues(t *testing.T) { overPlatforms(t, testScriptValues) }

func testScriptValues(t *testing.T, tr transport) {
	needPython(t)
	ch := runScript(t, tr.open(t), "for x in channel: channel.send(x)", nil)
	for _, v := range []any{
		nil, true, false, uint64(0), uint64(23), uint64(24), uint64(1<<64 - 1), int64(-1), int64(-1 << 63), 1.5, float32(0.1),
		"", "Grüße", "\xff\xfe", []byte{}, []byte("bytes\x00"), []any{}, []any{uint64(1), []any{"x", nil}}, map[any]any{"a": uint64(1), uint64(2): []any{}},
	} {
		send(t, ch, v)
		got := receive[any](t, ch)
		if f, ok := v.(float32); ok {
			v = float64(f)
		}
		if !reflect.DeepEqual(got, v) {
			t.Errorf("%#v came back as %#v", v, got)
		}
	}
}

// Errors of a script are errors of its channel, with their traceback.
func TestScriptErrors(t *testing.T) {
	needPython(t)
	gw := open(t, "popen")
	for source, want := range map[string][]string{
		"def f():\n    raise KeyError('what')\nf()": {"Traceback", `File "<source>", line 2, in f`, "raise KeyError('what')", "KeyError: 'what'"},
		"a b":                                       {`File "<source>", line 1`, "SyntaxError"},
		"import sys; sys.exit(3)":                   {"the script exited with 3"},
		"import os; os._exit(5)":                    {"python3 has ended before its source: exit status 5"},
		"channel.send(object())":                    {"TypeError: a object cannot be sent"},
		"channel.close(); channel.send":             {},
		"channel.close('no luck')":                  {"no luck"},
		"  a = 1\n  def f(x):\n      x()\n\n  f(a)": {`File "<source>", line 3, in f`, "TypeError"},
		"channel.receive(timeout=0.01)":             {"TimeoutError"},
	} {
		ch := runScript(t, gw, source, nil)
		err := ch.WaitClose(t.Context())
		if len(want) == 0 && err != nil {
			t.Errorf("%s: %v", source, err)
		}
		for _, part := range want {
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "OSError", "IOError"), part) {
				t.Errorf("%s: %v, want %q", source, err, part)
			}
		}
	}
	for _, interpreter := range []string{"/no/such/python", " "} {
		ch, err := gw.RunScript(t.Context(), interpreter, "", nil)
		if err == nil {
			err = ch.WaitClose(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), "run script") {
			t.Errorf("%q: %v", interpreter, err)
		}
	}
}

// A reader of makefile gives text, whether text or the byte strings of a Channel.Writer come, where
// ever they are cut. What is no UTF-8 comes back as it was.
func TestScriptReadsWhatIsWritten(t *testing.T) {
	needPython(t)
	gw := open(t, "popen")
	want := "a line\nthe 2nd: \u00fc\u20ac\U0001f600\n\xff\xfe no text\nthe rest \xe2\x82"
	for name, source := range map[string]string{
		"lines":  `for line in r: f.write(line)`,
		"all":    `f.write(r.read())`,
		"pieces": `for piece in iter(lambda: r.read(3), ""): f.write(piece)`,
	} {
		for _, size := range []int{1, 2, 3, len(want)} {
			ch := runScript(t, gw, "r, f = channel.makefile('r'), channel.makefile()\n"+source, nil)
			w := ch.Writer(t.Context())
			for piece := range slices.Chunk([]byte(want), size) {
				if _, err := w.Write(piece); err != nil {
					t.Fatal(err)
				}
			}
			w.Close()
			if got, err := io.ReadAll(ch.Reader(t.Context())); err != nil || string(got) != want {
				t.Errorf("%s, %d bytes at a time: %q, %v", name, size, got, err)
			}
		}
	}
	ch := runScript(t, gw, `r = channel.makefile("r"); channel.send([r.read(3), r.readline(), r.readline()])`, nil)
	for _, item := range []any{[]byte("\xc3"), "text", []byte("\xc3"), []byte("\xbc\n"), "end"} {
		send(t, ch, item)
	}
	if err := ch.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if got := receive[[]string](t, ch); !slices.Equal(got, []string{"\xc3te", "xt\u00fc\n", "end"}) {
		t.Errorf("mixed items: %q", got)
	}
	ch = runScript(t, gw, `channel.makefile("r").read()`, nil)
	send(t, ch, 3)
	if err := ch.WaitClose(t.Context()); err == nil || !strings.Contains(err.Error(), "TypeError: a file cannot read a int") {
		t.Errorf("a number: %v", err)
	}
}

// A script has its variables, files over its channel, and an end: with its channel, and with its
// agent.
func TestScriptChannel(t *testing.T) {
	needPython(t)
	gw := open(t, "popen")
	ch := runScript(t, gw, `
f = channel.makefile()
print("hello", name, file=f)
for line in channel.makefile("r"):
    f.write(line.upper())
print("to nobody's channel")
f.close()
`, map[string]any{"name": "you"})
	for _, part := range []string{"a\nb", "c\n", "d"} {
		send(t, ch, part)
	}
	if err := ch.CloseSend(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(ch.Reader(t.Context()))
	if err != nil || string(got) != "hello you\nA\nBC\nD" {
		t.Errorf("%q, %v", got, err)
	}
	for _, source := range []string{"channel.send(1)\nfor x in channel: pass", "channel.send(1)\nimport time; time.sleep(1000)"} {
		ch := runScript(t, gw, source, nil)
		receive[int](t, ch)
		if err := ch.Close(); err != nil {
			t.Error(err)
		}
	}
	awaitRunning(t, gw)
	var items []int
	for n, err := range gateway.All[int](t.Context(), runScript(t, gw, "for i in range(1000): channel.send(i)", nil)) {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, n)
	}
	if len(items) != 1000 || !slices.IsSorted(items) {
		t.Errorf("%d items came", len(items))
	}
	large := runScript(t, gw, fmt.Sprintf("channel.send(bytes(%d))", 17<<20), nil)
	if err := large.WaitClose(t.Context()); err == nil || !strings.Contains(err.Error(), "item is too large") {
		t.Errorf("got %v", err)
	}
}

// A source runs on all gateways of a group at once, as eval_multi and receive_each have it.
func TestGroupRunScript(t *testing.T) {
	needPython(t)
	ctx, g := t.Context(), newGroup(t, config())
	gws, err := g.OpenAll(ctx, "3*popen")
	if err != nil {
		t.Fatal(err)
	}
	m, err := g.RunScript(ctx, "", "import os; channel.send([n * n, os.getpid()])", map[string]any{"n": 3})
	if err != nil {
		t.Fatal(err)
	}
	items, err := m.ReceiveEach(ctx)
	pids := make(map[int]bool)
	for _, it := range items {
		var got [2]int
		if err := it.Decode(&got); err != nil || got[0] != 9 {
			t.Errorf("%v, %v", got, err)
		}
		pids[got[1]] = true
	}
	if err != nil || len(pids) != 3 {
		t.Errorf("%d processes have answered, %v", len(pids), err)
	}
	if err := m.WaitClose(ctx); err != nil {
		t.Error(err)
	}
	if _, err := g.RunScript(ctx, "", "", map[string]any{"n": make(chan int)}); err == nil || !strings.Contains(err.Error(), "run script on gateway "+g.At(0).ID()) {
		t.Errorf("variables that cannot be sent: %v", err)
	}
	for _, gw := range gws {
		awaitRunning(t, gw)
	}
}

// The example for Python prints what it is to: it has no Output, since there may be no Python.
func TestPythonExample(t *testing.T) {
	needPython(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = stdout }()
	ExampleGateway_RunScript_python()
	w.Close()
	if said, err := io.ReadAll(r); err != nil || string(said) != "30 ms, of 3 numbers\n" {
		t.Errorf("it prints %q, %v", said, err)
	}
}
