package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "open the gateways of --tx and --px, and tell what is there and how long each step took",
		UsageText: "xdist doctor --tx SPEC",
		Description: "Each spec is tried once, whatever its count. The table has a line for each: the platform, the cores that may be used, how far the host's\n" +
			"clock is off, what is free where test binaries and where trees go, the host's own Go, the agent, and the time of each step. What is wrong\n" +
			"stands below it, with what to do about it; the exit status is 0 only when nothing is.",
		HideHelpCommand: true,
		Flags:           slices.Concat(hostFlags(), cacheFlags()),
		Action:          doctor,
	}
}

// hostFlags are those of commands that open gateways and run no tests.
func hostFlags() []cli.Flag {
	return slices.DeleteFunc(runFlags(), func(f cli.Flag) bool {
		return !slices.Contains([]string{"tx", "px", "mirror-dir", "debug"}, f.Names()[0])
	})
}

func doctor(c *cli.Context) error {
	specs, err := doctorSpecs(c)
	if err != nil {
		return usageError(err)
	}
	var times phaseTimes
	open := newOpener(c, func(cfg *gateway.Config) { cfg.Trace = times.note })
	all, err := hosts.Examine(c.Context, open.group, specs, func(goos string) string { return mirrorBase(c, goos) })
	if all == nil {
		return classify(err)
	}
	if c.Context.Err() != nil {
		return &endedError{statusInterrupted, nil}
	}
	if printErr := printExaminations(c.App.Writer, all, &times); printErr != nil {
		return printErr
	}
	if err != nil {
		return classify(fmt.Errorf("end the gateways: %w", err))
	}
	wrong := 0
	for i := range all {
		for _, complaint := range complaints(&all[i]) {
			wrong++
			fmt.Fprintf(c.App.Writer, "\n%s  %s\n", all[i].Spec.ID, strings.ReplaceAll(complaint, "\n", "\n    "))
		}
	}
	if wrong > 0 {
		return &endedError{statusInternal, nil}
	}
	return nil
}

// doctorSpecs are the specs of the flags, each once, those of --px first.
func doctorSpecs(c *cli.Context) ([]xspec.Spec, error) {
	if c.NArg() > 0 {
		return nil, fmt.Errorf("xdist doctor: takes flags only, got %q", c.Args().First())
	}
	texts := c.StringSlice("tx")
	if len(texts) == 0 {
		return nil, errors.New("xdist doctor: --tx SPEC is missing")
	}
	specs, err := xspec.Expand(texts, func(xspec.Spec) (int, error) { return 1, nil })
	if err != nil {
		return nil, err
	}
	for _, s := range specs {
		if err := supported(s); err != nil {
			return nil, err
		}
		if s.Listen != "" {
			return nil, &xspec.Error{Spec: s.String(), Field: "listen=" + s.Listen, Reason: "nobody is asked to join for an examination"}
		}
	}
	proxies, err := proxySpecs(c, specs)
	if err != nil {
		return nil, err
	}
	all := proxies
	for _, s := range specs {
		if !slices.ContainsFunc(all, func(other xspec.Spec) bool { return other.String() == s.String() }) {
			all = append(all, s)
		}
	}
	return all, nil
}

// phaseTimes adds up the time of phases, by gateway. Its methods may be called concurrently.
type phaseTimes struct {
	mu    sync.Mutex // guards the map
	times map[string]map[gateway.Phase]time.Duration
}

func (p *phaseTimes) note(id string, phase gateway.Phase, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.times == nil {
		p.times = make(map[string]map[gateway.Phase]time.Duration)
	}
	if p.times[id] == nil {
		p.times[id] = make(map[gateway.Phase]time.Duration)
	}
	p.times[id][phase] += took
}

var phases = [...]gateway.Phase{
	gateway.PhaseResolve, gateway.PhaseConnect, gateway.PhaseHostKey, gateway.PhaseAuth,
	gateway.PhaseProbe, gateway.PhaseUpload, gateway.PhaseStart, gateway.PhaseHandshake,
}

