package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/netns"
)

// networkGateways are opened at once.
const networkGateways = 4

// networks compares gateways over ssh, where agents and trees are there already, with those through
// a network that has its connection, to a host that is 50 ms away and back.
func (b *bench) networks(ctx context.Context) (_ *table, err error) {
	if err := netns.Supported(); err != nil {
		return nil, fmt.Errorf("there are no hosts of one's own: %w: %w", err, errUnavailable)
	}
	n, err := b.newNetworkBench(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close(ctx)) }()
	runs := b.count(9)
	var up, open, run [2]sample // by ssh, and through the network
	for i := range runs + 1 {
		b.progress("network: run %d of %d", i, runs)
		if i == 1 { // the first is not counted, and brings everything there
			n.host.Cable.Set(netns.Conditions{Delay: 25 * time.Millisecond})
		}
		for k, spec := range []string{n.host.Spec(), "net=bench"} {
			opened, err := n.errand(ctx, spec)
			if err != nil {
				return nil, err
			}
			whole, err := n.run(ctx, n.module, b.xdist, "--tx", fmt.Sprintf("%d*%s", networkGateways, spec), "./...")
			if err != nil {
				return nil, err
			}
			if whole.status != 0 {
				return nil, fmt.Errorf("run xdist over %s: exit status %d:\n%s", spec, whole.status, lastLines(whole.log, 15))
			}
			if i > 0 {
				up[k], open[k], run[k] = append(up[k], opened.Up), append(open[k], opened.Open), append(run[k], whole.wall.Seconds())
			}
		}
	}
	t := &table{
		title: fmt.Sprintf("network: %d gateways at 50 ms, over ssh and through a network that has its connection (%d runs each)", networkGateways, runs),
		head:  []string{"", "ssh", "net", "ratio", "limit", ""},
	}
	t.compare("until all are open", inMilliseconds, up[0], up[1], atMost(0.1))
	t.compare("start to first answer of all", inMilliseconds, open[0], open[1], atMost(0.2))
	t.compare("second run of a module with four tests", inMilliseconds, run[0], run[1], limit{})
	return t, nil
}

// networkBench is a host of its own, and a network that has it.
type networkBench struct {
	*bench
	world  *netns.World
	host   *netns.Host
	self   string
	agent  gateway.Agent
	module string
	env    []string
}

func (b *bench) newNetworkBench(ctx context.Context) (n *networkBench, err error) {
	n = &networkBench{bench: b, module: filepath.Join(b.work, "four")}
	dir := filepath.Join(b.work, "world")
	for _, d := range []string{dir, filepath.Join(b.work, "run"), n.module} {
		err = errors.Join(err, os.Mkdir(d, 0o700))
	}
	for name, text := range map[string]string{
		"go.mod":       "module example.com/four\n\ngo 1.26\n",
		"four_test.go": "package four\n\nimport \"testing\"\n\nfunc TestA(*testing.T) {}\nfunc TestB(*testing.T) {}\nfunc TestC(*testing.T) {}\nfunc TestD(*testing.T) {}\n",
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(n.module, name), []byte(text), 0o600))
	}
	n.env = []string{"XDG_RUNTIME_DIR=" + filepath.Join(b.work, "run"), "XDIST_CACHE=" + filepath.Join(b.stores, "network")}
	program, readErr := os.ReadFile(b.xdist)
	sum := sha256.Sum256(program)
	n.agent = gateway.Agent{Path: b.xdist, Digest: hex.EncodeToString(sum[:]), Args: []string{"agent"}}
	var selfErr error
	n.self, selfErr = os.Executable()
	if err = errors.Join(err, readErr, selfErr); err != nil {
		return nil, err
	}
	if n.world, err = netns.Open(ctx, dir); err != nil {
		return nil, err
	}
	if n.host, err = n.world.AddHost(ctx, "far", netns.HostOptions{}); err == nil {
		var start timing
		start, err = n.run(ctx, b.work, b.xdist, "net", "start", "bench", "--tx", n.host.Spec()+"//id=far")
		if err == nil && start.status != 0 {
			err = fmt.Errorf("start the network: exit status %d:\n%s", start.status, lastLines(start.log, 15))
		}
	}
	if err != nil {
		return nil, errors.Join(err, n.world.Close())
	}
	return n, nil
}

func (n *networkBench) close(ctx context.Context) error {
	_, err := n.run(context.WithoutCancel(ctx), n.work, n.xdist, "net", "stop", "bench")
	return errors.Join(err, n.world.Close())
}

// run is bench.run in the world.
func (n *networkBench) run(ctx context.Context, dir string, argv ...string) (timing, error) {
	cmd, log, err := n.prepare(ctx, dir, argv)
	if err != nil {
		return timing{}, err
	}
	defer log.Close() // the commands wrote it
	cmd.Env = append(cmd.Env, n.env...)
	start := time.Now()
	if err = n.world.Start(cmd); err == nil {
		err = cmd.Wait()
	}
	return n.finish(ctx, cmd, err, start, log.Name())
}

// errand opens gateways, and says how long that took.
func (n *networkBench) errand(ctx context.Context, spec string) (r ran, err error) {
	e := errand{Agent: n.agent}
	for range networkGateways {
		e.Specs = append(e.Specs, spec)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return r, fmt.Errorf("encode an errand: %w", err)
	}
	run, err := n.run(ctx, n.work, n.self, "errand", string(text))
	if err != nil {
		return r, err
	}
	out, err := os.ReadFile(run.log)
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil || run.status != 0 {
		return r, fmt.Errorf("open gateways: exit status %d:\n%s", run.status, lastLines(run.log, 15))
	}
	return r, nil
}
