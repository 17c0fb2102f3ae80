package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The service of a network is "xdist net run" with its hosts, of this user unless that is root.
func TestNetServiceArguments(t *testing.T) {
	key := filepath.Join(t.TempDir(), "team.key")
	config, err := netService("mynet", []string{"ssh=b1//id=b1", "socket=h:1//key=" + key}, "", false, true)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"net", "run", "mynet", "--tx", "ssh=b1//id=b1", "--tx", "socket=h:1//key=" + key, "--debug"}
	if diff := cmp.Diff(want, config.Arguments); diff != "" || config.Name != "xdist-net-mynet" || config.Option["UserService"] != true {
		t.Errorf("name %q, options %v, arguments: %s", config.Name, config.Option, diff)
	}
	if config, err = netService("mynet", nil, "builder", true, false); err != nil || config.UserName != "builder" || config.Option["UserService"] != false {
		t.Errorf("as root: user %q, %v, %v", config.UserName, config.Option, err)
	}
	known := make(map[string]bool)
	for _, sub := range netCommand().Subcommands {
		for _, f := range sub.Flags {
			if sub.Name == "run" {
				known["--"+f.Names()[0]] = true
			}
		}
	}
	for _, a := range want {
		if len(a) > 2 && a[:2] == "--" && !known[a] {
			t.Errorf("net run has no flag %s", a)
		}
	}
	if _, err := netService("mynet", []string{"socket=h:1//key=team.key"}, "", false, false); err == nil {
		t.Error("a key was taken that the service would not find")
	}
	got := splitArgs([]string{"xdist", "net", "start", "mynet", "--tx", "popen", "--wait=3s", "--debug"})
	for _, sub := range netCommand().Subcommands {
		if !slices.Contains(netWords, sub.Name) {
			t.Errorf("xdist net %s is taken for the package net", sub.Name)
		}
	}
	if got := splitArgs([]string{"xdist", "net", "-run", "TestDial"}); !slices.Contains(got, "--") {
		t.Errorf("the package net is not one: %q", got)
	}
	if diff := cmp.Diff([]string{"xdist", "net", "start", "--tx", "popen", "--wait=3s", "--debug", "mynet"}, got); diff != "" {
		t.Error(diff)
	}
}
