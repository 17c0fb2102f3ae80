package chromium

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is for how long a page may let a test wait.
const patience = time.Minute

// Page is a page in a browser. Its methods are for the goroutine of its test.
type Page struct {
	t   *testing.T
	ctx context.Context
	own string // what the addresses begin with that the page may ask for

	mu     sync.Mutex // guards faults
	faults []string
}

// Open opens the page at an address, in a window that is width pixels wide, and 900 high. The test
// is skipped where there is no browser.
func Open(t *testing.T, address string, width int64) *Page {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium (Debian's chromium)")
	}
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()))...)
	p := &Page{t: t, own: origin(address)}
	ctx, closePage := chromedp.NewContext(allocator, chromedp.WithListener(p.listen))
	p.ctx = ctx
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("close the browser: %v", err)
		}
		closePage()
		end()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, fault := range p.faults {
			t.Errorf("%s: %s", address, fault)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // the browser ends with this context
		t.Fatalf("start a browser: %v", err)
	}
	p.Do(chromedp.EmulateViewport(width, 900), chromedp.Navigate(address))
	return p
}

// origin is what an address shares with those that belong to the same page: for a file all of it,
// else the host.
func origin(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	if scheme == "file" {
		file, _, _ := strings.Cut(address, "#")
		return file
	}
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host + "/"
}

func (p *Page) listen(e any) {
	switch e := e.(type) {
	case *runtime.EventConsoleAPICalled:
		for _, arg := range e.Args {
			p.fault("the console says (%s): %s%s", e.Type, arg.Description, arg.Value)
		}
	case *runtime.EventExceptionThrown:
		p.fault("it throws %s: %s", e.ExceptionDetails.Text, e.ExceptionDetails.Exception.Description)
	case *log.EventEntryAdded:
		p.fault("the browser says: %s %s", e.Entry.Text, e.Entry.URL)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, p.own) && !strings.HasPrefix(e.Request.URL, "data:") {
			p.fault("it asks for %s", e.Request.URL)
		}
	}
}

func (p *Page) fault(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

// Do does one thing after the other, and ends the test when that does not work.
func (p *Page) Do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("drive the browser: %v", err)
	}
}

// Dark has the page believe that its reader prefers dark colours.
func (p *Page) Dark() {
	p.t.Helper()
	dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, dark); err != nil {
		p.t.Fatalf("ask the browser for dark colours: %v", err)
	}
}

// Eval is the value of an expression of JavaScript, or of the promise that it is.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := evaluate[T](ctx, expression)
	if err != nil {
		p.t.Fatalf("evaluate %.200s: %v", expression, err)
	}
	return value
}

func evaluate[T any](ctx context.Context, expression string) (T, error) {
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Await waits until an expression of JavaScript is true, of this page or of the one that it has
// itself replaced by.
func (p *Page) Await(condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	promise := "new Promise(done => { const look = () => " + condition + " ? done(true) : setTimeout(look, 10); look(); })"
	for {
		_, err := evaluate[bool](ctx, promise)
		if err == nil {
			return
		}
		if ctx.Err() != nil || !strings.Contains(err.Error(), "navigated") {
			p.t.Fatalf("wait for %s: %v", condition, err)
		}
	}
}

// Count is how many elements a selector matches.
func (p *Page) Count(selector string) int {
	p.t.Helper()
	return Eval[int](p, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// Text is what can be read of all elements that a selector matches.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return Eval[string](p, fmt.Sprintf("Array.from(document.querySelectorAll(%q), e => e.innerText).join(\"\\n\")", selector))
}

// Shown is how many of the elements that a selector matches can be seen.
func (p *Page) Shown(selector string) int {
	p.t.Helper()
	return Eval[int](p, fmt.Sprintf("Array.from(document.querySelectorAll(%q)).filter(e => e.checkVisibility()).length", selector))
}
