package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/netsock"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/network"
	"github.com/xdist-go/xdist/xspec"
)

// startNet starts the process of a network in a session of its own, and waits until it is up.
func startNet(c *cli.Context) error {
	name, err := netName(c, "")
	if err != nil {
		return err
	}
	specs, err := netSpecs(c, name)
	if err != nil {
		return usageError(err)
	}
	n, err := gateway.Connect(c.Context, name)
	if err == nil {
		return alreadyRunning(c.Context, n)
	}
	if !errors.Is(err, gateway.ErrNoNetwork) {
		return classify(err)
	}
	if netsock.Held(name) {
		return classify(fmt.Errorf("network %s is about to end, try again when it has", name))
	}
	log, err := netLog(c, name)
	if err != nil {
		return classify(fmt.Errorf("start network %s: %w", name, err))
	}
	defer log.Close()
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return classify(err)
	}
	if err := detach(c, name, specs, log); err != nil {
		if n, connectErr := gateway.Connect(c.Context, name); connectErr == nil { // somebody else was quicker
			return alreadyRunning(c.Context, n)
		}
		said, _ := io.ReadAll(io.NewSectionReader(log, begin, maxBackgroundLog)) // what there is will do
		return classify(fmt.Errorf("start network %s: %w: %s", name, err, lastLine(string(said))))
	}
	if n, err = gateway.Connect(c.Context, name); err != nil {
		return classify(err)
	}
	st, err := n.Status(c.Context)
	if err != nil {
		return classify(err)
	}
	fmt.Fprintf(c.App.Writer, "xdist: network %s is up: process %d, log %s\n", name, st.Pid, st.Log)
	return printHosts(c.App.Writer, st)
}

// alreadyRunning says that there is no need to start a network.
func alreadyRunning(ctx context.Context, n *gateway.Network) error {
	st, err := n.Status(ctx)
	if err != nil {
		return classify(err)
	}
	return &endedError{statusInternal, fmt.Errorf(
		"network %s is running already, process %d: \"xdist net add\" gives it more hosts, and \"xdist net stop %s\" ends it", n.Name(), st.Pid, n.Name())}
}

// lastLine is the end of what a process has said.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "xdist: ")
}

// netUpWait is how long a network may take to come up beyond the time that hosts are waited for.
const netUpWait = 15 * time.Second

// detach starts the process of a network and waits for its word. On an error it has ended.
func detach(c *cli.Context, name string, specs []string, log *os.File) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"net", "run", name, "--detached", "--wait", c.Duration("wait").String()}
	if dir := c.String("cache-dir"); dir != "" {
		args = append(args, "--cache-dir", dir)
	}
	if c.Bool("debug") {
		args = append(args, "--debug")
	}
	text, err := json.Marshal(specs) // by standard input: all users can see command lines
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Stdin = bytes.NewReader(text)
	cmd.Stderr = log
	cmd.SysProcAttr = detached()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	saidc := make(chan bool, 1)
	go func() { // ends with the process, or when that closes its output
		line, err := bufio.NewReader(out).ReadString('\n')
		saidc <- err == nil && line == netUpLine
	}()
	late := time.NewTimer(c.Duration("wait") + netUpWait)
	defer late.Stop()
	why := errors.New("it has ended")
	select {
	case up := <-saidc:
		if up {
			return cmd.Process.Release()
		}
	case <-late.C:
		why = fmt.Errorf("it has not come up within %v", c.Duration("wait")+netUpWait)
	case <-c.Context.Done():
		why = c.Context.Err()
	}
	cmd.Process.Kill() // it may have ended; its relays end when they notice
	cmd.Wait()
	return why
}

// netUpLine is what the process of a network says when it is up.
const netUpLine = "up\n"

// netLog opens the log of a network, which is in the cache directory.
func netLog(c *cli.Context, name string) (*os.File, error) {
	dir, _, err := cachePlace(c)
	if err == nil {
		dir = filepath.Join(dir, "networks")
		err = ownfile.MakeDir(dir)
	}
	if err != nil {
		return nil, err
	}
	return ownfile.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
}

// runNet is the process of a network.
func runNet(c *cli.Context) error {
	name, err := netName(c, "")
	if err != nil {
		return err
	}
	var specs []string
	if c.Bool("detached") {
		err = json.NewDecoder(os.Stdin).Decode(&specs)
	} else {
		specs, err = netSpecs(c, name)
	}
	if err != nil {
		return usageError(err)
	}
	level, logName := slog.LevelInfo, ""
	if c.Bool("debug") {
		level = slog.LevelDebug
	}
	log := boundedLog{os.Stderr}
	if c.Bool("detached") {
		file, err := netLog(c, name)
		if err != nil {
			return classify(err)
		}
		defer file.Close()
		log, logName = boundedLog{file}, file.Name()
	}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level}))
	cfg := network.Config{
		Name: name, Specs: specs, Version: version(), Log: logName, Logger: logger, HostsWait: c.Duration("wait"),
		Gateway: netGateways(c, logger, log),
		Ready: func(gateway.NetworkStatus) {
			if c.Bool("detached") {
				io.WriteString(os.Stdout, netUpLine) // who has started us may be gone
				os.Stdout.Close()
				return
			}
			fmt.Fprintf(c.App.Writer, "xdist: network %s is up\n", name)
		},
	}
	err = runAsService(c.Context, func(ctx context.Context) error { return network.Run(ctx, cfg) })
	if errors.Is(err, netsock.ErrUnsupported) {
		err = usageError(err)
	}
	if err != nil {
		return classify(err)
	}
	return nil
}

// netGateways is how a network starts its relays. They are of this very program, also when another
// version takes the place of its file meanwhile.
func netGateways(c *cli.Context, logger *slog.Logger, stderr io.Writer) gateway.Config {
	late := &lateAgents{cli: c}
	cfg := gateway.Config{Agent: late.Agent, Logger: logger, Stderr: stderr}
	if runtime.GOOS == "linux" {
		cfg.Command = []string{"/proc/self/exe", "agent"}
		late.program = cfg.Command[0]
	}
	return cfg
}

// onHosts gives each gateway of a network that is free to choose a host of it, so that a run knows
// which of its gateways share one. They are spread as the network would spread them.
func onHosts(ctx context.Context, specs []xspec.Spec) ([]xspec.Spec, error) {
	type wish struct{ net, label, goos, goarch, exec string }
	free := make(map[wish][]int) // indexes of specs
	var order []wish
	for i, s := range specs {
		if s.Net == "" || s.Host != "" || s.Via != "" {
			continue
		}
		w := wish{s.Net, s.Label, s.GOOS, s.GOARCH, s.Exec}
		if free[w] == nil {
			order = append(order, w)
		}
		free[w] = append(free[w], i)
	}
	out := slices.Clone(specs)
	for _, w := range order {
		n, err := gateway.Connect(ctx, w.net)
		if errors.Is(err, gateway.ErrNoNetwork) {
			err = fmt.Errorf("%w: start it with \"xdist net start %s --tx SPEC\"", err, w.net)
		}
		if err != nil {
			return nil, &unreachedError{err}
		}
		ids, err := n.Pick(ctx, gateway.ChoiceOf(specs[free[w][0]]), len(free[w]))
		if err != nil {
			return nil, &unreachedError{err}
		}
		for k, i := range free[w] {
			if out[i], err = specs[i].With("host", ids[k]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
