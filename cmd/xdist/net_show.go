package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/cmdline"
	"github.com/xdist-go/xdist/internal/netsock"
)

// netLine is a network in JSON.
type netLine struct {
	Name    string     `json:"name"`
	Pid     int        `json:"pid"`
	Since   time.Time  `json:"since"`
	Version string     `json:"version"`
	Log     string     `json:"log,omitempty"`
	Hosts   []hostLine `json:"hosts"`
}

// hostLine is a host of a network in JSON.
type hostLine struct {
	ID       string    `json:"id"`
	Spec     string    `json:"spec"`
	Labels   []string  `json:"labels,omitempty"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"`
	Error    string    `json:"error,omitempty"`
	Lost     int       `json:"lost"`
	Users    int       `json:"users"`
	Hostname string    `json:"hostname,omitempty"`
	GOOS     string    `json:"goos,omitempty"`
	GOARCH   string    `json:"goarch,omitempty"`
	CPUs     int       `json:"cpus,omitempty"`
	Load     float64   `json:"load"`                 // processes that run or wait, over a minute
	Memory   int64     `json:"freeMemory,omitempty"` // bytes
	Disk     int64     `json:"freeDisk,omitempty"`   // bytes
	Pid      int       `json:"pid,omitempty"`
}

func netLineOf(st gateway.NetworkStatus) netLine {
	l := netLine{Name: st.Name, Pid: st.Pid, Since: st.Since, Version: st.Version, Log: st.Log, Hosts: []hostLine{}}
	for _, h := range st.Hosts {
		l.Hosts = append(l.Hosts, hostLine{
			ID: h.ID, Spec: h.Spec, Labels: h.Labels, Up: h.Up, Since: h.Since, Error: h.Error, Lost: h.Lost, Users: h.Users,
			Hostname: h.Info.Hostname, GOOS: h.Info.GOOS, GOARCH: h.Info.GOARCH, CPUs: h.Info.CPUs, Load: h.Info.Load.Average, Memory: h.Info.Load.Memory, Disk: h.Info.Load.Disk, Pid: h.Info.Pid,
		})
	}
	return l
}

func showNet(c *cli.Context) error {
	n, err := connectNet(c, "")
	if err != nil {
		return err
	}
	st, err := n.Status(c.Context)
	if err != nil {
		return classify(err)
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, netLineOf(st))
	}
	fmt.Fprintf(c.App.Writer, "network %s: process %d for %s, xdist %s, log %s\n", st.Name, st.Pid, lasting(st.Since), st.Version, cmp.Or(st.Log, "none"))
	return printHosts(c.App.Writer, st)
}

// lasting is the time since a moment, for people.
func lasting(since time.Time) time.Duration { return time.Since(since).Round(time.Second) }

// printHosts prints a line for each host, with what is wrong below it.
func printHosts(out io.Writer, st gateway.NetworkStatus) error {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tSTATE\tFOR\tPROGRAMS\tLOST\tPLATFORM\tCORES\tLOAD\tHOSTNAME\tLABELS\tSPEC") // a Builder takes all
	for _, h := range st.Hosts {
		state := "down"
		if h.Up {
			state = "up"
		} else if h.Error == "" {
			state = "starting"
		}
		platform, cores, load := "-", "-", "-"
		if h.Info.GOOS != "" {
			platform, cores = cmdline.Printable(h.Info.GOOS+"/"+h.Info.GOARCH), fmt.Sprint(h.Info.CPUs)
			load = fmt.Sprintf("%.1f", h.Info.Load.Average)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", h.ID, state, lasting(h.Since), h.Users, h.Lost, platform, cores, load,
			cmdline.Printable(cmp.Or(h.Info.Hostname, "-")), cmp.Or(strings.Join(h.Labels, ","), "-"), h.Spec)
	}
	w.Flush()
	for _, h := range st.Hosts {
		if h.Error != "" {
			fmt.Fprintf(&table, "\n%s  %s\n", h.ID, cmdline.Printable(h.Error))
		}
	}
	_, err := io.WriteString(out, table.String())
	return err
}

func listNets(c *cli.Context) error {
	if c.NArg() > 0 {
		return usageError(fmt.Errorf("xdist net list: takes no name; xdist net status %s shows its hosts", c.Args().First()))
	}
	names, err := netsock.Names()
	if err != nil {
		return classify(err)
	}
	lines := []netLine{}
	for _, name := range names {
		n, err := gateway.Connect(c.Context, name)
		var st gateway.NetworkStatus
		if err == nil {
			st, err = n.Status(c.Context)
		}
		switch {
		case errors.Is(err, gateway.ErrNoNetwork): // its process was killed; the next one removes what is left
		case err != nil:
			fmt.Fprintf(c.App.ErrWriter, "xdist: %v\n", err)
		default:
			lines = append(lines, netLineOf(st))
		}
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, lines)
	}
	for _, l := range lines {
		up := 0
		for _, h := range l.Hosts {
			if h.Up {
				up++
			}
		}
		if _, err := fmt.Fprintf(c.App.Writer, "%s  process %d, %d of %d hosts are up\n", l.Name, l.Pid, up, len(l.Hosts)); err != nil {
			return err
		}
	}
	return nil
}
