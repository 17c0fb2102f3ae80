package sshclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/cmdline"
)

const (
	// aliveInterval and aliveCount say how soon a connection is given up that does not answer,
	// where the configuration does not: after 15 s.
	aliveInterval = 5 * time.Second
	aliveCount    = 3
	// jumpsAtMost bounds jump hosts that are behind jump hosts.
	jumpsAtMost = 8
)

// usualIdentities are the names in ~/.ssh of the keys that are offered where none is named.
var usualIdentities = []string{"id_rsa", "id_ecdsa", "id_ed25519"}

// settings are the values of keywords for one host. Keywords are in lower case.
type settings map[string][]string

// reader reads the settings of one host and keeps the first error.
type reader struct {
	settings
	alias, home string
	err         error
}

// text is the first value, without the quotes around it.
func (r *reader) text(keyword string) string {
	for _, v := range r.settings[keyword] {
		return unquote(v)
	}
	return ""
}

// isNo and isYes know the words of ssh's files, and those of ssh -G.
func (r *reader) isNo(keyword string) bool {
	return slices.Contains([]string{"no", "false"}, strings.ToLower(r.text(keyword)))
}

func (r *reader) isYes(keyword string) bool {
	return slices.Contains([]string{"yes", "true"}, strings.ToLower(r.text(keyword)))
}

// duration is the value as a time, or d.
func (r *reader) duration(keyword string, d time.Duration) time.Duration {
	text := r.text(keyword)
	if text == "" || text == "none" {
		return d
	}
	t, err := parseTime(text)
	if err != nil {
		r.fail("%s %q for host %q: %w", keyword, text, r.alias, err)
	}
	return t
}

// fail keeps the first error.
func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// timeUnits are the letters that follow a number of seconds, minutes and so on.
var timeUnits = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

// parseTime reads a time as ssh writes it: 90, 1m30s, 2H.
func parseTime(text string) (total time.Duration, err error) {
	for rest := strings.ToLower(text); rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseUint(rest[:digits], 10, 31)
		unit := time.Second
		if rest = rest[digits:]; rest != "" {
			unit = timeUnits[rest[0]]
			rest = rest[1:]
		}
		if err != nil || unit == 0 || time.Duration(n) > (math.MaxInt64-total)/unit {
			return 0, errors.New("it is no time such as 90 or 1m30s")
		}
		total += time.Duration(n) * unit
	}
	return total, nil
}

// resolve is for a target at this depth of jump hosts.
func (l *lookup) resolve(ctx context.Context, t Target, depth int) (Host, error) {
	settings, home, err := l.settings(ctx, t)
	if err != nil {
		return Host{}, err
	}
	r := &reader{settings: settings, alias: t.host, home: home}
	h := Host{
		alias: t.host, name: cmp.Or(r.text("hostname"), t.host),
		port: cmp.Or(r.text("port"), "22"), user: cmp.Or(r.text("user"), localUser()),
	}
	r.identities(&h)
	r.hostKeys(&h)
	h.batch = r.isYes("batchmode")
	h.connectTimeout = r.duration("connecttimeout", 0)
	h.aliveInterval = r.duration("serveraliveinterval", aliveInterval)
	if h.aliveCount, err = strconv.Atoi(cmp.Or(r.text("serveralivecountmax"), strconv.Itoa(aliveCount))); err != nil {
		r.fail("serveralivecountmax for host %q: %w", r.alias, err)
	}
	h.aliveCount = max(1, h.aliveCount)
	r.command(&h)
	if r.err == nil {
		r.err = l.jumps(ctx, r.text("proxyjump"), t, &h, depth)
	}
	return h, cmp.Or(r.err, checkPort(h.port))
}

func (r *reader) identities(h *Host) {
	h.identitiesOnly = r.isYes("identitiesonly")
	h.noPublicKey = r.isNo("pubkeyauthentication")
	h.noPassword = r.isNo("passwordauthentication")
	h.noInteractive = r.isNo("kbdinteractiveauthentication")
	for _, v := range r.settings["identityfile"] {
		if name := unquote(v); !strings.EqualFold(name, "none") {
			h.identityFiles = append(h.identityFiles, r.path(name, h))
		}
		h.identitiesGiven = true
	}
	if !h.identitiesGiven {
		for _, name := range usualIdentities {
			h.identityFiles = append(h.identityFiles, filepath.Join(r.home, ".ssh", name))
		}
	}
	for _, v := range r.settings["certificatefile"] {
		if name := unquote(v); !strings.EqualFold(name, "none") {
			h.certificates = append(h.certificates, r.path(name, h))
		}
	}
	switch agent := r.text("identityagent"); {
	case agent == "" || agent == "SSH_AUTH_SOCK":
		h.identityAgent = os.Getenv("SSH_AUTH_SOCK")
	case strings.EqualFold(agent, "none"):
	default:
		h.identityAgent = r.path(agent, h)
	}
}

