package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/xdist-go/xdist/config"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler"
	"github.com/xdist-go/xdist/shard"
)

func collection() []gotest.Package {
	var packages []gotest.Package
	for i := range 4 {
		p := gotest.Package{ImportPath: fmt.Sprintf("p%d", i)}
		for j := range 8 {
			p.Items = append(p.Items, gotest.Item{Name: fmt.Sprintf("Test%d", j), File: fmt.Sprintf("f%d_test.go", j%2)})
		}
		packages = append(packages, p)
	}
	return packages
}

func order(packages []gotest.Package) (ids []string) {
	for _, p := range packages {
		for _, it := range p.Items {
			ids = append(ids, gotest.ID(p.ImportPath, it.Name))
		}
	}
	return ids
}

// TestShuffle: a seed gives one order, whatever the order before, and loses nothing.
func TestShuffle(t *testing.T) {
	seed, other := uint64(7), uint64(8)
	shuffled := func(seed *uint64, packages []gotest.Package) []string {
		p := &plan{file: &config.File{}, shuffle: seed}
		out, _, err := p.choose("linux/amd64", packages)
		if err != nil {
			t.Fatal(err)
		}
		return order(out)
	}
	reversed := collection()
	slices.Reverse(reversed)
	one, again := shuffled(&seed, collection()), shuffled(&seed, reversed)
	if !slices.Equal(one, again) {
		t.Error("the order depends on more than the seed")
	}
	plain := order(collection())
	if slices.Equal(one, plain) || slices.Equal(one, shuffled(&other, collection())) {
		t.Error("the seed changes nothing")
	}
	slices.Sort(one)
	if !slices.Equal(one, plain) {
		t.Error("tests were lost")
	}
}

// TestLoadFile: the tests of one file are one group, and so in one shard.
func TestLoadFile(t *testing.T) {
	seen, digests := make(map[string]int), make(map[string]bool)
	for k := 1; k <= 3; k++ {
		p := &plan{file: &config.File{}, dist: scheduler.DistLoadFile, part: shard.Part{K: k, N: 3}}
		packages, how, err := p.choose("linux/amd64", collection())
		if err != nil || how.text == "" {
			t.Fatal(how, err)
		}
		digests[how.digest] = true
		for _, pkg := range packages {
			for _, it := range pkg.Items {
				key := pkg.ImportPath + "/" + it.File
				if it.Directives == nil || it.Directives.Group != "file "+key {
					t.Fatalf("%s %s: %+v", key, it.Name, it.Directives)
				}
				if had := seen[key]; had != 0 && had != k {
					t.Errorf("%s is in shards %d and %d", key, had, k)
				}
				seen[key] = k
			}
		}
		if !p.leftOut.Load() {
			t.Error("the others have tests")
		}
	}
	if len(digests) != 1 || digests[""] {
		t.Errorf("the shards tell of their division %v", digests)
	}
	if len(seen) != 8 {
		t.Errorf("%d files of 8", len(seen))
	}
}

func TestShuffleFlagIsOnlyOursWithTwoDashes(t *testing.T) {
	for _, tc := range []struct{ in, want []string }{
		{[]string{"xdist", "-shuffle", "on", "./..."}, []string{"xdist", "--", "-shuffle", "on", "./..."}},
		{[]string{"xdist", "--shuffle", "./..."}, []string{"xdist", "--shuffle", "--", "./..."}},
		{[]string{"xdist", "./...", "--shuffle=3", "-shuffle=on"}, []string{"xdist", "--shuffle=3", "--", "./...", "-shuffle=on"}},
	} {
		if got := splitArgs(tc.in); !slices.Equal(got, tc.want) {
			t.Errorf("%q: got %q", tc.in, got)
		}
	}
}
