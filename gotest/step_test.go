package gotest

import (
	"context"
	"os/exec"
	"runtime"
	"slices"
	"testing"
)

func TestStepOf(t *testing.T) {
	const own = "/opt/xdist"
	for _, tt := range []struct {
		want string
		argv []string
	}{
		{"compile example.com/m/p", []string{"/go/tool/compile", "-o", "$WORK/b012/_pkg_.a", "-trimpath", "x", "-p", "example.com/m/p", "p.go"}},
		{"asm runtime", []string{"/go/tool/asm", "-p", "runtime", "-I", "x", "a.s"}},
		{"link raft.test", []string{"/go/tool/link", "-o", "/tmp/b001/raft.test", "-importcfg", "x"}},
		{"cgo net", []string{"/go/tool/cgo", "-objdir", "x", "-importpath", "net", "--", "a.go"}},
		{"link a.test", []string{"/bin/sh", "wrap.sh", "/go/tool/link", "-o", "a.test"}},
		{"vet", []string{"/go/tool/vet", "/tmp/b001/vet.cfg"}},
		{"gcc", []string{"gcc", "-c", "a.c"}},
		{"link", []string{"link", "-V=full"}},
		{"compile", []string{"compile", "-p"}},
		{"", []string{own, "handoff"}},
		{"", nil},
	} {
		if got := stepOf(tt.argv, own); got != tt.want {
			t.Errorf("%q is the step %q, want %q", tt.argv, got, tt.want)
		}
	}
}

// What has taken longest is told, once.
func TestLongestStep(t *testing.T) {
	link := child{7, []string{"link", "-o", "a.test"}}
	compile := child{3, []string{"compile", "-p", "m/p"}}
	own := child{9, []string{"/opt/xdist"}}
	var f stepFollower
	for i, tt := range []struct {
		children []child
		want     string
		changed  bool
	}{
		{nil, "", false},
		{[]child{own}, "", false},
		{[]child{own, link}, "link a.test", true},
		{[]child{compile, own, link}, "link a.test", false},
		{[]child{compile, own}, "compile m/p", true},
		{[]child{compile, link}, "compile m/p", false},
		{nil, "", true},
		{nil, "", false},
	} {
		s, changed := f.look(tt.children, "/opt/xdist")
		if s.Text != tt.want || changed != tt.changed {
			t.Errorf("look %d: %q, changed %v, want %q, %v", i, s.Text, changed, tt.want, tt.changed)
		}
	}
}

// What a process has started is told, and that it has ended.
func TestFollowSteps(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what a process has started")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "cat; echo; read line")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told []string
	followSteps(ctx, cmd.Process.Pid, "/opt/xdist", func(s Step) {
		if told = append(told, s.Text); len(told) == 1 {
			in.Close()
		} else {
			cancel()
		}
	})
	if want := []string{"cat", ""}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	_ = cmd.Wait() // read has found nothing to read
}
