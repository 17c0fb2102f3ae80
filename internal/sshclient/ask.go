package sshclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/procgroup"
)

// answerLimit bounds what ssh -G may take. It resolves names where it makes them canonical, and
// runs the commands of Match exec.
const answerLimit = 30 * time.Second

// lateWait is how long the end of what ssh says may come after the end of ssh: somebody who has
// escaped may hold the pipe.
const lateWait = 200 * time.Millisecond

const (
	// longestAnswer bounds what ssh -G says, in bytes. It is some 3 KB, and more with many keys and
	// certificates.
	longestAnswer = 1 << 20
	// saidLimit is how much is kept of what it writes to standard error, in bytes.
	saidLimit = 16 << 10
)

var errLongAnswer = fmt.Errorf("it has answered more than %d bytes", longestAnswer)

// isOpenSSH reports whether the program is OpenSSH's. Others know no -G, and would connect.
func isOpenSSH(ctx context.Context, program string) bool {
	out, err := runSSH(ctx, program, "-V")
	return err == nil && strings.HasPrefix(out, "OpenSSH")
}

// askSSH has ssh -G tell the effective configuration for a target.
func askSSH(ctx context.Context, program string, t Target) (settings, error) {
	args := []string{"-G", "-T"} // without -T it warns that there is no terminal
	if t.ConfigFile != "" {
		file := t.ConfigFile
		if home, err := os.UserHomeDir(); err == nil {
			file = expandHome(file, home) // as the shell does for ssh
		}
		args = append(args, "-F", file)
	}
	options := t.all()
	for _, keyword := range slices.Sorted(maps.Keys(options)) {
		for _, value := range options[keyword] {
			switch keyword {
			case "user":
				args = append(args, "-l", value)
			case "port":
				args = append(args, "-p", value)
			default:
				args = append(args, "-o", keyword+"="+quoteOption(keyword, value))
			}
		}
	}
	out, err := runSSH(ctx, program, append(args, "--", t.host)...)
	if err != nil {
		return nil, fmt.Errorf("ask ssh for the configuration of host %q: %w", t.host, err)
	}
	s := parseAnswer(out)
	standard := "0"
	if slices.Equal(s["batchmode"], []string{"yes"}) && slices.Equal(s["serveraliveinterval"], []string{"300"}) {
		standard = "300" // of Debian
	}
	if t.options["serveraliveinterval"] == nil && slices.Equal(s["serveraliveinterval"], []string{standard}) {
		delete(s, "serveraliveinterval") // ours is another
	}
	return s, nil
}

// quoteOption writes a value for ssh's -o. Letters such as -i take a name as it is.
func quoteOption(keyword, value string) string {
	if accumulates[keyword] && strings.ContainsAny(value, " \t") && !strings.Contains(value, `"`) {
		return `"` + value + `"`
	}
	return value
}

// runSSH runs ssh without a terminal and returns what it has written. It ends what it has started
// when that takes too long.
func runSSH(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, fmt.Errorf("no answer within %v", answerLimit))
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	out := &atMost{limit: longestAnswer, beyond: func() { refuse(errLongAnswer) }}
	said := &atMost{limit: saidLimit, beyond: func() {}}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = out, said
	if slices.Contains(args, "-V") { // which goes to stderr
		cmd.Stderr = out
	}
	cmd.SysProcAttr = procgroup.Session()
	cmd.Cancel = func() error {
		group, err := procgroup.Adopt(cmd.Process)
		group.Kill()
		return err
	}
	cmd.WaitDelay = lateWait
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if text := strings.TrimSpace(said.kept.String()); err != nil && text != "" {
		err = fmt.Errorf("%w: %s", err, strings.ReplaceAll(text, "\n", "; "))
	}
	return out.kept.String(), err
}

// atMost is a buffer that drops what is beyond its limit, in bytes, and tells of it.
type atMost struct {
	kept   bytes.Buffer
	limit  int
	beyond func()
}

// Write implements io.Writer. It takes all: a program that waits is not better than one that talks.
func (b *atMost) Write(p []byte) (int, error) {
	room := b.limit - b.kept.Len()
	if len(p) > room {
		b.beyond()
	}
	b.kept.Write(p[:min(len(p), room)]) // never fails
	return len(p), nil
}

// parseAnswer reads the lines of ssh -G: a keyword in lower case, a blank, the value as it is.
func parseAnswer(out string) settings {
	s := make(settings)
	for line := range strings.Lines(out) {
		keyword, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		value = strings.ReplaceAll(value, "__PROGRAMDATA__", os.Getenv("PROGRAMDATA")) // as Windows' writes it
		switch keyword {
		case "userknownhostsfile", "globalknownhostsfile", "revokedhostkeys":
			value = quoteFiles(value)
		}
		s[keyword] = append(s[keyword], value)
	}
	if usual := s["identityfile"]; len(usual) > 1 && !slices.ContainsFunc(usualIdentities, func(name string) bool {
		return !slices.Contains(usual, "~/.ssh/"+name)
	}) {
		delete(s, "identityfile") // nobody has named any
	}
	return s
}

// quoteFiles quotes the names in a list of files that ssh has written without quotes. A word that
// begins no path belongs to the name before it.
func quoteFiles(list string) string {
	var names []string
	isPath := regexp.MustCompile(`^([/~%$]|[A-Za-z]:|none$)`).MatchString
	for _, word := range strings.Split(list, " ") {
		if isPath(word) || len(names) == 0 || !isPath(names[len(names)-1]) {
			names = append(names, word)
		} else {
			names[len(names)-1] += " " + word
		}
	}
	return `"` + strings.Join(names, `" "`) + `"`
}

// accountHome is the home directory that ssh takes: that of the account, whatever HOME says.
func accountHome() (string, error) {
	if uid := os.Getuid(); uid >= 0 {
		if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && u.HomeDir != "" {
			return u.HomeDir, nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.Join(errors.New("find the home directory for ssh"), err)
	}
	return home, nil
}
