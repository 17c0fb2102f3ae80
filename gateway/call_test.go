package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// sum is the function of the examples, with its types.
var sum = gateway.Func("sum", func(_ context.Context, in []int) (int, error) {
	total := 0
	for _, n := range in {
		total += n
	}
	return total, nil
})

var errOutOfLuck = errors.New("out of luck")

// quota is an error with fields.
type quota struct{ Used, Limit int }

func (e *quota) Error() string { return fmt.Sprintf("%d of %d are used", e.Used, e.Limit) }

// counter is a value that stays in its agent.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Add(_ context.Context, n int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n < 0 {
		return c.n, &quota{c.n, n}
	}
	c.n += n
	return c.n, nil
}

func (c *counter) Name() string             { return fmt.Sprint("counter at ", c.n) }
func (c *counter) Pair() (int, string)      { return c.n, "pair" }
func (c *counter) Panic() error             { panic("in a method") }
func (c *counter) Fork() (*counter, error)  { return &counter{n: c.n}, nil }
func (c *counter) Many(context.Context) int { return 42 }

// adder is what may be called of a counter.
type adder interface {
	Add(ctx context.Context, n int) (int, error)
	Name() string
	Pair() (int, string)
	Panic() error
}

func init() {
	gateway.RegisterError("test.luck", errOutOfLuck)
	gateway.RegisterErrorType[*quota]("test.quota")
	gateway.Func("fail as", func(_ context.Context, how string) (int, error) {
		switch how {
		case "missing":
			_, err := os.Open("/does/not/exist")
			return 0, err
		case "program":
			return 0, exec.Command("no-such-program").Run()
		case "closed":
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err == nil {
				l.Close()
				_, err = l.Accept()
			}
			return 0, err
		case "luck":
			return 0, fmt.Errorf("today: %w", errOutOfLuck)
		case "quota":
			return 0, fmt.Errorf("disk: %w", &quota{7, 5})
		case "panic":
			panic("at the call")
		case "large":
			return 0, errors.New(strings.Repeat("x", 1<<20))
		}
		return 0, errors.New(how)
	})
	gateway.Func("wait", func(ctx context.Context, _ any) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	gate := make(chan struct{})
	gateway.Func("held", func(ctx context.Context, _ any) (bool, error) {
		select {
		case <-gate:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	})
	gateway.Func("release", func(context.Context, any) (any, error) { close(gate); return nil, nil })
	gateway.Func("wait unless you are", func(ctx context.Context, pid int) (int, error) {
		if pid != os.Getpid() {
			<-ctx.Done()
		}
		return pid, ctx.Err()
	})
	gateway.Func("bytes", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
	gateway.Func("nothing", func(context.Context, any) (any, error) { return nil, nil })
	gateway.Stream("numbers", func(ctx context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			if n == 3 {
				yield(0, errOutOfLuck)
			}
		}
	})
	var running, most atomic.Int32
	gateway.Func("serial", gateway.Serial(func(context.Context, int) (int, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		for range 100 {
			runtime.Gosched() // others would come in between
		}
		return int(most.Load()), nil
	}))
	gateway.Func("counter", func(ctx context.Context, n int) (gateway.Object, error) {
		return gateway.Export[adder](ctx, &counter{n: n})
	})
	gateway.Func("value of", func(ctx context.Context, os []gateway.Object) (int, error) {
		total := 0
		for _, o := range os {
			c, err := gateway.Value[*counter](ctx, o)
			if err != nil {
				return 0, err
			}
			total += c.n
		}
		return total, nil
	})
}

func TestCall(t *testing.T) { overPlatforms(t, testCall) }

func testCall(t *testing.T, tr transport) {
	ctx := t.Context()
	gw := tr.open(t)
	if n, err := gateway.Call[int](ctx, gw, "sum", []int{3, 4}); err != nil || n != 7 {
		t.Errorf("sum is %d, %v", n, err)
	}
	if n, err := sum.Call(ctx, gw, []int{1, 2, 3}); err != nil || n != 6 {
		t.Errorf("sum is %d, %v", n, err)
	}
	if n := receive[int](t, remoteExec(t, gw, "sum", []int{5})); n != 5 {
		t.Errorf("as a handler it sends %d", n)
	}
	if v, err := gateway.Call[any](ctx, gw, "nothing", nil); err != nil || v != nil {
		t.Errorf("nothing is %v, %v", v, err)
	}
	if _, err := gateway.Call[string](ctx, gw, "sum", []int{1}); err == nil {
		t.Error("a number was taken for a text")
	}
	done := make(chan string, 1)
	f := sum.Go(ctx, gw, []int{2, 2})
	f.OnDone(func(n int, err error) { done <- fmt.Sprint(n, err) })
	if n, err := f.Wait(ctx); err != nil || n != 4 || <-done != "4 <nil>" {
		t.Errorf("a call that was not waited for: %d, %v", n, err)
	}
}

// Errors are on this side what they are on the other.
func TestCallErrors(t *testing.T) { overPlatforms(t, testCallErrors) }

func testCallErrors(t *testing.T, tr transport) {
	ctx := t.Context()
	gw := tr.open(t)
	fail := func(how string) error {
		_, err := gateway.Call[int](ctx, gw, "fail as", how)
		if err == nil {
			t.Fatalf("%s did not fail", how)
		}
		return err
	}
	if err := fail("missing"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("got %v", err)
	}
	if err := fail("program"); !errors.Is(err, exec.ErrNotFound) || errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := fail("closed"); !errors.Is(err, net.ErrClosed) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := fail("luck"); !errors.Is(err, errOutOfLuck) {
		t.Errorf("got %v", err)
	}
	err := fail("quota")
	if q, ok := errors.AsType[*quota](err); !ok || *q != (quota{7, 5}) || errors.Is(err, errOutOfLuck) {
		t.Errorf("got %v", err)
	}
	if re, ok := errors.AsType[*gateway.RemoteError](fail("panic")); !ok || !strings.Contains(re.Stack, "call_test.go") || re.Text != "panic: at the call" {
		t.Errorf("got %v", re)
	}
	if err := fail("large"); len(err.Error()) > 20<<10 {
		t.Errorf("an error has %d bytes", len(err.Error()))
	}
	for name, want := range map[string]string{
		"smu":           `"smu": no handler has this name; did you mean "sum"?`,
		"Sum":           `did you mean "sum"?`,
		"fail at":       `did you mean "fail as"?`,
		"echo":          `"echo": it is a handler with a channel: use RemoteExec or Range`,
		"numbers":       `it is a handler with a channel`,
		"gateway/start": `it is a handler with a channel`,
		"something":     `no handler has this name`,
	} {
		if _, err := gateway.Call[int](ctx, gw, name, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if err := remoteExec(t, gw, "ehco", nil).WaitClose(ctx); err == nil || !strings.Contains(err.Error(), `did you mean "echo"?`) {
		t.Errorf("got %v", err)
	}
	// A handler's error has its kind, too.
	if err := remoteExec(t, gw, "read file", "/does/not/exist").WaitClose(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := gateway.Call[[]byte](ctx, gw, "bytes", 17<<20); err == nil || !strings.Contains(err.Error(), "item is too large") {
		t.Errorf("got %v", err)
	}
	if _, err := gateway.Call[int](ctx, gw, "sum", make([]byte, 17<<20)); !errors.Is(err, gateway.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if n, err := sum.Call(ctx, gw, []int{1}); n != 1 || err != nil {
		t.Errorf("after all that: %d, %v", n, err)
	}
}

// The end of the caller's context ends that of the function, and Status tells what hangs.
func TestCallIsCancelled(t *testing.T) {
	gw := open(t, "popen")
	ctx, cancel := context.WithCancel(t.Context())
	f := gateway.Go[int](ctx, gw, "wait", nil)
	awaitRunning(t, gw, "wait")
	cancel()
	if _, err := f.Wait(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	awaitRunning(t, gw)
}

// awaitRunning waits until the agent runs just these.
func awaitRunning(t *testing.T, gw *gateway.Gateway, want ...string) {
	t.Helper()
	for {
		st, err := gw.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range st.Running {
			names = append(names, r.Name)
			if r.Age < 0 || r.Age > time.Hour {
				t.Errorf("%s runs for %v", r.Name, r.Age)
			}
		}
		if slices.Equal(names, want) && st.Executing == len(want) {
			return
		}
	}
}

// More calls than may run at once wait for their turn; the agent's end ends all.
func TestManyCalls(t *testing.T) {
	cfg := config()
	cfg.MaxCalls = 100
	gw := openIn(t, newGroup(t, cfg), "popen")
	ctx := t.Context()
	var futures []*gateway.Future[int]
	for i := range 5000 {
		futures = append(futures, sum.Go(ctx, gw, []int{i, 1}))
	}
	for i, f := range futures[:5000] {
		if n, err := f.Wait(ctx); err != nil || n != i+1 {
			t.Fatalf("call %d: %d, %v", i, n, err)
		}
	}
	for range 200 {
		futures = append(futures, gateway.Go[int](ctx, gw, "wait", nil))
	}
	remoteExec(t, gw, "exit", 3)
	for _, f := range futures[5000:] {
		if _, err := f.Wait(ctx); err == nil {
			t.Fatal("a call survived its agent")
		} else if _, lost := errors.AsType[*gateway.LostError](err); !lost {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := sum.Call(ctx, gw, nil); err == nil {
		t.Error("a lost gateway was called")
	}
}

// Calls of a serial function run one after the other.
func TestSerial(t *testing.T) {
	gw := open(t, "popen")
	var futures []*gateway.Future[int]
	for range 20 {
		futures = append(futures, gateway.Go[int](t.Context(), gw, "serial", 0))
	}
	for _, f := range futures {
		if most, err := f.Wait(t.Context()); err != nil || most != 1 {
			t.Errorf("%d ran at once, %v", most, err)
		}
	}
}

// All members are called at once and yield as they answer.
func TestCallEach(t *testing.T) {
	g := newGroup(t, config())
	if _, err := g.OpenAll(t.Context(), "3*popen"); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for gw, r := range gateway.CallEach[int](t.Context(), g, "sum", []int{20, 22}) {
		if r.Err != nil || r.Value != 42 {
			t.Errorf("%v: %d, %v", gw, r.Value, r.Err)
		}
		ids = append(ids, gw.ID())
	}
	if slices.Sort(ids); !slices.Equal(ids, []string{"gw0", "gw1", "gw2"}) {
		t.Errorf("answers of %v", ids)
	}
	typed := 0
	for _, r := range sum.CallEach(t.Context(), g, []int{20, 22}) {
		typed += r.Value
	}
	if typed != 3*42 {
		t.Errorf("the typed calls came to %d", typed)
	}
	for gw, r := range gateway.CallEach[int](t.Context(), g, "wait unless you are", g.At(1).Info().Pid) {
		if gw != g.At(1) || r.Err != nil {
			t.Errorf("%v: %v", gw, r.Err)
		}
		break
	}
	for gw := range g.All() {
		awaitRunning(t, gw)
	}
}

// farCounter is a counter at the controller, whatever agent has it: a proxy with methods around it.
type farCounter struct {
	proxy adding
	calls int
}

type adding struct {
	Add func(context.Context, int) (int, error)
}

func (c *farCounter) Add(ctx context.Context, n int) (int, error) {
	c.calls++
	return c.proxy.Add(ctx, n)
}

func (c *farCounter) String() string { return fmt.Sprint(c.calls, " calls") }

// A type of one's own around a proxy has methods that stay here, and is what an interface wants.
func TestProxyOfOnesOwn(t *testing.T) {
	o, err := gateway.Call[gateway.Object](t.Context(), open(t, "popen"), "counter", 40)
	if err != nil {
		t.Fatal(err)
	}
	far := &farCounter{proxy: gateway.Proxy[adding](o)}
	for i, c := range []interface {
		Add(context.Context, int) (int, error)
	}{far, &counter{n: 40}} {
		if n, err := c.Add(t.Context(), 2); err != nil || n != 42 {
			t.Errorf("%d: %d, %v", i, n, err)
		}
	}
	if far.String() != "1 calls" {
		t.Errorf("the near method says %s", far)
	}
}

// A method is called on many objects at once, whatever gateways they are of.
func TestCallOnEach(t *testing.T) {
	ctx, g := t.Context(), newGroup(t, config())
	gws, err := g.OpenAll(ctx, "3*popen")
	if err != nil {
		t.Fatal(err)
	}
	var all []gateway.Object
	for i, gw := range gws {
		o, err := gateway.Call[gateway.Object](ctx, gw, "counter", 100*i)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	if err := all[1].Close(ctx); err != nil {
		t.Fatal(err)
	}
	got := make(map[gateway.Object]string)
	for o, r := range gateway.CallOnEach[int](ctx, all, "Add", 5) {
		got[o] = fmt.Sprint(r.Value, r.Err != nil)
	}
	if len(got) != 3 || got[all[0]] != "5 false" || got[all[1]] != "0 true" || got[all[2]] != "205 false" {
		t.Errorf("got %v", got)
	}
	for range gateway.CallOnEach[int](ctx, nil, "Add", 5) {
		t.Error("no objects have given a result")
	}
}

// A function may yield many results; a reader that stops ends it.
func TestRange(t *testing.T) { overPlatforms(t, testRange) }

func testRange(t *testing.T, tr transport) {
	gw := tr.open(t)
	var got []int
	for n, err := range gateway.Range[int](t.Context(), gw, "numbers", 4) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if !slices.Equal(got, []int{0, 1, 2, 3}) {
		t.Errorf("got %v", got)
	}
	var last error
	for _, err := range gateway.Range[int](t.Context(), gw, "numbers", 3) {
		last = err
	}
	if !errors.Is(last, errOutOfLuck) {
		t.Errorf("its end is %v", last)
	}
	for n := range gateway.Range[int](t.Context(), gw, "numbers", 1<<30) {
		if n == 1000 {
			break
		}
	}
	awaitRunning(t, gw)
}

// Objects stay where they are made, and are used from here until they are released.
func TestObjects(t *testing.T) { overPlatforms(t, testObjects) }

func testObjects(t *testing.T, tr transport) {
	ctx := t.Context()
	gw := tr.open(t)
	var all []gateway.Object
	for _, n := range []int{100, 200} {
		o, err := gateway.Call[gateway.Object](ctx, gw, "counter", n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	o := all[0]
	if n, err := gateway.CallOn[int](ctx, o, "Add", 5); err != nil || n != 105 {
		t.Errorf("Add: %d, %v", n, err)
	}
	if err := o.Call(ctx, "Add", nil, -1); err == nil {
		t.Error("the method did not fail")
	} else if q, ok := errors.AsType[*quota](err); !ok || q.Used != 105 {
		t.Errorf("Add: %v", err)
	}
	var pair []any
	if err := o.Call(ctx, "Pair", &pair); err != nil || fmt.Sprint(pair) != "[105 pair]" {
		t.Errorf("Pair: %v, %v", pair, err)
	}
	type proxy struct {
		Add  func(context.Context, int) (int, error)
		Name func(context.Context) (string, error) `gateway:"once"`
	}
	p := gateway.Proxy[proxy](o)
	first, err := p.Name(ctx)
	if n, addErr := p.Add(ctx, 1); err != nil || addErr != nil || n != 106 {
		t.Errorf("by a proxy: %d, %v, %v", n, err, addErr)
	}
	if again, err := p.Name(ctx); err != nil || again != first || first != "counter at 105" {
		t.Errorf("what never changes was %q and is %q, %v", first, again, err)
	}
	if n, err := gateway.Call[int](ctx, gw, "value of", all); err != nil || n != 306 {
		t.Errorf("passed as arguments: %d, %v", n, err)
	}
	for method, want := range map[string]string{
		"Many": `has no method "Many"`, "Fork": `has no method "Fork"`,
		"Panic": "panic: in a method", "Add": "and was given 0 arguments",
	} {
		if err := o.Call(ctx, method, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", method, err, want)
		}
	}
	if err := o.Close(ctx); err != nil {
		t.Error(err)
	}
	for _, err := range []error{o.Close(ctx), o.Call(ctx, "Name", nil)} {
		if err == nil || !strings.Contains(err.Error(), "the object was released, or never was") {
			t.Errorf("after its release: %v", err)
		}
	}
	other := tr.open(t)
	if _, err := gateway.Call[int](ctx, other, "value of", all); err == nil || !strings.Contains(err.Error(), "is of another gateway") {
		t.Errorf("on another gateway: %v", err)
	}
	gw.Exit()
	<-gw.Done()
	if err := all[1].Call(ctx, "Name", nil); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("after its gateway: %v", err)
	}
}
