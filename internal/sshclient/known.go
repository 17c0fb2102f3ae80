package sshclient

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownHosts are the lines of files of known hosts, in the format of sshd(8).
type knownHosts []knownLine

// knownLine is a line that could be read.
type knownLine struct {
	file   string
	number int
	marker string   // cert-authority, revoked, or empty
	hosts  []string // patterns, or hashed names
	key    ssh.PublicKey
}

// readKnownHosts reads files. As in ssh, one that cannot be read holds nothing.
func readKnownHosts(files []string) knownHosts {
	var known knownHosts
	for _, file := range files {
		if content, err := readFile(file); err == nil {
			known = append(known, parseKnownHosts(file, content)...)
		}
	}
	return known
}

// parseKnownHosts reads a file's lines. As in ssh, those that make no sense are passed over.
func parseKnownHosts(file string, content []byte) knownHosts {
	var known knownHosts
	for i, line := range bytes.Split(content, []byte("\n")) {
		marker, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
		if err == nil && slices.Contains([]string{"", "cert-authority", "revoked"}, marker) {
			known = append(known, knownLine{file, i + 1, marker, hosts, key})
		}
	}
	return known
}

// of returns the lines with a marker for a host, which is named as ssh writes it: host, or
// [host]:port.
func (k knownHosts) of(name, marker string) knownHosts {
	var found knownHosts
	for _, l := range k {
		if l.marker == marker && l.names(strings.ToLower(name)) {
			found = append(found, l)
		}
	}
	return found
}

// with returns the first line that has this key, or nil.
func (k knownHosts) with(key ssh.PublicKey) *knownLine {
	for i := range k {
		if bytes.Equal(k[i].key.Marshal(), key.Marshal()) {
			return &k[i]
		}
	}
	return nil
}

// revoked reports whether a key must not be used, whatever its host.
func (k knownHosts) revoked(key ssh.PublicKey) bool {
	return slices.ContainsFunc(k, func(l knownLine) bool {
		return l.marker == "revoked" && bytes.Equal(l.key.Marshal(), key.Marshal())
	})
}

// names reports whether the line is for a host, in lower case.
func (l *knownLine) names(host string) bool {
	if strings.HasPrefix(l.hosts[0], "|") {
		return isHashOf(l.hosts[0], host)
	}
	patterns := make([]string, len(l.hosts))
	for i, p := range l.hosts {
		patterns[i] = strings.ToLower(p)
	}
	return matchPatterns(host, patterns)
}

// isHashOf reads |1|salt|hash, where the hash is HMAC-SHA1 of the name, both in base64.
func isHashOf(hashed, host string) bool {
	parts := strings.Split(hashed, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(host))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)) == parts[3]
}
