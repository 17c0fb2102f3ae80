package policy

import "time"

// Two algorithms of pytest-xdist, written from what its documentation says of --dist load and
// --dist worksteal. Both send tests in the order of collection, know no durations, and keep at
// least two tests at each worker, so that it need not wait for the next. The simulation is kind to
// them: a message costs one latency and only when a worker has run dry, and a process costs only
// when a worker comes to another package.

// peer is the state of such a run.
type peer struct {
	tests  []peerTest // in order of collection
	queues [][]int    // what each worker has been sent and has not begun
	rest   []int      // what was not sent
}

type peerTest struct {
	pkg  int
	took time.Duration
}

// peerBuffer is how many tests a worker is to have.
const peerBuffer = 2

func playPeer(s suite, f fleet, refill func(p *peer, worker int), begin func(p *peer)) time.Duration {
	p := &peer{queues: make([][]int, len(f))}
	for i, pk := range s.packages {
		for _, d := range pk.times {
			p.rest = append(p.rest, len(p.tests))
			p.tests = append(p.tests, peerTest{i, d})
		}
	}
	begin(p)
	free, last := make([]time.Duration, len(f)), make([]int, len(f))
	for i := range last {
		last[i] = -1
	}
	var end time.Duration
	for done := 0; done < len(p.tests); done++ {
		w := -1
		for i := range f { // the next that begins a test
			if len(p.queues[i]) > 0 && (w < 0 || free[i] < free[w]) {
				w = i
			}
		}
		t := p.tests[p.queues[w][0]]
		p.queues[w] = p.queues[w][1:]
		if t.pkg != last[w] {
			free[w] += s.packages[t.pkg].overhead + latency
			last[w] = t.pkg
		}
		free[w] += time.Duration(float64(t.took) / f[w])
		end = max(end, free[w])
		for i := range f {
			if len(p.queues[i]) < peerBuffer && free[i] <= free[w] {
				dry := len(p.queues[i]) == 0
				refill(p, i)
				if dry && len(p.queues[i]) > 0 {
					free[i] = max(free[i], free[w]) + latency
				}
			}
		}
	}
	return end
}

func (p *peer) send(worker, n int) {
	n = min(n, len(p.rest))
	p.queues[worker] = append(p.queues[worker], p.rest[:n]...)
	p.rest = p.rest[n:]
}

// peerLoad sends each worker a part of a quarter of the tests first, and later, when it has few
// left, its part of half of what is left.
func peerLoad(s suite, f fleet) time.Duration {
	return playPeer(s, f, func(p *peer, w int) {
		p.send(w, max(peerBuffer, len(p.rest)/len(f)/2)-len(p.queues[w]))
	}, func(p *peer) {
		n := max(peerBuffer, len(p.rest)/len(f)/4)
		for w := range p.queues {
			p.send(w, n)
		}
	})
}

// peerWorkSteal deals all tests out evenly; a worker that runs dry gets half of the longest queue,
// from its end.
func peerWorkSteal(s suite, f fleet) time.Duration {
	return playPeer(s, f, func(p *peer, w int) {
		victim := 0
		for i, q := range p.queues {
			if len(q) > len(p.queues[victim]) {
				victim = i
			}
		}
		q := p.queues[victim]
		n := min(len(q)/2, len(q)-peerBuffer)
		if n <= 0 || victim == w {
			return
		}
		p.queues[w] = append(p.queues[w], q[len(q)-n:]...)
		p.queues[victim] = q[: len(q)-n : len(q)-n]
	}, func(p *peer) {
		for w := range p.queues {
			p.send(w, len(p.rest)/(len(p.queues)-w))
		}
	})
}
