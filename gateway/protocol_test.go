package gateway

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// protocolText is PROTOCOL.md.
func protocolText(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// rows returns number and name of each row of the table that follows the heading.
func rows(t *testing.T, text, heading string) map[int]string {
	t.Helper()
	words := strings.Fields(regexp.QuoteMeta(heading)) // a line may end between any two of them
	at := regexp.MustCompile(`\n` + strings.Join(words, `\s+`) + `\n`).FindStringIndex(text)
	if at == nil {
		t.Fatalf("PROTOCOL.md has no %q", heading)
	}
	rest := text[at[1]:]
	out := make(map[int]string)
	row := regexp.MustCompile(`^\| (\d+) \| (\w+) \|`)
	for line := range strings.Lines(rest) {
		if m := row.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1]) // digits
			out[n] = m[2]
		} else if len(out) > 0 {
			break
		}
	}
	return out
}

// keys returns the CBOR keys and names of a struct's fields.
func keys(v any) map[int]string {
	out := make(map[int]string)
	for f := range reflect.TypeOf(v).Fields() {
		number, _, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		n, err := strconv.Atoi(number)
		if err != nil {
			panic("BUG: field " + f.Name + " has no number")
		}
		out[n] = f.Name
	}
	return out
}

func TestProtocolTables(t *testing.T) {
	text := protocolText(t)
	for _, tc := range []struct {
		heading string
		want    map[int]string
	}{
		{"`hello`", keys(hello{})},
		{"`welcome`", keys(welcome{})},
		{"`Info`", keys(Info{})},
		{"## 3. Frames", map[int]string{
			int(frameOpen): "Open", int(frameItem): "Item", int(frameEnd): "End", int(frameClose): "Close"}},
		{"## 4. Control channel", map[int]string{
			int(controlBeat): "Beat", int(controlEcho): "Echo", int(controlAsk): "Ask", int(controlStatus): "Status", int(controlGoodbye): "Goodbye"}},
		{"### Socket frames", map[int]string{
			int(socketData): "Data", int(socketEnd): "End", int(socketInterrupt): "Interrupt", int(socketKill): "Kill",
			int(socketStderr): "Stderr", int(socketStatus): "Status", int(socketAlive): "Alive"}},
		{"`gateway/dial` connects by TCP. Its argument and the one item that it sends are", keys(dialRequest{})},
		{"| 2 | Data | reference | |", keys(dialReport{})},
		{"`gateway/start` starts a process with Data as its standard input and output. Its argument is", keys(startRequest{})},
		{"It sends items with one of Error and Pid first, then of Stderr as it comes, then of Status, and ends:", keys(startReport{})},
		{"and takes items of one field, 1 Kind:", map[int]string{int(orderInterrupt): "Interrupt", int(orderKill): "Kill"}},
	} {
		if diff := cmp.Diff(tc.want, rows(t, text, tc.heading)); diff != "" {
			t.Errorf("table below %q (- code, + page): %s", tc.heading, diff)
		}
	}
}

func TestProtocolNumbers(t *testing.T) {
	text := strings.Join(strings.Fields(protocolText(t)), " ")
	d := Config{}.withDefaults()
	for _, want := range []string{
		fmt.Sprintf("Version **%d**.", ProtocolVersion),
		fmt.Sprintf("| %d | magic: `00` `%s` `0a` |", len(magic), magic[1:len(magic)-1]),
		fmt.Sprintf("length of what follows, at most %d", maxHello),
		fmt.Sprintf("is skipped, up to %d bytes", maxNoise),
		fmt.Sprintf("either way; %d to %d", minItemSize, maxItemSize),
		fmt.Sprintf("open at once; 1 to %d", maxMaxChannels),
		fmt.Sprintf("yamux window; %d to %d", minWindow, maxWindow),
		fmt.Sprintf("bytes of the largest yamux data frame; %d to %d", minFrame, maxFrame),
		fmt.Sprintf("and %d of them not yet acknowledged", acceptBacklog),
		fmt.Sprintf("Nesting goes to %d levels, an array or map to %d elements", maxNesting, maxElements),
		fmt.Sprintf("sends Beat every %.0f seconds", d.Beat.Seconds()),
		fmt.Sprintf("for the Lease, %.0f seconds by default", d.Lease.Seconds()),
		"map: 1 Name (text), 2 Args (byte string",
		"Its items are maps: 1 Kind, 2 Question, 3 Executing, 4 Channels",
		"nothing, or map: 1 Text (text), 2 Stack (text)",
		fmt.Sprintf("| %d | magic: `00` `%s` `0a` | | 2 | version of this section: %d | | 4 | length of what follows, at most %d",
			len(socketMagic), socketMagic[1:len(socketMagic)-1], socketVersion, maxSocketGreeting),
		fmt.Sprintf("as text of at most %d bytes", maxSocketStatus),
		fmt.Sprintf("sent every %.0f seconds, to notice", aliveEvery.Seconds()),
		"the handler `" + listenHandler + "`",
		fmt.Sprintf("reaches the other end if that takes it within %.0f seconds", flushWait.Seconds()),
		fmt.Sprintf("Handlers whose names begin with `%s`", reservedPrefix),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("PROTOCOL.md lacks %q", want)
		}
	}
	for _, tc := range []struct{ got, want map[int]string }{
		{keys(openMessage{}), map[int]string{1: "Name", 2: "Args"}},
		{keys(controlMessage{}), map[int]string{1: "Kind", 2: "Question", 3: "Executing", 4: "Channels"}},
		{keys(socketRequest{}), map[int]string{1: "Env", 2: "Grace"}},
		{keys(socketVar{}), map[int]string{1: "Name", 2: "Value"}},
		{keys(socketAnswer{}), map[int]string{1: "Error"}},
		{keys(listenArgs{}), map[int]string{1: "Key", 2: "Addr"}},
		{keys(RemoteError{}), map[int]string{1: "Text", 2: "Stack"}},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("(- page, + code): %s", diff)
		}
	}
}
