package gateway

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

// pass returns after d, or the error of ctx when that ends before.
func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// agentDialer gets an agent for the gateways with a goarch, and takes some time before and after
// that. The agents are not started: the peer is in memory.
func agentDialer(before, after time.Duration, get func(context.Context, Config, xspec.Spec) error) dialer {
	return func(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error) {
		if spec.GOARCH != "" {
			if err := errors.Join(pass(ctx, before), get(ctx, cfg, spec), pass(ctx, after)); err != nil {
				return nil, err
			}
		}
		return bubbleDialer(ctx, from, spec, cfg)
	}
}

// alone is as popen gets an agent, shared as ssh and cmd do.
func alone(ctx context.Context, cfg Config, spec xspec.Spec) error {
	return second(cfg.agent(ctx, "plan9", spec.GOARCH))
}

func shared(ctx context.Context, cfg Config, spec xspec.Spec) error {
	return second(cfg.hosts.agents.get(ctx, "plan9", spec.GOARCH))
}

// slowAgent is a Config.Agent that takes five minutes, and counts its calls.
func slowAgent(calls *atomic.Int32) func(context.Context, string, string) (Agent, error) {
	return func(ctx context.Context, _, _ string) (Agent, error) {
		calls.Add(1)
		if pass(ctx, 5*time.Minute) != nil {
			return Agent{}, context.Cause(ctx)
		}
		return Agent{Path: os.Args[0]}, nil
	}
}

