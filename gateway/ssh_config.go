package gateway

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/kevinburke/ssh_config"
)

// strictness is what to do with a host whose key is not known. A changed key is refused always.
type strictness int

const (
	refuseUnknown strictness = iota
	acceptNew
)

// sshHost is everything that is to be known for a connection, from the spec and from the
// configuration.
type sshHost struct {
	alias      string // as the user names it
	name       string // to connect to
	port, user string

	identityFiles   []string
	identitiesGiven bool   // the files were named by somebody, and are not the usual ones
	identitiesOnly  bool   // offer no other keys of an agent
	identityAgent   string // socket of the agent; empty for none
	noPublicKey     bool
	noPassword      bool
	noInteractive   bool
	batch           bool // ask nothing

	keyAlias         string // name in the files of known hosts; empty for name and port
	userKnownHosts   []string
	globalKnownHosts []string
	strict           strictness

	connectTimeout time.Duration // 0 is none of its own
	aliveInterval  time.Duration
	aliveCount     int

	jumps []sshHost // to go through, the nearest first
}

const (
	// aliveInterval and aliveCount say how soon a connection is given up that does not answer,
	// where the configuration does not: as soon as the lease of a gateway would.
	aliveInterval = 5 * time.Second
	aliveCount    = 3
	// jumpsAtMost bounds jump hosts that are behind jump hosts.
	jumpsAtMost = 8
)

// addr is host:port.
func (h *sshHost) addr() string { return net.JoinHostPort(h.name, h.port) }

// sshSettings looks up keywords for a host: in the options of the spec, then in files.
type sshSettings struct {
	options map[string][]string
	files   []*ssh_config.Config
	home    string
}

// loadSSHConfig reads the named file of configuration, or the user's and the system's.
func loadSSHConfig(file, home string) ([]*ssh_config.Config, error) {
	if strings.EqualFold(file, "none") {
		return nil, nil
	}
	names := []string{filepath.Join(home, ".ssh", "config")}
	if runtime.GOOS == "windows" {
		names = append(names, filepath.Join(os.Getenv("PROGRAMDATA"), "ssh", "ssh_config"))
	} else {
		names = append(names, "/etc/ssh/ssh_config")
	}
	if file != "" {
		names = []string{expandHome(file, home)}
	}
	var configs []*ssh_config.Config
	for _, name := range names {
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) && file == "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read ssh configuration: %w", err)
		}
		c, err := ssh_config.Decode(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("read ssh configuration %s: %w", name, err)
		}
		configs = append(configs, c)
	}
	return configs, nil
}

// all returns the values of a keyword for the host with this alias.
func (s *sshSettings) all(alias, keyword string) ([]string, error) {
	values := s.options[strings.ToLower(keyword)]
	for _, c := range s.files {
		more, err := c.GetAll(alias, keyword)
		if err != nil {
			return nil, fmt.Errorf("look up %s for host %q: %w", keyword, alias, err)
		}
		values = append(values[:len(values):len(values)], more...)
	}
	for i, v := range values {
		values[i] = strings.TrimSpace(v)
	}
	return values, nil
}

// sshReader reads the settings of one host and keeps the first error.
type sshReader struct {
	*sshSettings
	alias string
	err   error
}

func (r *sshReader) values(keyword string) []string {
	values, err := r.all(r.alias, keyword)
	if r.err == nil {
		r.err = err
	}
	return values
}

// text is the first value, without the quotes around it.
func (r *sshReader) text(keyword string) string {
	values := r.values(keyword)
	if len(values) == 0 {
		return ""
	}
	return unquote(values[0])
}

func (r *sshReader) isNo(keyword string) bool  { return strings.EqualFold(r.text(keyword), "no") }
func (r *sshReader) isYes(keyword string) bool { return strings.EqualFold(r.text(keyword), "yes") }

// number is the value in whole numbers, or d.
func (r *sshReader) number(keyword string, d int) int {
	text := r.text(keyword)
	if text == "" {
		return d
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "s"))
	if (err != nil || n < 0) && r.err == nil {
		r.err = fmt.Errorf("%s %q for host %q is not a whole number", keyword, text, r.alias)
	}
	return n
}

// resolveSSH says how to reach the target.
func resolveSSH(t sshTarget) (sshHost, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return sshHost{}, fmt.Errorf("find the home directory for ssh: %w", err)
	}
	files, err := loadSSHConfig(t.configFile, home)
	if err != nil {
		return sshHost{}, err
	}
	return (&sshSettings{files: files, home: home}).resolve(t, 0)
}