func printExaminations(out io.Writer, all []hosts.Examination, times *phaseTimes) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := []string{"gateway", "host", "platform", "cores", "clock", "binaries", "mirror", "own go", "agent"}
	for _, p := range phases {
		head = append(head, string(p))
	}
	fmt.Fprintln(w, strings.Join(append(head, "total", "spec"), "\t")) // Flush has the error
	for i := range all {
		e := &all[i]
		row := append([]string{e.Spec.ID}, factCells(e)...)
		failed, _ := errors.AsType[*gateway.PhaseError](e.Err)
		for _, p := range phases {
			took, ok := times.times[e.Spec.ID][p]
			switch {
			case failed != nil && failed.Phase == p:
				row = append(row, "failed")
			case ok:
				row = append(row, milliseconds(took))
			default:
				row = append(row, "-")
			}
		}
		fmt.Fprintln(w, strings.Join(append(row, milliseconds(e.Took), e.Spec.String()), "\t"))
	}
	return w.Flush()
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) + "ms"
}

// factCells are the cells from host to agent.
func factCells(e *hosts.Examination) []string {
	if e.Info.GOOS == "" {
		return strings.Split(strings.Repeat("-\t", 7)+"-", "\t")
	}
	cells := []string{e.Info.Hostname, e.Info.GOOS + "/" + e.Info.GOARCH, strconv.Itoa(e.Info.CPUs)}
	agent := strings.TrimSpace(e.Info.Version + " " + e.Info.GoVersion)
	if e.Err != nil {
		return append(cells, "-", "-", "-", "-", agent)
	}
	return append(cells, fmt.Sprintf("%+dms", e.Offset.Milliseconds()), placeCell(e.Facts.Binaries), placeCell(e.Facts.Mirror),
		cmp.Or(e.Facts.Go, "none"), agent)
}

func placeCell(p wire.HostPlace) string {
	switch {
	case p.Problem != "":
		return "unusable"
	case p.NoExec:
		return gibibytes(p.Free) + " noexec"
	}
	return gibibytes(p.Free)
}

func gibibytes(n int64) string { return fmt.Sprintf("%.1fGiB", float64(n)/(1<<30)) }

// lowSpace is how many bytes should be free for a module and its test binaries.
const lowSpace = 256 << 20

// complaints say what is wrong with a gateway, each with what to do about it on lines of its own.
func complaints(e *hosts.Examination) []string {
	if e.Err != nil {
		return []string{fmt.Sprintf("%v\n%s", e.Err, advice(e.Err))}
	}
	var all []string
	for _, p := range []struct {
		what, remedy string
		wire.HostPlace
	}{
		{"test binaries", "make room or rights there, or set XDG_CACHE_HOME for sessions on the host", e.Facts.Binaries},
		{"the tree", "choose another place with --mirror-dir", e.Facts.Mirror},
	} {
		switch {
		case p.Problem != "":
			all = append(all, fmt.Sprintf("no place for %s: %s\n%s", p.what, p.Problem, p.remedy))
		case p.Free < lowSpace:
			all = append(all, fmt.Sprintf("little space for %s: %s has %s left\n%s; xdist clean removes what earlier runs have left", p.what, p.Dir, mebibytes(p.Free), p.remedy))
		}
	}
	if e.Spec.BuildRemote && e.Facts.Go == "" {
		all = append(all, "no Go for build=remote, neither on PATH nor in the usual place\ninstall it there, or set PATH in the spec by env:PATH=")
	}
	return all
}

// advice is what to do about a gateway that could not be opened.
func advice(err error) string {
	failed, ok := errors.AsType[*gateway.PhaseError](err)
	if !ok {
		return "try the command of the spec by hand, and --debug"
	}
	switch failed.Phase {
	case gateway.PhaseResolve:
		return "check the spelling, HostName in the ssh configuration, and the name service: getent hosts NAME"
	case gateway.PhaseConnect:
		return "is the host up, and does sshd (or xdist serve) listen on that port for this machine?"
	case gateway.PhaseHostKey:
		return "nothing was sent to the host; accept its key only when it is known to be the right one"
	case gateway.PhaseAuth:
		return "see which keys the host takes (authorized_keys there), add one to the ssh agent, or name it with -i"
	case gateway.PhaseProbe:
		return `does a plain command work there? Try: ssh HOST "uname -s -m"`
	case gateway.PhaseUpload:
		return "the agent needs some 20 MiB in a directory from which programs may be started: make room, or set XDG_CACHE_HOME or XDG_RUNTIME_DIR there"
	case gateway.PhaseStart:
		return "the agent is there and does not start; what it says is in the message. xdist clean removes it, so that it is sent anew"
	}
	return "the two sides may be of different versions: use the same xdist on both, or clean the host with xdist clean"
}
