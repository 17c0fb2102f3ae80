package store

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func TestDigestText(t *testing.T) {
	d := Digest(sha256.Sum256(nil))
	for _, text := range []string{d.String(), d.Hex()} {
		if got, err := ParseDigest(text); got != d || err != nil {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	var back Digest
	if text, err := d.MarshalText(); err != nil || back.UnmarshalText(text) != nil || back != d {
		t.Errorf("%s, %v, back %s", text, err, back)
	}
	for _, text := range []string{"", "sha256-", "sha256-../../x", d.Hex()[1:], d.Hex() + "0", strings.ToUpper(d.Hex()), "md5-" + d.Hex(),
		"sha256-sha256-" + d.Hex(), d.Hex()[:62] + "..", d.Hex() + "/", strings.Repeat("0", 1<<20)} {
		got, err := ParseDigest(text)
		if err == nil || got != (Digest{}) {
			t.Errorf("%.80q gives %s, %v", text, got, err)
		} else if len(err.Error()) > 300 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}
