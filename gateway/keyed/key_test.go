package keyed

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// known is a key whose derived values are part of the protocol.
func known(t testing.TB) Key {
	t.Helper()
	k, err := FromBytes([]byte("0123456789abcdef0123456789ABCDEF"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Derived from the key of known by other programs: HKDF from RFC 5869 with Python's hmac, Ed25519
// with openssl pkey.
const (
	wantServer      = "424584b3b878497ded5dd00517cb94f95bd0c37da7f71d5fee30803688a1b3d2"
	wantClient      = "52b7b9c4903c2c980a02f7c48d907d6060f7cc75569ce499f6e73d980598cb2a"
	wantFingerprint = "b52d766b7ccf5ed9"
)

func TestDerivedKeysNeverChange(t *testing.T) {
	k := known(t)
	for _, tc := range []struct{ name, got, want string }{
		{"server", hex.EncodeToString(k.pair(purposeServer).Public().(ed25519.PublicKey)), wantServer},
		{"client", hex.EncodeToString(k.pair(purposeClient).Public().(ed25519.PublicKey)), wantClient},
		{"fingerprint", k.Fingerprint(), wantFingerprint},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, tc.got, tc.want)
		}
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	k := known(t)
	for _, text := range []string{k.String(), fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, k), fmt.Sprintf("%#v", struct{ K Key }{k})} {
		for _, secret := range []string{"0123456789abcdef", "48, 49, 50", "48 49 50", "303132", "0x30, 0x31", "MDEyMzQ1"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q holds the secret", text)
			}
		}
	}
}

func TestParse(t *testing.T) {
	k := known(t)
	line := strings.TrimSpace(string(k.Format("")))
	for _, text := range []string{
		line, line + "\n", line + " a comment = of any kind\n", "\n# a remark\n\n" + line + "\r\n# another\n", " " + line, string(k.Format("a\nb")),
	} {
		got, err := Parse([]byte(text))
		if err != nil || got != k {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, tc := range []struct{ text, want string }{
		{"", "no line begins"},
		{"# only a remark", "no line begins"},
		{line + "\n" + line, "more than one"},
		{strings.Replace(line, "key-1", "key-2", 1), "version"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----", "does not begin"},
		{"xdist-key-1", "nothing follows"},
		{"xdist-key-1 " + strings.Repeat("A", 43) + "=", "all bytes are zero"},
		{"xdist-key-1 c2hvcnQ=", "5 bytes instead of 32"},
		{line + "=", "not base64"},
		{strings.Replace(line, "=", "", 1), "not base64"},
		{strings.Repeat("#", maxFile+1), "more than"},
	} {
		_, err := Parse([]byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %q", tc.text, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "MDEyMzQ1") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("xdist-key-1 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY= comment\n"))
	f.Add([]byte("# x\n\nxdist-key-1 \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := Parse(text)
		if (err == nil) == k.IsZero() {
			t.Fatalf("key %v with error %v", k, err)
		}
		if err != nil {
			return
		}
		again, err := Parse(k.Format("c"))
		if err != nil || again != k {
			t.Fatalf("formatted and parsed again: %v, %v", again, err)
		}
	})
}

func TestFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "team.key")
	k := Generate()
	if err := Create(name, k, "for tests"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Read(name); err != nil || got != k {
		t.Errorf("read: %v, %v", got, err)
	}
	if err := Create(name, Generate(), ""); !errors.Is(err, os.ErrExist) {
		t.Errorf("create over a file: %v", err)
	}
	if after, err := os.ReadFile(name); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
	if _, err := Read(name + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("read of nothing: %v", err)
	}
	if _, err := Read(t.TempDir()); err == nil {
		t.Error("a folder was read as a key")
	}
}

func TestFileThatOthersCanRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: Windows has no modes of files")
	}
	name := filepath.Join(t.TempDir(), "team.key")
	if err := Create(name, Generate(), ""); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("created with mode %v, %v", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(name); err == nil || !strings.Contains(err.Error(), "chmod 600 "+name) {
			t.Errorf("mode %o: got %v", mode, err)
		}
	}
	if err := os.Chmod(name, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(name); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
}

// A key that another user has made is refused: that user knows it.
func TestFileOfAnother(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		t.Skip("skipped: only root of a Unix can give a file away")
	}
	name := filepath.Join(t.TempDir(), "team.key")
	if err := Create(name, Generate(), ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(name, 12345, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(name); err == nil || !strings.Contains(err.Error(), "belongs to another user (uid 12345)") {
		t.Errorf("got %v", err)
	}
}
