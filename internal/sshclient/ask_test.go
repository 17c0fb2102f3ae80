//go:build unix

package sshclient

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeSSH puts a script in the place of ssh, and HOME where no configuration is.
func fakeSSH(t *testing.T, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\ncd "+dir+"\necho \"$*\" >>asked\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("HOME", dir)
	return dir
}

// TestAskSSH: the options of a spec reach ssh, which is asked once.
func TestAskSSH(t *testing.T) {
	dir := fakeSSH(t, `case $1 in -V) echo OpenSSH_9.9 >&2;; *) printf 'hostname tgt\nport 7\nuserknownhostsfile /a b /c\n';; esac`)
	target, err := ParseTarget("-F ~/cfg -i 'a b' -p 9 -o ConnectTimeout=1m me@box")
	if err != nil {
		t.Fatal(err)
	}
	var l lookup
	for range 3 {
		h, err := l.host(t.Context(), target)
		if err != nil || h.addr() != "tgt:7" || len(h.userKnownHosts) != 2 || h.userKnownHosts[0] != "/a b" {
			t.Errorf("got %+v, %v", h, err)
		}
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	want := "-V\n-G -T -F " + dir + "/cfg -o connecttimeout=1m -o identityfile=\"a b\" -p 9 -l me -- box\n"
	if string(asked) != want || err != nil {
		t.Errorf("asked %q, %v; want %q", asked, err, want)
	}
}

// TestAskOtherSSH: a program that would connect is not asked.
func TestAskOtherSSH(t *testing.T) {
	dir := fakeSSH(t, "echo Dropbear v2022.83 >&2")
	if h, err := new(lookup).host(t.Context(), Target{host: "box"}); err != nil || h.addr() != "box:22" {
		t.Errorf("got %+v, %v", h, err)
	}
	if asked, err := os.ReadFile(filepath.Join(dir, "asked")); string(asked) != "-V\n" || err != nil {
		t.Errorf("asked %q, %v", asked, err)
	}
}

// TestAskSSHThatHangs: its end takes with it what Match exec has started, and nothing is kept of a
// question without an answer.
func TestAskSSHThatHangs(t *testing.T) {
	dir := fakeSSH(t, `case $1 in -V) echo OpenSSH_9.9 >&2; exit;; esac
[ -p hang ] || { echo no reason >&2; exit 255; }
sh -c 'echo up; exec sleep 1000' >hang & wait`)
	l := new(lookup)
	if _, err := l.host(t.Context(), Target{host: "box"}); err == nil || !strings.Contains(err.Error(), `host "box": exit status 255: no reason`) {
		t.Errorf("got %v", err)
	}
	hang := filepath.Join(dir, "hang")
	if err := syscall.Mkfifo(hang, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	endc := make(chan error, 1)
	go func() { // ends with the process that holds the pipe open
		defer cancel()
		f, err := os.Open(hang)
		if err == nil {
			defer f.Close()
			_, err = f.Read(make([]byte, 3))
			cancel()
		}
		if err == nil {
			_, err = io.ReadAll(f)
		}
		endc <- err
	}()
	if _, err := l.host(ctx, Target{host: "box"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := <-endc; err != nil {
		t.Error(err)
	}
}

// A command of Match exec, or another program that is called ssh, cannot fill the memory while its
// answer is waited for.
func TestAskSSHThatFloods(t *testing.T) {
	fakeSSH(t, `case $1 in -V) echo OpenSSH_9.9 >&2; exit;; esac
[ "$3" = -F ] || { while echo user me; do :; done; exit 1; }
i=0
while [ $i -lt 20000 ]; do echo a warning >&2; i=$((i+1)); done
exit 255`)
	began := time.Now()
	_, err := new(lookup).host(t.Context(), Target{host: "box"})
	if !errors.Is(err, errLongAnswer) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > answerLimit/2 {
		t.Errorf("it took %v", took)
	}
	_, err = new(lookup).host(t.Context(), Target{host: "box", ConfigFile: "other"})
	if err == nil || !strings.Contains(err.Error(), "exit status 255: a warning; a warning") {
		t.Fatalf("got %v", err)
	}
	if n := len(err.Error()); n > 2*saidLimit {
		t.Errorf("the error has %d bytes", n)
	}
}
