package rsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// hostileHandlers are agents that answer a fetch with what they should not.
func hostileHandlers() gateway.Handlers { return gateway.Handlers{"hostile": hostileOffer} }

// hostileAnswer is what hostileOffer sends.
type hostileAnswer struct{ Names, Data, End []byte }

// hostileOffer offers names, and gives one content for whatever is asked for.
func hostileOffer(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
	var a hostileAnswer
	if err := args.Decode(&a); err != nil {
		return err
	}
	c := newCodec()
	return errors.Join(ch.Send(ctx, c.pack(namePacket, a.Names)), ch.Send(ctx, c.pack(endPacket, nil)),
		ch.Send(ctx, c.pack(dataPacket, a.Data)), ch.Send(ctx, c.pack(endPacket, a.End)), ch.WaitClose(ctx))
}

// TestHostileController sends manifests that would write outside of the target, and wants an error
// and nothing written.
func TestHostileController(t *testing.T) {
	file := func(p string) entry { return entry{kind: fileKind, path: p, mode: 0o644, size: 4} }
	dir := func(p string) entry { return entry{kind: dirKind, path: p, mode: 0o755} }
	for _, entries := range [][]entry{
		{file("../evil")},
		{file("/tmp/evil")},
		{dir("a"), file("a/../../evil")},
		{file("a/evil")}, // in no directory
		{{kind: linkKind, path: "link", link: ".."}, file("link/evil")},
		{dir("b"), dir("a")},
		{file("x"), file("x")},
		{{kind: linkKind, path: "link", link: "../..", rebase: true}},
		{{kind: linkKind, path: "link", link: ""}},
		{{kind: 'x', path: "odd"}},
		{file(tempName(sum{}, 1))},
		{file("nul\x00")},
		{dir("."), dir("..")},
		{file(strings.Repeat("x", 300))},
	} {
		parent := newPlace(t)
		parent.write("witness", "x")
		gw := open(t)
		sd := &sender{Target: &Target{gw: gw, dir: parent.path("target")}, codec: newCodec()}
		sd.open(t.Context())
		img := &image{tree: &tree{root: t.TempDir()}, manifest: newManifest(entries), seen: make([]seen, len(entries))}
		sd.round(t.Context(), &content{img: img})
		var remote *gateway.RemoteError
		if !errors.As(sd.report.Err, &remote) {
			t.Errorf("%q: error %v", entries[len(entries)-1].path, sd.report.Err)
		}
		sd.ch.Close()
		if names := parent.lines(); strings.Contains(names, "evil") {
			t.Errorf("%q: written:\n%s", entries[len(entries)-1].path, names)
		}
	}
}

