package sshclient

import (
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"

	"github.com/xdist-go/xdist/internal/cmdline"
)

// Target is a destination with its options as the user gives them, before any configuration is
// looked at. ParseTarget makes it; the zero value is of no use.
type Target struct {
	host       string              // as given, the alias that configuration goes by
	user, port string              // empty when not given
	options    map[string][]string // by lower-case keyword: -o and the letters that stand for it
	ConfigFile string              // of -F: read in the place of the user's and the system's, none for no file; empty for those
}

// optionKeys are the keywords that -o takes. What is not among them is refused: an option that
// somebody gave and that does nothing would be a lie. doc.go lists the exceptions.
var optionKeys = map[string]bool{
	"addkeystoagent": true, "batchmode": true, "certificatefile": true, "connecttimeout": true, "forwardagent": true,
	"globalknownhostsfile": true, "hashknownhosts": true, "hostkeyalias": true, "hostname": true, "identitiesonly": true, "identityagent": true, "identityfile": true,
	"loglevel": true, "numberofpasswordprompts": true, "passwordauthentication": true, "kbdinteractiveauthentication": true, "port": true,
	"proxycommand": true, "proxyjump": true, "pubkeyauthentication": true, "requesttty": true, "revokedhostkeys": true, "serveralivecountmax": true, "serveraliveinterval": true,
	"stricthostkeychecking": true, "user": true, "userknownhostsfile": true,
}

// optionLetters are ssh's letters with a value, and the keywords that they stand for.
var optionLetters = map[byte]string{'p': "port", 'l': "user", 'i': "identityfile", 'J': "proxyjump", 'o': "", 'F': ""}

// ignoredLetters are ssh's letters that change nothing here: no terminal, no forwarding, quiet,
// verbose.
const ignoredLetters = "aknqTvx"

// ParseTarget reads a destination as it follows ssh on a command line: options, then
// [user@]host[:port]. An IPv6 address with a port is between brackets. It looks at nothing but the
// text. An option that is not known here is an error, and so are a command after the host and a
// text without a host.
func ParseTarget(text string) (Target, error) {
	t := Target{options: make(map[string][]string)}
	words, err := cmdline.Split(text, false)
	if err != nil {
		return t, fmt.Errorf("parse ssh destination %q: %w", text, err)
	}
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		if words[0] == "--" {
			words = words[1:]
			break
		}
		if words, err = t.letters(words[0][1:], words[1:]); err != nil {
			return t, fmt.Errorf("parse ssh destination %q: %w", text, err)
		}
	}
	switch len(words) {
	case 0:
		err = fmt.Errorf("it names no host")
	case 1:
		err = t.destination(words[0])
	default:
		err = fmt.Errorf("%q follows the host; options go before it, and a command has no place", words[1])
	}
	if err != nil {
		return t, fmt.Errorf("parse ssh destination %q: %w", text, err)
	}
	return t, nil
}

// all are the options with the user and the port that the destination names, which win.
func (t *Target) all() map[string][]string {
	all := maps.Clone(t.options)
	for keyword, value := range map[string]string{"user": t.user, "port": t.port} {
		if value != "" {
			all[keyword] = []string{value}
		}
	}
	return all
}

// letters reads one word of options, whose last may take its value from the words that follow. It
// returns those that are left.
func (t *Target) letters(word string, rest []string) ([]string, error) {
	for i := range len(word) {
		letter := word[i]
		if strings.IndexByte(ignoredLetters, letter) >= 0 {
			continue
		}
		keyword, ok := optionLetters[letter]
		if !ok {
			return nil, fmt.Errorf("option -%c is not supported", letter)
		}
		value := word[i+1:]
		if value == "" {
			if len(rest) == 0 {
				return nil, fmt.Errorf("option -%c needs a value", letter)
			}
			value, rest = rest[0], rest[1:]
		}
		switch letter {
		case 'F':
			t.ConfigFile = value
			return rest, nil
		case 'o':
			return rest, t.keyword(value)
		}
		return rest, t.option(keyword, value)
	}
	return rest, nil
}

// keyword reads the value of -o: keyword=value, or with a blank between them.
func (t *Target) keyword(text string) error {
	i := strings.IndexAny(text, "= \t")
	if i < 0 {
		return fmt.Errorf("option -o %q is not KEYWORD=VALUE", text)
	}
	key, value := text[:i], strings.Trim(text[i:], "= \t")
	if !optionKeys[strings.ToLower(key)] {
		return fmt.Errorf("option -o %s is not supported", key)
	}
	return t.option(strings.ToLower(key), value)
}

// option adds a value. The first that is given counts, as in ssh, but all identity files do.
func (t *Target) option(keyword, value string) error {
	if value == "" {
		return fmt.Errorf("option %s needs a value", keyword)
	}
	if keyword == "port" {
		if err := checkPort(value); err != nil {
			return err
		}
	}
	t.options[keyword] = append(t.options[keyword], value)
	return nil
}

func checkPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return nil
}

// destination reads [user@]host[:port]. An IPv6 address with a port is between brackets.
func (t *Target) destination(text string) error {
	host := text
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		t.user, host = text[:i], text[i+1:]
		if t.user == "" {
			return fmt.Errorf("%q has no user before @", text)
		}
	}
	bare, isBare := strings.CutPrefix(host, "[")
	switch {
	case isBare && strings.HasSuffix(bare, "]"):
		host = strings.TrimSuffix(bare, "]")
	case strings.Count(host, ":") == 1 || isBare:
		var err error
		if host, t.port, err = net.SplitHostPort(host); err != nil {
			return err
		}
		if err := checkPort(t.port); err != nil {
			return err
		}
	}
	if host == "" || strings.HasPrefix(host, "-") || strings.ContainsAny(host, "[]/ \t\r\n\x00") {
		return fmt.Errorf("%q is no host", host)
	}
	t.host = host
	return nil
}

// parseJump reads the value of ProxyJump: destinations separated by commas, the nearest first.
func parseJump(text string) ([]Target, error) {
	if text == "" || strings.EqualFold(text, "none") {
		return nil, nil
	}
	var hops []Target
	for part := range strings.SplitSeq(text, ",") {
		t := Target{options: make(map[string][]string)}
		if err := t.destination(strings.TrimPrefix(strings.TrimSpace(part), "ssh://")); err != nil {
			return nil, fmt.Errorf("parse jump host %q: %w", part, err)
		}
		hops = append(hops, t)
	}
	return hops, nil
}