func TestGettingAnAgentDoesNotCount(t *testing.T) {
	for _, tc := range []struct {
		name          string
		before, after time.Duration
		want          error
		took          time.Duration
	}{
		{"in time", 15 * time.Second, 4 * time.Second, nil, 5*time.Minute + 19*time.Second},
		{"late after it", 15 * time.Second, time.Hour, context.DeadlineExceeded, 5*time.Minute + 20*time.Second},
		{"late before it", time.Hour, 0, context.DeadlineExceeded, 20 * time.Second},
	} {
		for name, get := range map[string]func(context.Context, Config, xspec.Spec) error{"alone": alone, "shared": shared} {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := newGroup(Config{OpenTimeout: 20 * time.Second, Agent: slowAgent(new(atomic.Int32))}, agentDialer(tc.before, tc.after, get))
					start := time.Now()
					_, err := g.OpenSpec(t.Context(), parsed(t, "popen//goarch=mips"))
					if took := time.Since(start); !errors.Is(err, tc.want) || took != tc.took {
						t.Errorf("opened after %v: %v, want %v: %v", took, err, tc.took, tc.want)
					}
					start = time.Now()
					_, err = g.Probe(t.Context(), parsed(t, "popen//goarch=arm"))
					if took := time.Since(start); !errors.Is(err, tc.want) || took != tc.took {
						t.Errorf("probed after %v: %v, want %v: %v", took, err, tc.took, tc.want)
					}
					if err := g.Terminate(t.Context(), time.Second); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// TestWayMayGetAnAgent opens gateways that go through others, of which the last has to get an
// agent.
func TestWayMayGetAnAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(Config{OpenTimeout: 20 * time.Second, Agent: slowAgent(new(atomic.Int32))}, agentDialer(0, 0, alone))
		specs := []string{"popen//id=c//via=b", "socket//id=d//installvia=b", "popen//id=b//via=a", "popen//goarch=mips//id=a"}
		errc := make(chan error, len(specs))
		for _, text := range specs {
			if _, err := g.Allocate(parsed(t, text)); err != nil {
				t.Fatal(err)
			}
		}
		for _, text := range specs {
			go func() { errc <- second(g.OpenSpec(t.Context(), parsed(t, text))) }()
		}
		for range specs {
			if err := <-errc; err != nil {
				t.Error(err)
			}
		}
		if err := g.Terminate(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestSharedAgentOutlivesItsAskers has two gateways wait for one agent, of which one loses
// interest.
func TestSharedAgentOutlivesItsAskers(t *testing.T) {
	for _, tc := range []struct {
		name  string
		loses int // the first or the second to ask
		calls int32
		took  time.Duration
	}{
		{"first", 0, 2, 6 * time.Minute},
		{"second", 1, 1, 5 * time.Minute},
		{"none", 2, 1, 5 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				g := newGroup(Config{OpenTimeout: 20 * time.Second, Agent: slowAgent(&calls)}, agentDialer(0, 0, shared))
				start := time.Now()
				var cancels [3]context.CancelCauseFunc
				var errcs [2]chan error
				for i := range errcs {
					var ctx context.Context
					ctx, cancels[i] = context.WithCancelCause(t.Context())
					defer cancels[i](nil)
					errcs[i] = make(chan error, 1)
					go func() { errcs[i] <- second(g.OpenSpec(ctx, parsed(t, "popen//goarch=mips"))) }()
					synctest.Wait()
				}
				if tc.loses < len(errcs) {
					pass(t.Context(), time.Minute)
					why := errors.New("no longer wanted")
					cancels[tc.loses](why)
					err := <-errcs[tc.loses]
					if err == nil || !strings.Contains(err.Error(), "get agent for plan9/mips: ") || !errors.Is(err, why) && !errors.Is(err, context.Canceled) || time.Since(start) != time.Minute {
						t.Errorf("the one that lost interest: %v after %v", err, time.Since(start))
					}
				}
				for i, errc := range errcs {
					if i == tc.loses {
						continue
					}
					if err := <-errc; err != nil || time.Since(start) != tc.took {
						t.Errorf("asker %d: %v after %v, want %v", i, err, time.Since(start), tc.took)
					}
				}
				if n := calls.Load(); n != tc.calls {
					t.Errorf("%d calls, want %d", n, tc.calls)
				}
				if err := g.Terminate(t.Context(), time.Second); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// agentSpecs are specs whose gateways ask for an agent.
func agentSpecs(t *testing.T) []string {
	if runtime.GOOS == "windows" {
		t.Skip("no env and no sh on Windows")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	other := "s390x"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	return []string{"popen//goarch=" + other + "//exec=env", "cmd=sh", "popen//via=way"}
}

// TestTransportsHoldTheClock has the time of an opening run out while its agent is got.
func TestTransportsHoldTheClock(t *testing.T) {
	thisAgent, err := Config{Command: []string{os.Args[0], "agent"}}.ownAgent()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range agentSpecs(t) {
		t.Run(text, func(t *testing.T) {
			struck := false
			g := NewGroup(Config{OpenTimeout: time.Hour, Command: []string{os.Args[0], "agent"}, Agent: func(ctx context.Context, _, _ string) (Agent, error) {
				ctx.Value(openClockKey{}).(*openClock).strike()
				struck = true
				return thisAgent, ctx.Err()
			}})
			defer g.Terminate(context.Background(), 2*time.Second)
			opened(t, g, "popen//id=way")
			if opened(t, g, text); !struck {
				t.Error("no agent was got")
			}
		})
	}
}

func TestOpeningEndsWhileAnAgentIsGot(t *testing.T) {
	for _, text := range agentSpecs(t) {
		t.Run(text, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			g := NewGroup(Config{Command: []string{os.Args[0], "agent"}, Agent: func(ctx context.Context, _, _ string) (Agent, error) {
				cancel()
				<-ctx.Done()
				return Agent{}, ctx.Err()
			}})
			defer g.Terminate(context.Background(), 2*time.Second)
			opened(t, g, "popen//id=way")
			_, err := g.OpenSpec(ctx, parsed(t, text))
			if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "get agent for "+runtime.GOOS+"/") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestShellsWaitForAnAgent has a shell that limits the time of its reads wait for its program, and
// for the answer to its question.
func TestShellsWaitForAnAgent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: bash may be too old to limit a read to a part of a second")
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skipf("skipped: no bash: %v", err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	bin := t.TempDir()
	if err := os.Symlink(bash, filepath.Join(bin, "sh")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("TMOUT", "0.1")
	impatient := func() { // waits until such a shell has lost patience
		cmd := exec.Command("sh", "-c", "read -r line")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := cmd.Run(); err == nil {
			t.Error("the shell does not limit the time of a read")
		}
	}
	thisAgent, err := Config{Command: []string{os.Args[0], "agent"}}.ownAgent()
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	g := NewGroup(Config{Agent: func(context.Context, string, string) (Agent, error) {
		impatient()
		impatient() // the other one may have begun a little later than the first of these
		if calls++; calls == 1 {
			return Agent{}, errors.New("no agent for what the controller takes the platform for")
		}
		return thisAgent, nil
	}})
	defer g.Terminate(context.Background(), 2*time.Second)
	opened(t, g, "cmd=bash")
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}

func TestOpenClockIsAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("no longer wanted")
		for _, tc := range []struct {
			name       string
			end        func(*openClock, context.CancelCauseFunc)
			err, cause error
		}{
			{"time", func(*openClock, context.CancelCauseFunc) { pass(t.Context(), time.Minute) }, context.DeadlineExceeded, context.DeadlineExceeded},
			{"parent", func(_ *openClock, cancel context.CancelCauseFunc) { cancel(why) }, context.Canceled, why},
			{"stop", func(c *openClock, _ context.CancelCauseFunc) { c.stop() }, context.Canceled, context.Canceled},
		} {
			parent, cancel := context.WithCancelCause(t.Context())
			c := startClock(parent, time.Minute)
			child, cancelChild := context.WithCancel(c)
			resume, again := holdClock(child), holdClock(c)
			pass(t.Context(), time.Hour)
			resume()
			pass(t.Context(), time.Hour)
			again()
			pass(t.Context(), time.Minute-1)
			if c.Err() != nil || child.Err() != nil {
				t.Errorf("%s: ended early: %v, %v", tc.name, c.Err(), child.Err())
			}
			tc.end(c, cancel)
			synctest.Wait()
			for _, ctx := range []context.Context{c, child} {
				if ctx.Err() != tc.err || context.Cause(ctx) != tc.cause {
					t.Errorf("%s: %v, %v", tc.name, ctx.Err(), context.Cause(ctx))
				}
			}
			c.stop()
			holdClock(c)()
			if c.Err() != tc.err {
				t.Errorf("%s: %v after stop", tc.name, c.Err())
			}
			cancelChild()
			cancel(nil)
			if late := startClock(parent, time.Minute); late.Err() != context.Canceled {
				t.Errorf("begun too late: %v", late.Err())
			}
		}
	})
}