// TestHostilePackets sends files that were not asked for, twice, too long, and garbage.
func TestHostilePackets(t *testing.T) {
	c := newCodec()
	defer c.close()
	files := func(parts ...byte) []byte { return c.pack(filesPacket, parts) }
	for name, packets := range map[string][][]byte{
		"not asked for": {files(1, 1, 0, 4, 'e', 'v', 'i', 'l')},
		"out of range":  {files(1, 77, 0, 4, 'e', 'v', 'i', 'l')},
		"twice":         {files(2, 0, 0, 4, 0, 0, 4, 'g', 'o', 'o', 'd', 'e', 'v', 'i', 'l')},
		"too long":      {files(1, 0, 0, 5, 'e', 'v', 'i', 'l', '!')},
		"too short":     {files(1, 0, 0, 4, 'e')},
		"garbage":       {[]byte("garbage")},
		"empty":         {nil},
		"bad zstd":      {{byte(filesPacket), zstdForm, 1, 2, 3}},
		"long piece":    {c.piece(pieceData, 0, []byte("evil!")), c.piece(pieceEnd, 0, []byte{0})},
		"delta":         {c.piece(pieceDelta, 0, []byte{copyOp, 0, 1})},
		"no end":        {c.piece(pieceData, 0, []byte("ev")), c.piece(pieceData, 1, []byte("il"))},
	} {
		dst := newPlace(t)
		sd := &sender{Target: &Target{gw: open(t), dir: dst.dir}, codec: c}
		sd.open(t.Context())
		m := newManifest([]entry{{kind: fileKind, path: "evil", mode: 0o600, size: 4}, {kind: linkKind, path: "link", link: "x"}})
		err := sd.playManifest(t.Context(), m)
		for _, p := range packets {
			err = errors.Join(err, sd.ch.Send(t.Context(), p))
		}
		err = errors.Join(err, sd.ch.Send(t.Context(), c.pack(endPacket, nil)))
		if err != nil && !errors.Is(err, gateway.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
		var remote *gateway.RemoteError
		if err := sd.cause(t.Context(), gateway.ErrClosed); !errors.As(err, &remote) {
			t.Errorf("%s: error %v", name, err)
		}
		sd.ch.Close()
		if dst.exists("evil") && dst.read("evil") != "good" {
			t.Errorf("%s: %q", name, dst.read("evil"))
		}
	}
}

// playManifest is the beginning of a round up to the requests.
func (sd *sender) playManifest(ctx context.Context, m *manifest) error {
	if err := sd.ch.Send(ctx, begin{Digest: m.digest[:], Entries: len(m.entries)}); err != nil {
		return err
	}
	var a answer
	if err := sd.ch.Receive(ctx, &a); err != nil {
		return err
	}
	return sd.sendManifest(ctx, m, a.Have)
}

// TestHostileAgent answers a fetch with paths and links that lead out of the destination, with what
// nobody asked for, and with more than may come.
func TestHostileAgent(t *testing.T) {
	file := func(p string) entry {
		return entry{kind: fileKind, path: p, mode: 0o644, size: 4, sum: sumOf([]byte("evil"))}
	}
	link := func(p, target string) entry { return entry{kind: linkKind, path: p, link: target} }
	huge := file("huge.txt")
	huge.size = 101
	end := []byte{byte(sentFate)}
	gw := open(t)
	for _, tc := range []struct {
		name    string
		entries []entry
		data    string
		end     []byte
	}{
		{"honest", []entry{file("honest.txt")}, "evil", end}, // or the others prove nothing
		{"honest link", []entry{{kind: dirKind, path: "a.txt", mode: 0o700}, link("a.txt/l", "../x")}, "", end},
		{"parent", []entry{file("../evil.txt")}, "evil", end},
		{"absolute", []entry{file("/tmp/evil.txt")}, "evil", end},
		{"parent below", []entry{file("a/../../evil.txt")}, "evil", end},
		{"through a link", []entry{file("link/evil.txt")}, "evil", end},
		{"another name", []entry{file("evil.go")}, "evil", end},
		{"Git's", []entry{file(".git/evil.txt")}, "evil", end},
		{"no name", []entry{file("")}, "evil", end},
		{"twice", []entry{file("evil.txt"), file("evil.txt")}, "evil", end},
		{"below a file", []entry{file("evil.txt"), file("evil.txt/evil.txt")}, "evil", end},
		{"below its link", []entry{link("evil.txt", ".."), file("evil.txt/evil.txt")}, "evil", end},
		{"out of order", []entry{file("z.txt"), file("evil.txt")}, "evil", end},
		{"too large", []entry{huge}, "evil", end},
		{"too many", slices.Repeat([]entry{{kind: dirKind, path: "evil.txt", mode: 0o700}}, 11), "", end},
		{"other content", []entry{file("evil.txt")}, "good", end},
		{"longer", []entry{file("evil.txt")}, "evil!", end},
		{"shorter", []entry{file("evil.txt")}, "evi", end},
		{"no fate", []entry{file("evil.txt")}, "evil", []byte{77}},
		{"changed", []entry{file("evil.txt")}, "evil", []byte{byte(changedFate)}},
		{"link to the parent", []entry{link("evil.txt", "..")}, "", end},
		{"absolute link", []entry{link("evil.txt", "/etc/passwd")}, "", end},
		{"link up behind a name", []entry{link("evil.txt", "link/../..")}, "", end},
		{"link up through the root", []entry{link("inner/deep.txt", "../..")}, "", end},
		{"odd", []entry{{kind: oddKind, path: "evil.txt"}}, "", end},
	} {
		parent := newPlace(t)
		parent.write("dest/x", "x")
		parent.do(symlink("..", parent.path("dest/link")))
		parent.do(symlink(".", parent.path("dest/inner")))
		if tc.name == "too many" {
			for i := range tc.entries {
				tc.entries[i].path = fmt.Sprintf("evil%02d.txt", i)
			}
		}
		a := hostileAnswer{Data: []byte(tc.data), End: tc.end}
		for i := range tc.entries {
			a.Names = tc.entries[i].append(a.Names)
		}
		ch, err := gw.RemoteExec(t.Context(), "hostile", a)
		if err != nil {
			t.Fatal(err)
		}
		before := parent.lines()
		err = catchAll(t.Context(), ch, parent.path("dest"), []string{"*.txt"})
		ch.Close()
		after := parent.lines()
		if strings.HasPrefix(tc.name, "honest") {
			if err != nil || after == before {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		if err == nil || tc.name == "longer" && !errors.Is(err, errBadPacket) { // which ends it before all is written
			t.Errorf("%s: %v", tc.name, err)
		}
		if after != before {
			t.Errorf("%s, before:\n%safter:\n%s", tc.name, before, after)
		}
	}
}
