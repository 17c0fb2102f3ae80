package gateway

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// noProgram is a program that cannot be started.
const noProgram = "/no/such/directory/and/program"

// fakeShim is an interpreter in memory that says what it likes. It owns two goroutines, which end
// when the interpreter is killed, or its input and output are closed.
type fakeShim struct {
	*interpreter
	heard bytes.Buffer // what it was told; to be read after endedc
}

// newFakeShim returns an interpreter of this name that says some bytes, and then ends or is silent.
func newFakeShim(name, says string, ends bool) *fakeShim {
	near, far := net.Pipe()
	s := &fakeShim{}
	endedc := make(chan struct{})
	proc := &memProcess{cancel: func() { far.Close() }, donec: endedc, ended: func(string) {}}
	s.interpreter = &interpreter{name: name, l: &endpoint{conn: near, proc: proc}, r: bufio.NewReader(near), endedc: endedc, status: "served"}
	go func() {
		defer close(endedc)
		io.Copy(&s.heard, far)
	}()
	go func() {
		io.WriteString(far, says) // it may be killed
		if ends {
			far.Close()
		}
	}()
	return s
}

// runFake runs a source in an interpreter that is idle, and then ends what is left of that. It
// reports whether the interpreter could have another source.
func runFake(t *testing.T, s spoken, shim *fakeShim) (a answer, again bool) {
	t.Helper()
	var all *interpreters
	a = hear(t, func(agent *session) {
		all = &agent.interpreters
		all.busy = map[string]int{shim.name: 1}
		all.put(shim.interpreter)
	}, withBuiltins(nil), scriptHandler, s)
	again = len(all.idle) > 0
	all.close()
	<-shim.endedc
	if len(all.busy) > 0 {
		t.Errorf("%v are busy", all.busy)
	}
	return a, again
}

func shimFrame(kind byte, content string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content)))) + content
}

// FuzzScriptRequest has a controller ask for a source with any bytes, and send it any item.
func FuzzScriptRequest(f *testing.F) {
	variables := encoded(f, map[string]any{"x": 1})
	for _, r := range []scriptRequest{
		{Interpreter: []string{"python3"}, Source: "x"}, {Interpreter: []string{"python3", "-I"}, Source: "x", Variables: variables},
		{Interpreter: []string{"python3"}, Fresh: true}, {Interpreter: []string{""}, Variables: []byte("\x19")}, {Source: "x"},
		{Interpreter: []string{"sh", "-c"}, Source: "exit", Lines: true, Env: []string{"A=b", "A", "=", "\x00"}}, {Lines: true},
	} {
		f.Add(encoded(f, r), []byte("\x05"))
	}
	f.Add([]byte("\xa2\x01\x81\x61x\x02\x05"), []byte{})
	f.Fuzz(func(t *testing.T, args, sent []byte) {
		var req scriptRequest
		args, ok := confined(t, args, func(r *scriptRequest) {
			if len(r.Interpreter) > 0 {
				r.Interpreter[0] = noProgram
			}
			req = *r
		})
		synctest.Test(t, func(t *testing.T) {
			shim := newFakeShim(strings.Join(req.Interpreter, "\x00"), shimFrame(scriptDone, ""), false)
			var a answer
			frugally(t, 8<<20, func() {
				a, _ = runFake(t, spoken{args: args, items: [][]byte{sent}}, shim)
			})
			runs := ok && len(req.Interpreter) > 0 && !req.Lines && !req.Fresh && (len(req.Variables) == 0 || decMode.Wellformed(req.Variables) == nil)
			if runs != (a.failure == nil) || !a.over {
				t.Errorf("it runs: %v, and ends: %v, with %v", runs, a.over, a.failure)
			}
			if runs {
				checkSource(t, req, shim.heard.Bytes())
			} else if shim.heard.Len() > 0 {
				t.Errorf("the interpreter is told %q", shim.heard.Bytes())
			}
		})
	})
}

// checkSource checks what an interpreter is told first.
func checkSource(t *testing.T, req scriptRequest, heard []byte) {
	t.Helper()
	var first struct {
		_         struct{} `cbor:",toarray"`
		Source    string
		Variables Item
	}
	size := 5 + int(binary.BigEndian.Uint32(heard[1:]))
	if err := Item(heard[5:size]).Decode(&first); err != nil || heard[0] != scriptSource || first.Source != req.Source {
		t.Errorf("the interpreter is told %q, %v, want %q", heard, err, req.Source)
	}
	if len(req.Variables) > 0 && !bytes.Equal(first.Variables, req.Variables) {
		t.Errorf("it has %x for variables, want %x", first.Variables, req.Variables)
	}
}

