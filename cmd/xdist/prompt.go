package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
)

// newPrompt returns how to ask the user for a secret on the terminal, or nil where nobody would
// answer: in CI, or where standard input or standard error is no terminal. Cancelling ctx ends a
// question, with the terminal as it was before. Meanwhile keys are not read by anybody else.
func newPrompt(ctx context.Context, keys *keyboard) func(question string, echo bool) (string, error) {
	if os.Getenv("CI") != "" || !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return func(question string, echo bool) (string, error) {
		keys.lend()
		defer keys.takeBack()
		answer, err := askTerminal(ctx, question, echo)
		if err != nil {
			return "", fmt.Errorf("ask on the terminal: %w", err)
		}
		return answer, nil
	}
}

// askTerminal asks on the terminal itself, because standard output may go elsewhere. When ctx ends,
// the goroutine that reads is left behind: it ends with the user's next line, or with the process.
func askTerminal(ctx context.Context, question string, echo bool) (string, error) {
	in, out, err := openTerminal()
	if err != nil {
		return "", err
	}
	state, err := term.GetState(int(in.Fd()))
	if err == nil && !echo {
		err = hideTyping(int(in.Fd())) // first: an answer may come as soon as there is a question
	}
	if err == nil {
		_, err = io.WriteString(out, "\r"+question)
	}
	if err != nil {
		return "", errors.Join(err, in.Close(), out.Close())
	}
	type result struct {
		answer string
		err    error
	}
	answeredc := make(chan result, 1)
	go func() {
		var r result
		if echo {
			r.answer, r.err = bufio.NewReader(in).ReadString('\n')
		} else {
			r.answer, r.err = readSecret(in)
		}
		r.answer = strings.TrimRight(r.answer, "\n")
		answeredc <- r
	}()
	select {
	case r := <-answeredc:
		if !echo {
			io.WriteString(out, "\n") // the one that the user has typed was not shown
		}
		return r.answer, errors.Join(r.err, term.Restore(int(in.Fd()), state), in.Close(), out.Close())
	case <-ctx.Done():
		io.WriteString(out, "\n")
		return "", errors.Join(context.Cause(ctx), term.Restore(int(in.Fd()), state))
	}
}

// openTerminal opens the terminal that the process belongs to.
func openTerminal() (in, out *os.File, err error) {
	names := [2]string{"/dev/tty", "/dev/tty"}
	if runtime.GOOS == "windows" {
		names = [2]string{"CONIN$", "CONOUT$"}
	}
	if in, err = os.OpenFile(names[0], os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	if out, err = os.OpenFile(names[1], os.O_RDWR, 0); err != nil {
		return nil, nil, errors.Join(err, in.Close())
	}
	return in, out, nil
}
