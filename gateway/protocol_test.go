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
		{"`Load`", keys(Load{})},
		{"## 3. Frames", map[int]string{
			int(frameOpen): "Open", int(frameItem): "Item", int(frameEnd): "End", int(frameClose): "Close"}},
		{"## 4. Control channel", map[int]string{
			int(controlBeat): "Beat", int(controlEcho): "Echo", int(controlAsk): "Ask", int(controlStatus): "Status", int(controlGoodbye): "Goodbye",
			int(controlSuspend): "Suspend", int(controlResume): "Resume"}},
		{"### Socket frames", map[int]string{
			int(socketData): "Data", int(socketEnd): "End", int(socketInterrupt): "Interrupt", int(socketKill): "Kill",
			int(socketStderr): "Stderr", int(socketStatus): "Status", int(socketAlive): "Alive"}},
		{"gets to end when its client is gone, and 3 Program, absent for the server's own:", keys(programRequest{})},
		{"The answer is a map of", keys(socketAnswer{})},
		{"`gateway/dial` connects. Its argument and the one item that it sends are", keys(dialRequest{})},
		{"| 3 | Network | text | unix; absent is tcp |", keys(dialReport{})},
		{"`gateway/accept` listens. Its argument is", keys(acceptRequest{})},
		{"It sends an item with Local alone when it listens and, for each connection that it accepts, one of", keys(acceptReport{})},
		{"`gateway/take` carries such a connection. Its argument is", keys(takeRequest{})},
		{"`gateway/start` starts a process with Data as its standard input and output. Its argument is", keys(startRequest{})},
		{"It sends items with one of Error and Pid first, then of Stderr as it comes, then of Status, and ends:", keys(startReport{})},
		{"which lasts as long as the connection. The controller sends items of", keys(callRequest{})},
		{"and the agent answers each call, when it has ended, with one item of", keys(callReply{})},
		{"[Nonce, ID], and the function's argument is", keys(objectCall{})},
		{"and takes items of 1 Kind and 2 Signal (text), the name of a signal:", map[int]string{
			int(orderInterrupt): "Interrupt", int(orderKill): "Kill", int(orderSignal): "Signal"}},
		{"`request`", keys(networkRequest{})},
		{"| 5 | IDs | array of text | for remove |", map[int]string{
			int(networkOpen): "Open", int(networkPick): "Pick", int(networkStatus): "Status", int(networkAdd): "Add", int(networkRemove): "Remove", int(networkStop): "Stop"}},
		{"`Choice`", keys(Choice{})},
		{"`answer`", keys(networkAnswer{})},
		{"`State`", keys(NetworkStatus{})},
		{"`Host`", keys(NetworkHost{})},
		{"`gateway/script` runs a source in an interpreter. Its argument is", keys(scriptRequest{})},
		{"`gateway/file` lends the agent's files. Its argument is", keys(fileRequest{})},
		{"To look and to open it answers with one item of", keys(fileStat{})},
	} {
		if diff := cmp.Diff(tc.want, rows(t, text, tc.heading)); diff != "" {
			t.Errorf("table below %q (- code, + page): %s", tc.heading, diff)
		}
	}
}