// resolve is for a target at this depth of jump hosts.
func (s *sshSettings) resolve(t sshTarget, depth int) (sshHost, error) {
	r := &sshReader{sshSettings: &sshSettings{options: t.options, files: s.files, home: s.home}, alias: t.host}
	h := sshHost{alias: t.host, name: r.text("HostName"), user: t.user, port: t.port}
	if h.name == "" {
		h.name = h.alias
	}
	h.name = strings.NewReplacer("%h", h.alias, "%%", "%").Replace(h.name)
	if h.port == "" {
		h.port = cmp.Or(r.text("Port"), "22")
	}
	if h.user == "" {
		h.user = cmp.Or(r.text("User"), localUser())
	}
	r.identities(&h)
	r.hostKeys(&h)
	h.batch = r.isYes("BatchMode")
	h.connectTimeout = time.Duration(r.number("ConnectTimeout", 0)) * time.Second
	h.aliveInterval = time.Duration(r.number("ServerAliveInterval", int(aliveInterval/time.Second))) * time.Second
	h.aliveCount = max(1, r.number("ServerAliveCountMax", aliveCount))
	if r.err == nil {
		r.jumps(&h, depth)
	}
	if r.err != nil {
		return h, r.err
	}
	return h, checkPort(h.port)
}

func (r *sshReader) identities(h *sshHost) {
	h.identitiesOnly = r.isYes("IdentitiesOnly")
	h.noPublicKey = r.isNo("PubkeyAuthentication")
	h.noPassword = r.isNo("PasswordAuthentication")
	h.noInteractive = r.isNo("KbdInteractiveAuthentication")
	for _, v := range r.values("IdentityFile") {
		if name := unquote(v); !strings.EqualFold(name, "none") {
			h.identityFiles = append(h.identityFiles, r.path(name, h))
		}
		h.identitiesGiven = true
	}
	if !h.identitiesGiven {
		for _, name := range []string{"id_rsa", "id_ecdsa", "id_ed25519"} {
			h.identityFiles = append(h.identityFiles, filepath.Join(r.home, ".ssh", name))
		}
	}
	switch agent := r.text("IdentityAgent"); {
	case agent == "" || agent == "SSH_AUTH_SOCK":
		h.identityAgent = os.Getenv("SSH_AUTH_SOCK")
	case strings.EqualFold(agent, "none"):
	default:
		h.identityAgent = r.path(agent, h)
	}
}

func (r *sshReader) hostKeys(h *sshHost) {
	h.keyAlias = r.text("HostKeyAlias")
	h.userKnownHosts = r.paths("UserKnownHostsFile", h, filepath.Join(r.home, ".ssh", "known_hosts"), filepath.Join(r.home, ".ssh", "known_hosts2"))
	h.globalKnownHosts = r.paths("GlobalKnownHostsFile", h, "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
	switch strict := strings.ToLower(r.text("StrictHostKeyChecking")); strict {
	case "", "yes", "ask", "true":
	case "accept-new", "no", "off", "false": // there is no way to check nothing
		h.strict = acceptNew
	default:
		if r.err == nil {
			r.err = fmt.Errorf("StrictHostKeyChecking %q for host %q is none of yes, ask, accept-new, no", strict, r.alias)
		}
	}
}

// paths are the files of a keyword that takes several in one value.
func (r *sshReader) paths(keyword string, h *sshHost, standard ...string) []string {
	values := r.values(keyword)
	if len(values) == 0 {
		return standard
	}
	words, err := splitWords(values[0], false)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s for host %q: %w", keyword, r.alias, err)
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
func (r *sshReader) path(name string, h *sshHost) string {
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

func (r *sshReader) jumps(h *sshHost, depth int) {
	jump := r.text("ProxyJump")
	if command := r.text("ProxyCommand"); jump == "" && command != "" && !strings.EqualFold(command, "none") {
		r.err = fmt.Errorf("host %q has a ProxyCommand, which is not supported: use ProxyJump, or cmd=ssh %s sh", r.alias, r.alias)
		return
	}
	if jump == "" {
		return
	}
	targets, err := parseJump(jump)
	if err != nil {
		r.err = err
		return
	}
	if depth >= jumpsAtMost {
		r.err = fmt.Errorf("host %q is behind more than %d jump hosts", r.alias, jumpsAtMost)
		return
	}
	for i, t := range targets {
		if t.host == r.alias { // by a pattern that was meant for all others
			continue
		}
		if i > 0 { // it is reached from the one before, whatever its own configuration says
			t.options["proxyjump"] = []string{"none"}
		}
		hop, err := r.resolve(t, depth+1)
		if err != nil {
			r.err = err
			return
		}
		h.jumps = append(append(h.jumps, hop.jumps...), hop)
		h.jumps[len(h.jumps)-1].jumps = nil
	}
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
