package network

import (
	"slices"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

func TestChoose(t *testing.T) {
	amd := gateway.Info{GOOS: "linux", GOARCH: "amd64", CPUs: 4}
	arm := gateway.Info{GOOS: "linux", GOARCH: "arm64", CPUs: 8}
	hosts := []gateway.NetworkHost{
		{ID: "a", Up: true, Info: amd, Users: 2},
		{ID: "b", Up: true, Info: arm, Users: 4, Labels: []string{"big", "gpu"}},
		{ID: "c", Up: true, Info: amd, Users: 0, Labels: []string{"big"}},
		{ID: "d", Error: "it burns", Info: amd, Labels: []string{"spare"}},
		{ID: "e"},
	}
	for _, tt := range []struct {
		c    gateway.Choice
		want string
		err  string
	}{
		{gateway.Choice{}, "c", ""},
		{gateway.On("linux", ""), "c", ""},
		{gateway.On("", "arm64"), "b", ""},
		{gateway.OnHost("a"), "a", ""},
		{gateway.OnLabel("big"), "c", ""},
		{gateway.OnLabel("gpu", "big"), "b", ""},
		{gateway.OnLabel("spare"), "", "network n: no host that fits is up: d: it burns"},
		{gateway.OnHost("e"), "", "network n: no host that fits is up: e: it is being started"},
		{gateway.On("windows", ""), "", "network n: no host fits goos=windows; it has a (linux/amd64), b (linux/arm64, big, gpu), c (linux/amd64, big), d (linux/amd64, spare), e (never reached)"},
	} {
		i, err := choose("n", hosts, tt.c)
		switch {
		case tt.err != "":
			if err == nil || err.Error() != tt.err {
				t.Errorf("%+v: %v", tt.c, err)
			}
		case err != nil || hosts[i].ID != tt.want:
			t.Errorf("%+v: %d, %v, want %s", tt.c, i, err, tt.want)
		}
	}
}

// Of hosts with as many programs the least busy one is taken. How busy a host is for each processor
// counts, in whole processes, and a load that nobody knows is none.
func TestChooseByLoad(t *testing.T) {
	for _, tt := range []struct {
		cores int
		loads []float64
		users []int
		want  int
	}{
		{4, []float64{3, 1, 2}, []int{0, 0, 0}, 1},
		{4, []float64{3, 1, 0}, []int{0, 1, 1}, 0},
		{4, []float64{1.4, 0.6, 0.5}, []int{2, 2, 2}, 0},
		{4, []float64{0, 0, 0}, []int{0, 0, 0}, 0},
		{1, []float64{8, 0.2, 8}, []int{0, 0, 0}, 1},
	} {
		var hosts []gateway.NetworkHost
		for i, l := range tt.loads {
			hosts = append(hosts, gateway.NetworkHost{Up: true, Users: tt.users[i], Info: gateway.Info{CPUs: tt.cores, Load: gateway.Load{Average: l}}})
		}
		if got, err := choose("n", hosts, gateway.Choice{}); err != nil || got != tt.want {
			t.Errorf("%+v: %d, %v", tt, got, err)
		}
	}
	small := gateway.NetworkHost{ID: "small", Up: true, Info: gateway.Info{CPUs: 2, Load: gateway.Load{Average: 2}}}
	large := gateway.NetworkHost{ID: "large", Up: true, Info: gateway.Info{CPUs: 8, Load: gateway.Load{Average: 6}}, Users: 3}
	if i, err := choose("n", []gateway.NetworkHost{small, large}, gateway.Choice{}); err != nil || i != 1 {
		t.Errorf("of a small and a large host: %d, %v", i, err)
	}
}

// Programs are spread by the processors of the hosts.
func TestPickSpreads(t *testing.T) {
	k := newKeeper(Config{Name: "n"})
	k.hosts = []*host{
		{state: gateway.NetworkHost{ID: "small", Up: true, Info: gateway.Info{CPUs: 2}}},
		{state: gateway.NetworkHost{ID: "large", Up: true, Info: gateway.Info{CPUs: 6}}},
	}
	ids, err := k.Pick(gateway.Choice{}, 8)
	if slices.Sort(ids); err != nil || !slices.Equal(ids, []string{"large", "large", "large", "large", "large", "large", "small", "small"}) {
		t.Errorf("%v, %v", ids, err)
	}
	if k.hosts[0].state.Users+k.hosts[1].state.Users != 0 {
		t.Error("who only asks is counted")
	}
	for _, n := range []int{-1, mostPicked + 1} {
		if ids, err := k.Pick(gateway.Choice{}, n); err == nil {
			t.Errorf("%d: %d hosts", n, len(ids))
		}
	}
	k.stop()
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i, tt := range []struct{ upFor, want time.Duration }{
		{0, 250 * time.Millisecond}, {0, 500 * time.Millisecond}, {0, time.Second}, {time.Second, 2 * time.Second},
		{0, 4 * time.Second}, {0, 8 * time.Second}, {0, 16 * time.Second}, {0, 30 * time.Second}, {0, 30 * time.Second},
		{29 * time.Second, 30 * time.Second}, {30 * time.Second, 250 * time.Millisecond}, {0, 500 * time.Millisecond},
	} {
		if got := b.next(tt.upFor); got != tt.want {
			t.Errorf("%d: %v, want %v", i, got, tt.want)
		}
	}
}
