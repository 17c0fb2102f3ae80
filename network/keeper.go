package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

const (
	// mostHosts bounds the hosts of a network.
	mostHosts = 256
	// mostSpec bounds the spec of a host, in bytes: all hosts go into one message.
	mostSpec = 1 << 10
	// mostError bounds what is kept of an error, in bytes.
	mostError = 600
	// endWait is how long the relays get to end.
	endWait = 5 * time.Second
)

// keeper keeps gateways to hosts. It owns a goroutine for each host, which ends when the host is
// removed; end ends and joins all. It is a gateway.NetworkHosts.
type keeper struct {
	cfg   Config
	group *gateway.Group
	since time.Time
	ctx   context.Context // of all hosts
	stop  context.CancelFunc
	loops sync.WaitGroup

	mu       sync.Mutex // guards the fields below, and what is in hosts
	hosts    []*host    // in the order in which they were added
	next     int        // number of the next host without an id
	ended    bool
	changedc chan struct{} // closed and replaced when a host is up, was tried, or has gone
}

// host is one that is kept.
type host struct {
	spec xspec.Spec
	stop context.CancelFunc

	gw    *gateway.Gateway    // nil when it is down
	state gateway.NetworkHost // what users are told
}

// tried reports whether the host is up, or could not be reached.
func (h *host) tried() bool { return h.state.Up || h.state.Error != "" }

func newKeeper(cfg Config) *keeper {
	k := &keeper{cfg: cfg, group: gateway.NewGroup(cfg.Gateway), since: time.Now(), changedc: make(chan struct{})}
	k.ctx, k.stop = context.WithCancel(context.Background())
	return k
}

// end ends all relays, those first that go through others.
func (k *keeper) end() error {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	err := k.group.Terminate(context.Background(), endWait)
	k.stop()
	k.loops.Wait()
	return err
}

// Status implements gateway.NetworkHosts.
func (k *keeper) Status() gateway.NetworkStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return gateway.NetworkStatus{
		Name: k.cfg.Name, Pid: os.Getpid(), Since: k.since, Version: k.cfg.Version, Log: k.cfg.Log, Hosts: k.states(),
	}
}

// states are what users are told of the hosts. k.mu is held.
func (k *keeper) states() []gateway.NetworkHost {
	all := make([]gateway.NetworkHost, len(k.hosts))
	for i, h := range k.hosts {
		all[i] = h.state
	}
	return all
}

// Take implements gateway.NetworkHosts.
func (k *keeper) Take(c gateway.Choice) (gateway.NetworkHost, *gateway.Gateway, func(), error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i, err := choose(k.cfg.Name, k.states(), c)
	if err != nil {
		return gateway.NetworkHost{}, nil, nil, err
	}
	h := k.hosts[i]
	h.state.Users++
	release := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		h.state.Users--
	}
	return h.state, h.gw, release, nil
}

// mostPicked bounds what one request may ask for.
const mostPicked = 4096

// Pick implements gateway.NetworkHosts.
func (k *keeper) Pick(c gateway.Choice, n int) ([]string, error) {
	if n < 0 || n > mostPicked {
		return nil, fmt.Errorf("network %s: %d hosts are not from 0 to %d", k.cfg.Name, n, mostPicked)
	}
	k.mu.Lock()
	states := k.states()
	k.mu.Unlock()
	var ids []string
	for range n {
		i, err := choose(k.cfg.Name, states, c)
		if err != nil {
			return nil, err
		}
		states[i].Users++
		ids = append(ids, states[i].ID)
	}
	return ids, nil
}

// Change implements gateway.NetworkHosts. It does all or nothing.
func (k *keeper) Change(add, remove []string) ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return nil, errors.New("the network is about to end")
	}
	for _, id := range remove {
		if err := k.removable(id, remove); err != nil {
			return nil, err
		}
	}
	fresh, err := k.parse(add)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, h := range fresh {
		ids = append(ids, h.state.ID)
		k.hosts = append(k.hosts, h)
		ctx, stop := context.WithCancel(k.ctx)
		h.stop = stop
		k.loops.Go(func() { k.keep(ctx, h) })
	}
	for _, id := range remove {
		if i := k.index(id); i >= 0 {
			k.hosts[i].stop()
			k.hosts = slices.Delete(k.hosts, i, i+1)
		}
	}
	return ids, nil
}