// The table of changes has a row for each version, the present one last.
func TestProtocolChanges(t *testing.T) {
	_, changes, ok := strings.Cut(protocolText(t), "\n## 10. Changes\n")
	if !ok {
		t.Fatal("PROTOCOL.md has no such section")
	}
	var got, want []string
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| .+ \|$`).FindAllStringSubmatch(changes, -1) {
		got = append(got, row[1])
	}
	for v := range ProtocolVersion {
		want = append(want, strconv.Itoa(int(v)+1))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (- versions, + page): %s", diff)
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
		"Its items are maps: 1 Kind, 2 Question, 3 Executing, 4 Channels, 5 Running",
		fmt.Sprintf("is an array of at most %d maps: 1 Name of the handler or function (text), 2 Age", mostRunning),
		fmt.Sprintf("at most %d of the same maps", listChunk),
		fmt.Sprintf("%d look, %d open, %d write", fileLook, fileOpen, fileWrite),
		fmt.Sprintf("has at most %d calls unanswered", d.MaxCalls),
		"An **error** is a map: 1 Text (text), 2 Stack (text) if it was a panic, 3 Kinds (array of text)",
		fmt.Sprintf("| %d | magic: `00` `%s` `0a` | | 2 | version of this section: %d | | 4 | length of what follows, at most %d",
			len(socketMagic), socketMagic[1:len(socketMagic)-1], socketVersion, maxSocketGreeting),
		fmt.Sprintf("as text of at most %d bytes", maxSocketStatus),
		fmt.Sprintf("at most %d times in all", askedAtMost),
		fmt.Sprintf("at most %d bytes more than a hundredth more than Size", packedAtMost(0)),
		fmt.Sprintf("no longer than %v, and a second more for each %d bytes", programStart*defaultHandshakeTimeout, programRate),
		fmt.Sprintf("takes up to %.0f minutes", chooseWait.Minutes()),
		fmt.Sprintf("| %d | Program | client |", socketProgram),
		fmt.Sprintf("a window of at most %d bytes", compressWindow),
		"`" + infoHandler + "` takes nothing",
		fmt.Sprintf("sent every %.0f seconds, to notice", aliveEvery.Seconds()),
		fmt.Sprintf("| %d | magic: `00` `%s` `0a` | | 2 | version of this section: %d | and ends", len(networkMagic), networkMagic[1:len(networkMagic)-1], networkVersion),
		fmt.Sprintf("in 4 bytes, at most %d, and a CBOR map. Each waits for the next message of the other for %.0f seconds", maxNetworkMessage, networkPatience.Seconds()),
		fmt.Sprintf("within %.0f minutes, the client sends one message more, a map of 1 Args", startPatience.Minutes()),
		fmt.Sprintf("its client is gone, at most %d", networkGrace.Milliseconds()),
		"`" + networkHandler + "` connects to a deployment network",
		"the handler `" + listenHandler + "`",
		fmt.Sprintf("reaches the other end if that takes it within %.0f seconds", flushWait.Seconds()),
		fmt.Sprintf("at most %d of them that the controller has not taken", acceptAhead),
		fmt.Sprintf("are closed after %.0f seconds", takeWait.Seconds()),
		fmt.Sprintf("Handlers whose names begin with `%s`", reservedPrefix),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("PROTOCOL.md lacks %q", want)
		}
	}
	for _, tc := range []struct{ got, want map[int]string }{
		{keys(openMessage{}), map[int]string{1: "Name", 2: "Args"}},
		{keys(controlMessage{}), map[int]string{1: "Kind", 2: "Question", 3: "Executing", 4: "Channels", 5: "Running", 6: "Limit"}},
		{keys(Running{}), map[int]string{1: "Name", 2: "Age"}},
		{keys(acceptEnd{}), map[int]string{1: "Last"}},
		{keys(socketRequest{}), map[int]string{1: "Env", 2: "Grace", 3: "Program"}},
		{keys(socketVar{}), map[int]string{1: "Name", 2: "Value"}},
		{keys(joinOffer{}), map[int]string{1: "Protocol", 2: "Program", 3: "Own", 4: "Host"}},
		{keys(networkStart{}), map[int]string{1: "Args", 2: "Grace"}},
		{keys(networkLink{}), map[int]string{1: "Name", 2: "Data"}},
		{keys(networkLinked{}), map[int]string{1: "Error"}},
		{keys(listenArgs{}), map[int]string{1: "Key", 2: "Addr"}},
		{keys(RemoteError{}), map[int]string{1: "Text", 2: "Stack", 3: "Kinds", 4: "Type", 5: "Value"}},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("(- page, + code): %s", diff)
		}
	}
}
