package netns

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Conditions are what a cable is like. The zero value is as good as it gets.
type Conditions struct {
	Delay time.Duration // of each packet, one way
	Loss  float64       // how much of the packets gets lost, 0 to 1
	Rate  int           // in bytes per second and direction; 0 is no limit
}

// Cable carries packets between the controller's network and a host. All methods may be called
// concurrently; a change holds for packets that come after it.
type Cable struct {
	toHost, fromHost *wire
	ends             [2]*os.File // the controller's and the host's
	running          sync.WaitGroup
}

// Set changes the conditions in both directions.
func (c *Cable) Set(cond Conditions) {
	c.toHost.set(cond)
	c.fromHost.set(cond)
}

// Cut loses all packets in both directions, those under way too, and says nothing to anybody, as a
// cable that was pulled from a switch.
func (c *Cable) Cut() {
	c.toHost.cut(true)
	c.fromHost.cut(true)
}

// CutFromHost loses all that the host says, while it goes on hearing.
func (c *Cable) CutFromHost() { c.fromHost.cut(true) }

// Mend ends what Cut and CutFromHost have begun.
func (c *Cable) Mend() {
	c.toHost.cut(false)
	c.fromHost.cut(false)
}

// Carried returns how many packets have arrived at the host and at the controller.
func (c *Cable) Carried() (toHost, fromHost int) { return c.toHost.count(), c.fromHost.count() }

// lay connects two network namespaces.
func lay(controller, host *os.File, controllerAddr, hostAddr netip.Addr, seed uint64) (*Cable, error) {
	c := &Cable{toHost: newWire(seed), fromHost: newWire(^seed)}
	var err error
	if c.ends[0], err = openTUN(controller, "host%d", controllerAddr); err != nil {
		return nil, fmt.Errorf("lay cable: controller's end: %w", err)
	}
	if c.ends[1], err = openTUN(host, "eth%d", hostAddr); err != nil {
		c.ends[0].Close()
		return nil, fmt.Errorf("lay cable: host's end: %w", err)
	}
	for _, way := range []struct {
		*wire
		from, to *os.File
	}{{c.toHost, c.ends[0], c.ends[1]}, {c.fromHost, c.ends[1], c.ends[0]}} {
		c.running.Go(func() { way.take(way.from) })
		c.running.Go(func() { way.deliver(way.to) })
	}
	return c, nil
}

// remove takes both devices away and joins the goroutines.
func (c *Cable) remove() error {
	err := errors.Join(c.ends[0].Close(), c.ends[1].Close())
	c.running.Wait()
	return err
}

const (
	// packetSize is more than a TUN device's packets have by default, in bytes.
	packetSize = 2048
	// underWay is how many packets a wire holds; what comes beyond is lost, as in a router.
	underWay = 4096
)

// wire is one direction of a cable. take and deliver are a goroutine each, which end when the
// device that take reads from is closed.
type wire struct {
	queue chan packet // closed by take

	mu      sync.Mutex // guards the fields below
	cond    Conditions
	isCut   bool
	free    time.Time // when the last packet is through, at a limited rate
	random  *rand.Rand
	carried int
}

type packet struct {
	due  time.Time
	data []byte
}

func newWire(seed uint64) *wire {
	return &wire{queue: make(chan packet, underWay), random: rand.New(rand.NewPCG(seed, 0xcab1e))}
}

func (w *wire) set(cond Conditions) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cond = cond
}

func (w *wire) cut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = cut
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.carried
}

// admit says when a packet of this size, sent now, arrives; ok is false when it does not.
func (w *wire) admit(now time.Time, size int) (due time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isCut || w.random.Float64() < w.cond.Loss {
		return time.Time{}, false
	}
	due = now
	if w.cond.Rate > 0 {
		if w.free.Before(now) {
			w.free = now
		}
		w.free = w.free.Add(time.Duration(size) * time.Second / time.Duration(w.cond.Rate))
		due = w.free
	}
	return due.Add(w.cond.Delay), true
}

// take queues what the device has to send.
func (w *wire) take(from io.Reader) {
	defer close(w.queue)
	for {
		buf := make([]byte, packetSize)
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if due, ok := w.admit(time.Now(), n); ok {
			select {
			case w.queue <- packet{due, buf[:n]}:
			default:
			}
		}
	}
}

// deliver hands on what is due. A packet that the device does not take is lost.
func (w *wire) deliver(to io.Writer) {
	for p := range w.queue {
		if wait := time.Until(p.due); wait > 0 {
			time.Sleep(wait)
		}
		w.mu.Lock()
		arrives := !w.isCut
		w.mu.Unlock()
		if !arrives {
			continue
		}
		if _, err := to.Write(p.data); err == nil {
			w.mu.Lock()
			w.carried++
			w.mu.Unlock()
		}
	}
}

// openTUN makes a TUN device with an address in a /24 of its own in a network namespace, and brings
// it up. The device is gone when the file is closed.
func openTUN(namespace *os.File, name string, addr netip.Addr) (*os.File, error) {
	var file *os.File
	err := inside(namespace, func() error {
		// A device belongs to the namespace that its file was opened in.
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open /dev/net/tun: %w", err)
		}
		device, err := unix.NewIfreq(name)
		if err == nil {
			device.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, device)
		}
		if err == nil {
			err = configure(device.Name(), addr)
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("make TUN device: %w", err)
		}
		file = os.NewFile(uintptr(fd), "/dev/net/tun") // which sees that it does not block, so that Close wakes Read
		return nil
	})
	return file, err
}

// configure gives a device of this thread's network namespace an address, unless that is the zero
// one, and brings it up.
func configure(device string, addr netip.Addr) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("configure %s: %w", device, err)
	}
	defer unix.Close(s)
	req, err := unix.NewIfreq(device)
	if err != nil {
		return fmt.Errorf("configure %s: %w", device, err)
	}
	if addr.IsValid() {
		for _, set := range []struct {
			what  string
			req   uint
			value []byte
		}{{"address", unix.SIOCSIFADDR, addr.AsSlice()}, {"netmask", unix.SIOCSIFNETMASK, []byte{255, 255, 255, 0}}} {
			if err := req.SetInet4Addr(set.value); err != nil {
				return fmt.Errorf("configure %s: %s: %w", device, set.what, err)
			}
			if err := unix.IoctlIfreq(s, set.req, req); err != nil {
				return fmt.Errorf("configure %s: %s: %w", device, set.what, err)
			}
		}
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, req); err != nil {
		return fmt.Errorf("bring %s up: %w", device, err)
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("bring %s up: %w", device, err)
	}
	return nil
}
