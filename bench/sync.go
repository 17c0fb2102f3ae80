package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/xdist-go/xdist/gateway"
)

// hostsAtMost is how many hosts a tree is sent to at the same time.
const hostsAtMost = 4

// treeFiles and hugeTreeFiles are how many files the generated trees have: the one that is timed,
// and the one that shows what memory a sync takes.
const (
	treeFiles     = 10_000
	hugeTreeFiles = 50_000
)

// syncPeakLimit is what either side may take of memory for the huge tree, in bytes.
const syncPeakLimit = 256 << 20

// syncs compares sending trees with rsync over ssh. Each side is a process that begins with
// nothing, the connection included.
func (b *bench) syncs(ctx context.Context) (*table, error) {
	d, err := b.newDepot(ctx)
	if err != nil {
		return nil, err
	}
	defer d.close()
	runs := b.count(5)
	t := &table{
		title: fmt.Sprintf("sync: a tree to ssh hosts on this machine next to rsync -a --delete -e ssh (%d runs each)", runs),
		head:  []string{"", "rsync", "xdist", "ratio", "limit", ""},
	}
	generated := filepath.Join(d.dir, "generated")
	if err := growTree(generated, treeFiles, 1); err != nil {
		return nil, err
	}
	for _, tree := range []struct{ name, root string }{
		{fmt.Sprintf("%d files", treeFiles), generated}, {"Go's sources", filepath.Join(b.goroot(ctx), "src")},
	} {
		if err := d.compareTree(ctx, t, tree.name, tree.root, runs); err != nil {
			return nil, err
		}
	}
	return t, d.memory(ctx, t)
}

// depot is where trees are sent from, to the servers of its fleet.
type depot struct {
	*bench
	*fleet
	dir   string
	agent gateway.Agent
	self  string // the bench's executable

	targets int // given out so far
}

func (b *bench) newDepot(ctx context.Context) (*depot, error) {
	d := &depot{bench: b}
	content, err := os.ReadFile(b.xdist)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	d.agent = gateway.Agent{Path: b.xdist, Digest: hex.EncodeToString(sum[:]), Args: []string{"agent"}}
	if d.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	if d.dir, err = os.MkdirTemp(b.work, "depot-"); err != nil {
		return nil, fmt.Errorf("make a directory for trees: %w", err)
	}
	if d.fleet, err = b.startFleet(ctx, hostsAtMost); err != nil {
		return nil, err
	}
	if _, err := d.errand(ctx, hostsAtMost, "", "", ""); err != nil { // brings the agents there
		d.close()
		return nil, err
	}
	return d, nil
}

// goroot is where the go command has its tree.
func (b *bench) goroot(ctx context.Context) string {
	t, err := b.run(ctx, b.work, "go", "env", "GOROOT")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(lastLines(t.log, 1))
}

// delivered is one run of our side.
type delivered struct {
	timing
	ran
}

// errand runs our side, to the first of the hosts. The targets have this name in each home.
func (d *depot) errand(ctx context.Context, hosts int, root, target, cache string) (delivered, error) {
	e := errand{Root: root, Cache: cache, Agent: d.agent}
	for _, s := range d.servers[:hosts] {
		e.Specs = append(e.Specs, d.spec(s))
		e.Dirs = append(e.Dirs, filepath.Join(s.home, target))
	}
	text, err := json.Marshal(e)
	if err != nil {
		return delivered{}, fmt.Errorf("encode an errand: %w", err)
	}
	run, err := d.run(ctx, d.work, d.self, "errand", string(text))
	if err != nil {
		return delivered{}, err
	}
	out, err := os.ReadFile(run.log)
	if err != nil {
		return delivered{}, err
	}
	v := delivered{timing: run}
	if err := json.Unmarshal(out, &v.ran); err != nil || run.status != 0 {
		return v, fmt.Errorf("send %s: exit status %d:\n%s", root, run.status, lastLines(run.log, 15))
	}
	return v, nil
}

// copies is what one round of a comparison gives, in seconds.
type copies struct {
	one, four sample
}

// compareTree measures one tree: cold and unchanged, to one host and to all, in turns.
func (d *depot) compareTree(ctx context.Context, t *table, name, root string, runs int) error {
	var peer, ours [2]copies // cold, unchanged
	for i := range runs + 1 {
		d.progress("sync: %s, run %d of %d", name, i, runs)
		p, err := d.peerRound(ctx, root)
		if err != nil {
			return err
		}
		o, err := d.ourRound(ctx, t, root)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // the first is not counted
		}
		for k := range p {
			peer[k].one, peer[k].four = append(peer[k].one, p[k].one...), append(peer[k].four, p[k].four...)
			ours[k].one, ours[k].four = append(ours[k].one, o[k].one...), append(ours[k].four, o[k].four...)
		}
	}
	for k, state := range []string{"cold", "unchanged"} {
		t.compare(name+", "+state+", 1 host", inSeconds, peer[k].one, ours[k].one, atMost([]float64{1.2, 1}[k]))
		t.compare(fmt.Sprintf("%s, %s, %d hosts", name, state, hostsAtMost), inSeconds, peer[k].four, ours[k].four, atMost(0.5))
	}
	return nil
}

// fresh is the name of a target that is on no host yet. No target is removed while times are taken:
// for half a minute afterwards ext4 passes by the inodes of a removed tree one after the other for
// each file that it makes, and the next copy takes several times longer.
func (d *depot) fresh() string {
	d.targets++
	return fmt.Sprintf("tree%d", d.targets)
}