// index is the place of the host with an id, or -1. k.mu is held.
func (k *keeper) index(id string) int {
	return slices.IndexFunc(k.hosts, func(h *host) bool { return h.state.ID == id })
}

// removable says why a host cannot be removed together with others. k.mu is held.
func (k *keeper) removable(id string, others []string) error {
	if k.index(id) < 0 {
		return fmt.Errorf("network %s has no host %q", k.cfg.Name, id)
	}
	for _, h := range k.hosts {
		if way(h.spec) == id && !slices.Contains(others, h.state.ID) {
			return fmt.Errorf("host %s goes through %s: remove it first, or both together", h.state.ID, id)
		}
	}
	return nil
}

// way is the id of the host that a spec goes through, or "".
func way(s xspec.Spec) string { return cmp.Or(s.Via, s.InstallVia) }

// parse makes hosts of specs. k.mu is held.
func (k *keeper) parse(texts []string) (fresh []*host, err error) {
	known := make(map[string]bool)
	for _, h := range k.hosts {
		known[h.state.ID] = true
	}
	for _, text := range texts {
		s, err := xspec.Parse(text)
		refuse := func(field, reason string) ([]*host, error) {
			return nil, &xspec.Error{Spec: text, Field: field, Reason: reason}
		}
		switch {
		case err != nil:
			return nil, err
		case s.Listen != "":
			return refuse("listen", "a network connects to its hosts by itself")
		case s.Net == k.cfg.Name && s.Via == "":
			return refuse("net", "a network is no host of its own")
		case !s.HasTransport():
			return refuse("type", "no gateway type found; want popen, ssh, socket, cmd or net")
		case way(s) != "" && !known[way(s)]:
			return refuse("via", "no host of the network has this id")
		case s.ID != "" && known[s.ID]:
			return refuse("id", "a host of the network has this id")
		case len(known) >= mostHosts:
			return nil, fmt.Errorf("network %s: %d hosts are the most that it may have", k.cfg.Name, mostHosts)
		}
		if len(text) > mostSpec {
			return refuse("", fmt.Sprintf("it has more than %d bytes", mostSpec))
		}
		id := s.ID
		for id == "" || s.ID == "" && known[id] {
			k.next++
			id = fmt.Sprintf("h%d", k.next)
		}
		known[id] = true
		fresh = append(fresh, &host{spec: s, state: gateway.NetworkHost{ID: id, Spec: text, Labels: s.Labels, Since: time.Now()}})
	}
	return fresh, nil
}

// keep opens the gateway of a host, again and again, until ctx ends.
func (k *keeper) keep(ctx context.Context, h *host) {
	log := k.cfg.Logger.With("host", h.state.ID) // which does not change
	var pause backoff
	for {
		k.mu.Lock()
		changed := k.changedc
		k.mu.Unlock()
		gw, err := k.open(ctx, h)
		var upFor time.Duration
		if err == nil {
			began := time.Now()
			k.set(h, gw, nil)
			log.Info("host is up", "spec", h.spec.String(), "pid", gw.Info().Pid, "hostname", gw.Info().Hostname)
			k.watch(ctx, h, gw)
			<-gw.Done()
			upFor, err = time.Since(began), gw.Err()
		}
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errNotYet) && k.set(h, nil, err) {
			log.Warn("host is down", "error", err)
		}
		if !errors.Is(err, errWay) {
			changed = nil
		}
		wait := time.NewTimer(pause.next(upFor))
		select {
		case <-wait.C:
		case <-changed: // perhaps its way is up again
		case <-ctx.Done():
		}
		wait.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// lookEvery is how often a host is asked how busy it is: the average that it tells is of a minute.
const lookEvery = 10 * time.Second

// watch asks a host again and again how busy it is, until its gateway ends, which it begins when
// ctx ends.
func (k *keeper) watch(ctx context.Context, h *host, gw *gateway.Gateway) {
	tick := time.NewTicker(cmp.Or(k.cfg.lookEvery, lookEvery))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			asking, cancel := context.WithTimeout(ctx, lookEvery)
			info, err := gw.Refresh(asking)
			cancel()
			if err == nil { // else the host is silent, and its lease tells when that is its end
				k.mu.Lock()
				h.state.Info = bounded(info)
				k.mu.Unlock()
			}
		case <-gw.Done():
			return
		case <-ctx.Done():
			gw.Exit()
			return
		}
	}
}

