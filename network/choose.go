package network

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/xdist-go/xdist/gateway"
)

// choose returns the index of a host that is up and fits: that with the fewest users for each of
// its processors, counting the one who asks; of several that which was least busy with anything,
// and the first of those.
func choose(name string, hosts []gateway.NetworkHost, c gateway.Choice) (int, error) {
	best := -1
	var down []string
	for i, h := range hosts {
		switch {
		case !c.Fits(h):
		case !h.Up:
			down = append(down, h.ID+": "+cmp.Or(h.Error, "it is being started"))
		case best < 0 || less(h, hosts[best]):
			best = i
		}
	}
	switch {
	case best >= 0:
		return best, nil
	case len(down) > 0:
		return 0, fmt.Errorf("network %s: no host that fits is up: %s", name, strings.Join(down, "; "))
	case len(hosts) == 0:
		return 0, fmt.Errorf("network %s has no hosts: give it some with \"xdist net add %s SPEC\"", name, name)
	}
	var all []string
	for _, h := range hosts {
		all = append(all, describe(h))
	}
	return 0, fmt.Errorf("network %s: no host fits %s; it has %s", name, strings.Join(c.Fields(), " "), strings.Join(all, ", "))
}

// less reports whether a is to be taken before b. Users come first: what those have begun who were
// sent to a host just now its load does not show yet.
func less(a, b gateway.NetworkHost) bool {
	cores := func(h gateway.NetworkHost) float64 { return float64(max(1, h.Info.CPUs)) }
	return cmp.Or(
		cmp.Compare(float64(a.Users+1)/cores(a), float64(b.Users+1)/cores(b)),
		cmp.Compare(math.Round(a.Info.Load.Average)/cores(a), math.Round(b.Info.Load.Average)/cores(b)),
	) < 0
}

func describe(h gateway.NetworkHost) string {
	facts := append([]string{h.Info.GOOS + "/" + h.Info.GOARCH}, h.Labels...)
	if h.Info.GOOS == "" {
		facts[0] = "never reached"
	}
	return fmt.Sprintf("%s (%s)", h.ID, strings.Join(facts, ", "))
}
