package sshclient

import "testing"

func FuzzKnownHosts(f *testing.F) {
	const key = " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
	for _, text := range []string{"box" + key, "@revoked *" + key, "|1|YQ==|YQ==" + key, "!a,[b]:*,," + key, "@x y z", "||" + key} {
		f.Add(text, "[box]:22")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		known := parseKnownHosts("known_hosts", []byte(text))
		for _, l := range known.of(name, "") { // must not panic
			if l.marker != "" || known.of(name, "").with(l.key) == nil {
				t.Errorf("%q: line %d is not found again", text, l.number)
			}
		}
	})
}
