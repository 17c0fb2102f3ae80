//go:build unix

package gateway_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

// systemHandlers are the handlers that need more than the portable part of the library.
func systemHandlers() gateway.Handlers {
	return gateway.Handlers{
		"sleeper": startSleeper,
		"deaf": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error { // to everything but SIGKILL
			signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
			if err := ch.Send(ctx, os.Getpid()); err != nil {
				return err
			}
			select {}
		},
	}
}

// startSleeper starts a process in a group of its own that ignores the wish to end, and sends its
// pid.
func startSleeper(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
	cmd := exec.Command("/bin/sh", "-c", "trap '' INT TERM; echo; sleep 1000 & wait; sleep 1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return err
	}
	if err := ch.Send(ctx, cmd.Process.Pid); err != nil {
		return err
	}
	<-ctx.Done()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return cmd.Wait()
}

// controllerMain is a controller that opens the gateways that its arguments describe, starts a
// sleeper in each, prints all pids and waits to be killed.
func controllerMain() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	for _, text := range os.Args[2:] {
		gw, err := g.OpenSpec(ctx, must(xspec.Parse(text)))
		if err != nil {
			panic(err)
		}
		var pid int
		if err := must(gw.RemoteExec(ctx, "sleeper", nil)).Receive(ctx, &pid); err != nil {
			panic(err)
		}
		fmt.Println(gw.Info().Pid)
		fmt.Println(pid)
	}
	fmt.Println("ready")
	select {}
}

// alive reports whether a process exists that is not only waiting to be reaped.
func alive(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && len(out) > 0 && out[0] != 'Z'
}

// awaitGone waits for the process to end, for no longer than d.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.NewTimer(prompt)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-deadline.C:
			t.Errorf("process %d is still there after %v", pid, prompt)
			return
		case <-tick.C:
		}
	}
}

// makeFIFO makes a FIFO, where there are any.
func makeFIFO(t *testing.T, name string) {
	t.Helper()
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
}
