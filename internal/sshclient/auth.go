package sshclient

import (
	"context"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/xdist-go/xdist/internal/cmdline"
)

// authenticator is the way of one connection through authentication.
type authenticator struct {
	ctx     context.Context // of Dial
	host    *Host
	secrets *secrets
	agent   net.Conn // to the ssh agent; nil when there is none
	notes   []string // what was not tried, and why, for the error
	offered []string
	given   string // password that was sent last
	pass    func() // ends this one's turn to ask for the account's password; nil when it has not had it
}

// methods are in the order in which they are tried. close is to be called when authentication is
// over.
func (a *authenticator) methods() []ssh.AuthMethod {
	var methods []ssh.AuthMethod
	if !a.host.noPublicKey {
		methods = append(methods, ssh.PublicKeysCallback(a.signers))
	}
	if a.secrets.ask == nil || a.host.batch {
		return methods
	}
	if !a.host.noInteractive {
		methods = append(methods, ssh.RetryableAuthMethod(ssh.KeyboardInteractive(a.answer), passwordTries))
	}
	if !a.host.noPassword {
		methods = append(methods, ssh.RetryableAuthMethod(ssh.PasswordCallback(a.password), passwordTries))
	}
	return methods
}

func (a *authenticator) close() {
	if a.agent != nil {
		a.agent.Close()
	}
	if a.pass != nil {
		a.pass()
	}
}

// await waits until no other connection to the account is about to find out whether its password is
// right.
func (a *authenticator) await() (err error) {
	if a.pass == nil {
		_, a.pass, err = a.secrets.accounts.Take(a.ctx, a.account())
	}
	return err
}

func (a *authenticator) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// account is whom a password is for.
func (a *authenticator) account() string { return a.host.user + "@" + a.host.name }

func (a *authenticator) password() (string, error) {
	if err := a.await(); err != nil {
		return "", err
	}
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	if known, ok := a.secrets.passwords[a.account()]; ok && a.given == "" {
		a.given = known
		return known, nil
	}
	var err error
	a.given, err = a.secrets.ask(fmt.Sprintf("Password of %s: ", a.account()), false)
	return a.given, err
}

// answer is an ssh.KeyboardInteractiveChallenge.
func (a *authenticator) answer(name, instruction string, questions []string, echos []bool) ([]string, error) {
	if err := a.await(); err != nil {
		return nil, err
	}
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	answers := make([]string, len(questions))
	for i, question := range questions {
		// The host's own words are shown as its, because it could ask for anything.
		text := strings.TrimSpace(strings.Join([]string{name, instruction, question}, " "))
		known, ok := a.secrets.passwords[a.account()]
		if ok && a.given == "" && len(questions) == 1 && !echos[i] {
			a.given, answers[i] = known, known
			continue
		}
		var err error
		if answers[i], err = a.secrets.ask(fmt.Sprintf("%s asks: %s ", a.account(), cmdline.Printable(text)), echos[i]); err != nil {
			return nil, err
		}
		if len(questions) == 1 && !echos[i] {
			a.given = answers[i]
		}
	}
	return answers, nil
}

// succeeded remembers the password for further connections to the host.
func (a *authenticator) succeeded() {
	if a.given == "" {
		return
	}
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	a.secrets.passwords[a.account()] = a.given
}

// denied is the error of a failed authentication. Its words are ssh's own.
func (a *authenticator) denied(err error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Permission denied for user %q", a.host.user)
	if len(a.offered) > 0 {
		fmt.Fprintf(&b, " with %s", strings.Join(a.offered, ", "))
	} else {
		b.WriteString(": there was no key to offer")
	}
	for _, n := range a.notes {
		b.WriteString("; " + n)
	}
	return fmt.Errorf("%s: %w", b.String(), err)
}