// peerRound runs rsync to all hosts, one after the other as a script does, cold and then unchanged.
func (d *depot) peerRound(ctx context.Context, root string) (r [2]copies, err error) {
	target := d.fresh()
	for k := range r {
		var sum float64
		for _, s := range d.servers {
			run, err := d.run(ctx, d.work, "rsync", "-a", "--delete", "-e", d.shell(), root+"/", s.name+":"+filepath.Join(s.home, target)+"/")
			if err != nil {
				return r, err
			}
			if run.status != 0 {
				return r, fmt.Errorf("send %s: rsync: exit status %d:\n%s", root, run.status, lastLines(run.log, 15))
			}
			r[k].one = append(r[k].one, run.wall.Seconds())
			sum += run.wall.Seconds()
		}
		r[k].four = sample{sum}
	}
	return r, nil
}

// ourRound sends the tree to one host, cold and unchanged, and then to all. rsync is asked whether
// it finds a difference.
func (d *depot) ourRound(ctx context.Context, t *table, root string) (r [2]copies, err error) {
	var target string
	for _, hosts := range []int{1, hostsAtMost} {
		target = d.fresh()
		cache, err := os.MkdirTemp(d.dir, "cache-")
		if err != nil {
			return r, err
		}
		for k := range r {
			v, err := d.errand(ctx, hosts, root, target, cache)
			if err != nil {
				return r, err
			}
			into := &r[k].one
			if hosts > 1 {
				into = &r[k].four
			}
			*into = append(*into, v.wall.Seconds())
			if k == 1 && v.Changed > 0 {
				t.miss("%d entries of %s were changed by a second sync", v.Changed, root)
			}
			if d.verbose {
				d.progress("open %.3f s, send %.3f s, end %.3f s; %d entries, %d files, %d bytes sent", v.Open, v.Send, v.End, v.Entries, v.Files, v.Sent)
			}
		}
		os.RemoveAll(cache) // a rest goes with the depot
	}
	return r, d.check(ctx, t, root, target)
}

// check lets rsync compare contents, modes and times with the source.
func (d *depot) check(ctx context.Context, t *table, root, target string) error {
	for _, s := range d.servers {
		run, err := d.run(ctx, d.work, "rsync", "-aOnic", "--delete", root+"/", filepath.Join(s.home, target)+"/")
		if err != nil {
			return err
		}
		if found := strings.TrimSpace(lastLines(run.log, 10)); found != "" || run.status != 0 {
			t.miss("rsync finds differences between %s and what was sent (exit status %d):\n%s", root, run.status, found)
		}
	}
	return nil
}

// memory sends a huge tree, cold and unchanged, and adds what that takes of memory.
func (d *depot) memory(ctx context.Context, t *table) error {
	root := filepath.Join(d.dir, "huge")
	d.progress("sync: %d files", hugeTreeFiles)
	if err := growTree(root, hugeTreeFiles, 0.1); err != nil {
		return err
	}
	for _, state := range []string{"cold", "unchanged"} {
		v, err := d.errand(ctx, 1, root, "huge", filepath.Join(d.dir, "cache"))
		if err != nil {
			return err
		}
		if v.Peak == 0 || v.AgentPeak == 0 {
			t.note("skipped: peak memory is read from /proc, which is not there")
			return nil
		}
		for _, side := range []struct {
			name string
			peak float64
		}{{"controller", v.Peak}, {"agent", v.AgentPeak}} {
			t.add(fmt.Sprintf("peak memory, %d files, %s, %s", hugeTreeFiles, state, side.name), "", inMebibytes.summary(sample{side.peak}), "",
				"≤ "+inMebibytes.show(syncPeakLimit)+" MiB", t.judge(atMost(syncPeakLimit), side.peak))
		}
	}
	return nil
}

func (d *depot) close() {
	if d.fleet != nil {
		d.fleet.close()
	}
	os.RemoveAll(d.dir) // a rest goes with the bench's directory
}

// sshStart compares the start of a gateway, up to the agent's first answer, with ssh's own start of
// a program that does nothing.
func (b *bench) sshStart(ctx context.Context) (*table, error) {
	d, err := b.newDepot(ctx)
	if err != nil {
		return nil, err
	}
	defer d.close()
	runs := b.count(15)
	var peer, open, whole sample
	for i := range runs + 1 {
		d.progress("ssh: run %d of %d", i, runs)
		p, err := d.run(ctx, d.work, "ssh", "-F", d.config, d.servers[0].name, "true")
		if err != nil {
			return nil, err
		}
		if p.status != 0 {
			return nil, fmt.Errorf("run ssh: exit status %d:\n%s", p.status, lastLines(p.log, 5))
		}
		o, err := d.errand(ctx, 1, "", "", "")
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first is not counted
			peer, open, whole = append(peer, p.wall.Seconds()), append(open, o.Open), append(whole, o.wall.Seconds())
		}
	}
	t := &table{
		title: fmt.Sprintf("ssh: an ssh gateway whose agent is cached next to ssh host true (%d runs each)", runs),
		head:  []string{"", "ssh host true", "xdist", "ratio", "limit", ""},
	}
	t.compare("start to first answer", inMilliseconds, peer, open, atMost(1.5))
	t.compare("same, the process and its end included", inMilliseconds, peer, whole, limit{})
	return t, nil
}