func (r *reader) hostKeys(h *Host) {
	h.keyAlias = r.text("hostkeyalias")
	h.hashNames = r.isYes("hashknownhosts")
	h.userKnownHosts = r.paths("userknownhostsfile", h, filepath.Join(r.home, ".ssh", "known_hosts"), filepath.Join(r.home, ".ssh", "known_hosts2"))
	h.globalKnownHosts = r.paths("globalknownhostsfile", h, "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
	h.revokedHostKeys = r.paths("revokedhostkeys", h)
	switch strict := strings.ToLower(r.text("stricthostkeychecking")); strict {
	case "", "yes", "ask", "true":
	case "accept-new", "no", "off", "false": // there is no way to check nothing
		h.strict = acceptNew
	default:
		r.fail("StrictHostKeyChecking %q for host %q is none of yes, ask, accept-new, no", strict, r.alias)
	}
}

// paths are the files of a keyword that takes several in one value.
func (r *reader) paths(keyword string, h *Host, standard ...string) []string {
	values := r.settings[keyword]
	if len(values) == 0 {
		return standard
	}
	words, err := cmdline.Split(values[0], false)
	if err != nil {
		r.fail("%s for host %q: %w", keyword, r.alias, err)
	}
	var names []string
	for _, w := range words {
		if !strings.EqualFold(w, "none") {
			names = append(names, r.path(w, h))
		}
	}
	return names
}

// path replaces ssh's tokens, ${NAME} and ~ in a file's name.
func (r *reader) path(name string, h *Host) string {
	name = strings.NewReplacer("%%", "%", "%d", r.home, "%h", h.name, "%n", h.alias, "%p", h.port, "%r", h.user, "%u", localUser()).Replace(name)
	if rest, ok := strings.CutPrefix(name, "$"); ok && !strings.HasPrefix(rest, "{") {
		return os.Getenv(rest)
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(name, "${")
		variable, after, closed := strings.Cut(rest, "}")
		b.WriteString(before)
		if !ok || !closed {
			return expandHome(b.String(), r.home)
		}
		b.WriteString(os.Getenv(variable))
		name = after
	}
}

// command is the program that connects to the host, if one does.
func (r *reader) command(h *Host) {
	command := r.text("proxycommand")
	if command == "" || strings.EqualFold(command, "none") {
		return
	}
	if r.isYes("proxyusefdpass") {
		r.fail("host %q has ProxyUseFdpass, which is not supported: use a ProxyCommand that copies bytes", r.alias)
	}
	h.command = strings.NewReplacer("%%", "%", "%h", h.name, "%n", h.alias, "%p", h.port, "%r", h.user).Replace(command)
}

// jumps finds the hosts on the way to h: the last in the list, behind the others. A host that is in
// the list itself, by a pattern that was meant for all others, is behind those before it.
func (l *lookup) jumps(ctx context.Context, jump string, t Target, h *Host, depth int) error {
	targets, err := parseJump(jump)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(targets, func(via Target) bool { return via.host == t.host }); i >= 0 {
		targets = targets[:i]
	}
	if len(targets) == 0 {
		return nil
	}
	if depth >= jumpsAtMost {
		return fmt.Errorf("host %q is behind more than %d jump hosts", t.host, jumpsAtMost)
	}
	last := len(targets) - 1
	via := targets[last]
	via.ConfigFile = t.ConfigFile
	if last > 0 { // whatever its own configuration says
		via.options["proxyjump"] = []string{strings.Join(strings.Split(jump, ",")[:last], ",")}
	}
	hop, err := l.resolve(ctx, via, depth+1)
	h.jumps = append(hop.jumps, hop)
	h.jumps[len(h.jumps)-1].jumps = nil
	return err
}

// unquote removes quotes around all of a value.
func unquote(v string) string {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}

func expandHome(name, home string) string {
	if name == "~" {
		return home
	}
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return name
}

// localUser is the name of the user who runs this, without a Windows domain.
func localUser() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name[strings.LastIndexByte(name, '\\')+1:]
}