// set notes that a host is up, or why it is down, and reports whether users are told something new.
func (k *keeper) set(h *host, gw *gateway.Gateway, err error) (news bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	st := &h.state
	was := *st
	h.gw, st.Up, st.Error = gw, gw != nil, ""
	if err != nil {
		st.Error = err.Error()
		st.Error = st.Error[:min(len(st.Error), mostError)]
	}
	if st.Up != was.Up {
		st.Since = time.Now()
	}
	if st.Up {
		st.Info = bounded(gw.Info())
	} else if was.Up {
		st.Lost++
	}
	close(k.changedc)
	k.changedc = make(chan struct{})
	return st.Up != was.Up || st.Error != was.Error
}

// mostText bounds each text that a host says of itself and that users are told, in bytes.
const mostText = 128

// bounded is what a host says of itself, cut to what is told.
func bounded(info gateway.Info) gateway.Info {
	for _, text := range []*string{&info.Hostname, &info.GOOS, &info.GOARCH, &info.Dir, &info.Executable, &info.Version, &info.GoVersion} {
		*text = (*text)[:min(len(*text), mostText)]
	}
	return info
}

// errWay says that the host is down that another goes through, and errNotYet that nobody knows yet.
var (
	errWay    = errors.New("its way is down")
	errNotYet = fmt.Errorf("%w: it was not reached yet", errWay)
)

// open opens the gateway of a host. Gateways have ids of their own each time, since a group gives
// none a second time.
func (k *keeper) open(ctx context.Context, h *host) (*gateway.Gateway, error) {
	k.mu.Lock()
	id, through := h.state.ID, ""
	if lost := h.state.Lost; lost > 0 {
		id = fmt.Sprintf("%s#%d", id, lost+1)
	}
	if w := way(h.spec); w != "" {
		i := k.index(w)
		if i < 0 || k.hosts[i].gw == nil {
			err := errWay
			if i >= 0 && !k.hosts[i].tried() {
				err = errNotYet
			}
			k.mu.Unlock()
			return nil, fmt.Errorf("via host %s: %w", w, err)
		}
		through = k.hosts[i].gw.ID()
	}
	k.mu.Unlock()
	s, err := respec(h.spec, id, through)
	if err != nil {
		return nil, err
	}
	return k.group.OpenSpec(ctx, s)
}

// respec is a spec with another id, and another gateway to go through where it goes through one.
func respec(s xspec.Spec, id, through string) (xspec.Spec, error) {
	var fields []string
	for f := range strings.SplitSeq(s.String(), "//") {
		switch key, _, _ := strings.Cut(f, "="); key {
		case "id":
		case "via", "installvia":
			fields = append(fields, key+"="+through)
		default:
			fields = append(fields, f)
		}
	}
	return xspec.Parse(strings.Join(append(fields, "id="+id), "//"))
}

// await waits until each host is up or could not be reached, or ctx ends.
func (k *keeper) await(ctx context.Context) {
	for {
		k.mu.Lock()
		changed := k.changedc
		ready := !slices.ContainsFunc(k.hosts, func(h *host) bool { return !h.tried() })
		k.mu.Unlock()
		if ready {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