// FuzzScriptFrames has an interpreter say anything, and then end or be silent. The controller gets
// the items up to the end or to what is wrong, and hears of that.
func FuzzScriptFrames(f *testing.F) {
	item, done := shimFrame(scriptItem, "\x05"), shimFrame(scriptDone, "")
	for _, says := range []string{
		"", done, item + done, item + shimFrame(scriptDone, "x"), item + shimFrame(scriptClose, "") + item + done, shimFrame(scriptError, "no\n\n") + done,
		item + shimFrame(scriptError, "") + shimFrame(scriptError, "again"), shimFrame(scriptItem, "") + done, shimFrame('Q', "") + done,
		item + "I\xff\xff\xff\xffx", "I\x00\x01\x00\x01", "I\x00\x00\x00\x05abc", done + item, shimFrame(scriptItem, "\xff") + done,
	} {
		f.Add(says, false, []byte("\x05"))
		f.Add(says, true, []byte("\x43abc"))
	}
	args := encoded(f, scriptRequest{Interpreter: []string{"python3"}})
	f.Fuzz(func(t *testing.T, says string, ends bool, sent []byte) {
		synctest.Test(t, func(t *testing.T) {
			shim := newFakeShim("python3", says, ends)
			var a answer
			var again bool
			frugally(t, 8<<20, func() {
				a, again = runFake(t, spoken{args: args, items: [][]byte{sent}, ends: true}, shim)
			})
			want := saidByShim(says, ends)
			if !slices.EqualFunc(a.items, want.items, func(a Item, b string) bool { return string(a) == b }) {
				t.Errorf("%x come, want %x", a.items, want.items)
			}
			if a.over != want.over || again && !want.again || want.again && !again && !ends { // one that has ended takes none
				t.Errorf("its end comes: %v, it takes another: %v, want %v, %v", a.over, again, want.over, want.again)
			}
			checkEnd(t, a.failure, want)
			checkFed(t, shim.heard.Bytes(), sent, !want.over)
		})
	})
}

// shimAnswer is what is to become of what an interpreter says.
type shimAnswer struct {
	items  []string
	raised string // by the source; "" is nothing
	fault  string // of the interpreter, and a part of the error; "" is none
	failed bool   // the source has raised something, or the interpreter is at fault
	over   bool   // without the controller's doing
	again  bool   // the interpreter may have another source
}

// wrong is a with a fault.
func (a shimAnswer) wrong(fault string) shimAnswer {
	a.fault, a.failed, a.over = fault, true, true
	return a
}

// saidByShim is what is to become of what an interpreter says before it ends, or is silent.
func saidByShim(says string, ends bool) (a shimAnswer) {
	closed := false
	for len(says) >= 5 {
		kind, size := says[0], binary.BigEndian.Uint32([]byte(says[1:]))
		if size > minItemSize {
			return a.wrong(ErrTooLarge.Error())
		}
		if uint64(len(says)-5) < uint64(size) {
			break
		}
		content := says[5 : 5+size]
		says = says[5+size:]
		switch kind {
		case scriptItem:
			if size == 0 {
				return a.wrong("empty item")
			}
			if !closed {
				a.items = append(a.items, content)
			}
		case scriptClose:
			closed = true
		case scriptError:
			a.raised, a.failed = strings.TrimRight(content, "\n"), true
		case scriptDone:
			a.over, a.again = true, size == 0
			return a
		default:
			return a.wrong("the interpreter says what its shim does not")
		}
	}
	if ends {
		return a.wrong("has ended before its source")
	}
	a.failed = false // the controller closes the channel before it hears of that
	return a
}

func checkEnd(t *testing.T, failure *RemoteError, want shimAnswer) {
	t.Helper()
	switch {
	case !want.failed && failure != nil:
		t.Errorf("it fails: %v", failure)
	case !want.failed || len(want.raised) > maxErrorText/2: // nobody sees all of that
	case failure == nil:
		t.Errorf("it does not fail, want %+v", want)
	case want.fault == "" && failure.Text != want.raised,
		!strings.Contains(failure.Text, want.fault), !strings.Contains(failure.Text, want.raised):
		t.Errorf("it fails with %q, want %+v", failure.Text, want)
	}
}

// checkFed checks that an interpreter was told of a source, of nothing but the item sent, and of
// one end; when it has said that its source has ended it need not have come to all of that.
func checkFed(t *testing.T, heard, sent []byte, all bool) {
	t.Helper()
	kinds := ""
	for len(heard) >= 5 {
		kind, size := heard[0], int(binary.BigEndian.Uint32(heard[1:]))
		if kind == scriptItem && !bytes.Equal(heard[5:5+size], sent) {
			t.Errorf("item %x, want %x", heard[5:5+size], sent)
		}
		kinds += string(kind)
		heard = heard[5+size:]
	}
	want := "SIE"
	if len(sent) == 0 {
		want = "SE"
	}
	if len(heard) > 0 || !strings.HasPrefix(want, kinds) || all && kinds != want {
		t.Errorf("it is told %q, want %q, and then %q", kinds, want, heard)
	}
}
