package rsync

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// protocolSection is the section of PROTOCOL.md on what this package says.
func protocolSection(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n## 8. Trees and executables\n")
	text, _, end := strings.Cut(text, "\n## ")
	if !ok || !end {
		t.Fatal("PROTOCOL.md has no section on trees and executables")
	}
	return text
}

// table returns the first two columns of each row of the first table that follows a text.
func table(t *testing.T, text, after string) map[string]string {
	t.Helper()
	_, rest, ok := strings.Cut(text, after)
	if !ok {
		t.Fatalf("PROTOCOL.md has no %q", after)
	}
	out := make(map[string]string)
	row := regexp.MustCompile("^\\| `?(\\w+)`? \\| (\\w[\\w ]*) \\|")
	in := false
	for line := range strings.Lines(rest) {
		switch m := row.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "|---"):
			in = true
		case in && m != nil:
			out[m[1]] = m[2]
		case in:
			return out
		}
	}
	return out
}

// fields returns the CBOR keys and names of a struct's fields.
func fields(v any) map[string]string {
	out := make(map[string]string)
	for f := range reflect.TypeOf(v).Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		out[key] = f.Name
	}
	return out
}

func letters(m map[packetKind]string) map[string]string {
	out := make(map[string]string)
	for k, name := range m {
		out[string(rune(k))] = name
	}
	return out
}

func TestProtocolTables(t *testing.T) {
	text := protocolSection(t)
	for _, tc := range []struct {
		after string
		want  map[string]string
	}{
		{"### Forms", map[string]string{fmt.Sprint(plainForm): "plain", fmt.Sprint(zstdForm): "zstd", fmt.Sprint(s2Form): "S2"}},
		{"An **entry** is", map[string]string{string(rune(dirKind)): "directory", string(rune(fileKind)): "file", string(rune(linkKind)): "symbolic link"}},
		{"### Sync", fields(openArgs{})},
		{"Each begins with an item", fields(begin{})},
		{"which the agent answers", fields(answer{})},
		{"All of that is in packets", letters(map[packetKind]string{
			chunksPacket: "Chunks", requestPacket: "Requests", filesPacket: "Files", piecePacket: "Piece", endPacket: "End"})},
		{"A **request** is", map[string]string{fmt.Sprint(wholeRequest): "Whole", fmt.Sprint(deltaRequest): "Delta"}},
		{"come one after the other in **Pieces**", map[string]string{fmt.Sprint(pieceData): "Data", fmt.Sprint(pieceDelta): "Delta", fmt.Sprint(pieceEnd): "End"}},
		{"| 2 | End | a byte for the fate", map[string]string{fmt.Sprint(literalOp): "Literal", fmt.Sprint(copyOp): "Copy"}},
		{"| 1 | Copy |", map[string]string{fmt.Sprint(sentFate): "Sent", fmt.Sprint(goneFate): "Gone", fmt.Sprint(changedFate): "Changed"}},
		{"The report, in the answer", fields(tally{})},
		{"### Fetch", fields(fetchArgs{})},
		{"wanted, in their order, Data and End", letters(map[packetKind]string{namePacket: "Names", requestPacket: "Requests", dataPacket: "Data", endPacket: "End"})},
		{"### Executables", fields(blobArgs{})},
		{"A file is\n", fields(Blob{})},
		{"and the agent sends another item", fields(blobAnswer{})},
	} {
		if diff := cmp.Diff(tc.want, table(t, text, tc.after)); diff != "" {
			t.Errorf("table below %q (- code, + page): %s", tc.after, diff)
		}
	}
}

func TestProtocolNumbers(t *testing.T) {
	text := strings.Join(strings.Fields(protocolSection(t)), " ")
	for _, want := range []string{
		fmt.Sprintf("the version of this section: **%d**.", version),
		fmt.Sprintf("which is at most %d bytes", packetAtMost),
		fmt.Sprintf("its length, at most %d, as a number", pathAtMost),
		fmt.Sprintf("each of at most %d bytes", nameAtMost),
		fmt.Sprintf("begins with `%s` and ends with `%s`", tempPrefix, tempSuffix),
		fmt.Sprintf("a **digest** the %d bytes of a BLAKE2b-256", len(sum{})),
		fmt.Sprintf("all entries of a tree, at most %d.", entriesAtMost),
		fmt.Sprintf("that %d divides, and after %d entries", chunkEntries, chunkAtMost),
		fmt.Sprintf("negative about %d |", lockGrace.Milliseconds()),
		fmt.Sprintf("at least %d, and for each block, of at most %d,", blockAtLeast, blocksAtMost),
		fmt.Sprintf("big-endian, and the first %d of its digest", strongSize),
		fmt.Sprintf("to each of which %d is added", offset),
		fmt.Sprintf("has at most %d bytes comes in **Files**: a number, how many there are, at most %d;", smallFile, batchAtMost),
		fmt.Sprintf("number of bytes, at most %d; bytes", literalAtMost),
		"`" + Handler + "` makes a directory", "`" + FetchHandler + "` offers", "`" + BlobHandler + "` keeps",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("PROTOCOL.md lacks %q", want)
		}
	}
}
