package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/sshd"
)

// linkedElsewhere is an executable of this platform whose dynamic linker no host has, as that of
// one C library is missing where there is another.
func linkedElsewhere(t *testing.T) gateway.Agent {
	t.Helper()
	own, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if own.Class != elf.ELFCLASS64 {
		t.Skipf("skipped: the executable of the test is written for 64 bits, and this is %v", own.Class)
	}
	const linker, headers = "/lib/ld-of-no-host.so.1\x00", 64 + 56 // bytes
	head := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(own.Machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1}
	copy(head.Ident[:], []byte{0x7f, 'E', 'L', 'F', byte(own.Class), byte(own.Data), 1})
	var b bytes.Buffer
	for _, part := range []any{
		head,
		elf.Prog64{Type: uint32(elf.PT_INTERP), Flags: uint32(elf.PF_R), Off: headers, Filesz: uint64(len(linker)), Memsz: uint64(len(linker)), Align: 1},
		[]byte(linker),
	} {
		if err := binary.Write(&b, own.ByteOrder, part); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(b.Bytes())
	a := gateway.Agent{Path: filepath.Join(t.TempDir(), "program"), Digest: hex.EncodeToString(sum[:]), Args: []string{agentRole}}
	if err := os.WriteFile(a.Path, b.Bytes(), 0o700); err != nil {
		t.Fatal(err)
	}
	return a
}

// A program that needs shared libraries which its host does not have is told from one that is
// missing or has failed, whatever shell was to start it.
func TestMissingLibraries(t *testing.T) {
	a := linkedElsewhere(t)
	cfg := config()
	cfg.Agent = func(context.Context, string, string) (gateway.Agent, error) { return a, nil }
	addr, _ := takePrograms(t, &gateway.SocketServer{Keyless: true})
	specs := []string{"socket=" + addr, "cmd=sh//env:A=1", "cmd=sh//via=a"}
	for _, shell := range []string{"dash", "bash", "busybox", "ksh"} {
		name, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("not shown: %v", err)
			continue
		}
		dir := t.TempDir() // where sh is this one
		if err := os.Symlink(name, filepath.Join(dir, "sh")); err != nil {
			t.Fatal(err)
		}
		specs = append(specs, "cmd=env 'PATH="+dir+":"+os.Getenv("PATH")+"' sh")
	}
	specs = append(specs, sshd.Start(t, sshd.Options{}).Spec())
	g := newGroup(t, cfg)
	openIn(t, g, "popen//id=a")
	for _, text := range specs {
		_, err := g.Open(t.Context(), text)
		if err == nil || !strings.Contains(err.Error(), "needs shared libraries") || !strings.Contains(err.Error(), "agents.Self()") {
			t.Errorf("%s: %v", text, err)
		}
	}
	// What fails for another reason is not explained by this.
	a.Path = filepath.Join(t.TempDir(), "script")
	script := []byte("#!/bin/sh\nexit 3\n")
	sum := sha256.Sum256(script)
	a.Digest = hex.EncodeToString(sum[:])
	if err := os.WriteFile(a.Path, script, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"cmd=sh", "cmd=sh//goarch=arm64//exec=no-such-emulator"} {
		_, err := newGroup(t, cfg).Open(t.Context(), text)
		if err == nil || strings.Contains(err.Error(), "shared libraries") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
