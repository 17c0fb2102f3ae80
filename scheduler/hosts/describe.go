package hosts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// DescribeHost is the agent's answer to a controller that wants to know where it is. For a mirror
// it makes the directory that holds it, which nobody else may enter.
func DescribeHost(ctx context.Context, ch *gateway.Channel, item gateway.Item) error {
	var args wire.HostArgs
	if err := item.Decode(&args); err != nil {
		return fmt.Errorf("read the arguments: %w", err)
	}
	report := wire.HostReport{Clock: time.Now().UnixNano()}
	if args.Examine {
		facts := examineHost(ctx, args.Place)
		report.Facts = &facts
	}
	if args.Mirror != "" {
		var err error
		report.Token, err = tokenIn(filepath.Dir(args.Mirror))
		if errors.Is(err, errTaken) {
			report.Taken = err.Error()
		} else if err != nil {
			return err
		}
	}
	return ch.Send(ctx, report)
}

// patience is for how long a host may be there and give no answer. It makes a directory and a file
// for that, on a disk that may hang.
const patience = 5 * time.Minute

// askHost runs DescribeHost in the agent of a gateway. One that gives no answer in time is
// ErrSilent.
func askHost(ctx context.Context, gw *gateway.Gateway, args wire.HostArgs, patience time.Duration) (report wire.HostReport, err error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ch, err := gw.RemoteExec(waiting, wire.HostHandler, args)
	if err == nil {
		defer ch.Close()
		err = ch.Receive(waiting, &report)
	}
	switch {
	case err != nil && waiting.Err() != nil && ctx.Err() == nil:
		return report, fmt.Errorf("ask what it is: %w for %v", ErrSilent, patience)
	case len(report.Token) > longestToken:
		return report, fmt.Errorf("ask what it is: it calls itself by %d bytes", len(report.Token))
	}
	return report, err
}

// longestToken bounds a token, of which an agent can say what it likes, in bytes. They have 26.
const longestToken = 128

// errTaken says that somebody else has a directory of the name that a mirror is to have.
var errTaken = errors.New("it belongs to another user, or is no directory")

// tokenFile holds the token in the directory of a mirror.
const tokenFile = "host"

// tokenLimit bounds a token, in bytes. It has 26.
const tokenLimit = 1 << 10

// tokenIn returns the token of a directory, and makes both when they are missing.
func tokenIn(dir string) (string, error) {
	_, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(dir), 0o700); err == nil {
			err = os.Mkdir(dir, 0o700) // follows no link, as MkdirAll would
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make the directory for the mirror: %w", err)
	}
	if !isOurDir(dir) {
		return "", fmt.Errorf("use %s for the mirror: %w", dir, errTaken)
	}
	if err := checkPrivate(dir); err != nil {
		return "", fmt.Errorf("use %s for the mirror: %w", dir, err)
	}
	if err := ownfile.CheckDir(dir); err != nil {
		return "", fmt.Errorf("use %s for the mirror (--mirror-dir): %w", dir, err)
	}
	name := filepath.Join(dir, tokenFile)
	if token, err := ownfile.Read(name, tokenLimit); err == nil && len(token) > 0 {
		return string(token), nil
	}
	// A link takes its name only once, with all of its content: of several agents that begin here
	// one wins.
	temp, err := os.CreateTemp(dir, tokenFile)
	if err != nil {
		return "", fmt.Errorf("mark the directory of the mirror: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(rand.Text())
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Link(temp.Name(), name)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("mark the directory of the mirror: %w", err)
	}
	token, err := ownfile.Read(name, tokenLimit)
	if err != nil {
		return "", fmt.Errorf("read the mark of the mirror's directory: %w", err)
	}
	return string(token), nil
}
