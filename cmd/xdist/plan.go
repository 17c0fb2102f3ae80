package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/config"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler"
	"github.com/xdist-go/xdist/shard"
)

// plan says which tests of a collection a run has, in which order, and what is asked for them.
type plan struct {
	file    *config.File
	dist    scheduler.Dist
	part    shard.Part
	cost    shard.Cost // nil when nothing is known
	whole   bool       // a package cannot be split
	shuffle *uint64    // nil is the order of the binaries
	repeat  repetition
	ids     []testID // that were asked for; none is all
	dir     string   // that they are relative to

	leftOut atomic.Bool // another part has tests
}

func newPlan(c *cli.Context, file *config.File, dist scheduler.Dist, toolchain gotest.Toolchain, command *gotest.Command) (*plan, error) {
	p := &plan{file: file, dist: dist}
	p.whole = command.Grain() != gotest.Split || dist == scheduler.DistLoadScope || dist == scheduler.DistNo
	if text := c.String("shard"); text != "" {
		var err error
		if p.part, err = shard.Parse(text); err != nil {
			return nil, usageError(fmt.Errorf("--%w", err))
		}
		if dist == scheduler.DistEach {
			return nil, usageError(errShardOfEach)
		}
		if p.cost, err = shardCost(c, toolchain); err != nil {
			return nil, usageError(err)
		}
	}
	p.shuffle = c.Generic("shuffle").(*shuffleFlag).seed
	return p, nil
}

// shard is the part of the run as its reports name it, "" for all.
func (p *plan) shard() string {
	if p.part.N == 0 {
		return ""
	}
	return p.part.String()
}

// shardCost is what the files of --timings say, or nil. The history of this machine is not asked:
// all jobs of a sharded run must come to the same parts.
func shardCost(c *cli.Context, toolchain gotest.Toolchain) (shard.Cost, error) {
	files := c.StringSlice("timings")
	if len(files) == 0 {
		return nil, nil
	}
	known := new(history.Book)
	for _, file := range files {
		if err := addTimings(known, file); err != nil {
			return nil, err
		}
	}
	platform := toolchain.GOOS + "/" + toolchain.GOARCH
	return func(importPath, test string) time.Duration {
		k, _ := known.Test(platform, importPath, test)
		return k.Cost
	}, nil
}

// choose is a gotest.LoadConfig.Select for a platform, "linux/amd64". It may be called for several
// platforms at once.
func (p *plan) choose(platform string, packages []gotest.Package) (chosen []gotest.Package, how division, err error) {
	if err := p.file.Resolve(packages); err != nil {
		return nil, how, err
	}
	if p.dist == scheduler.DistLoadFile {
		grouped(packages)
	}
	if p.part.N > 0 {
		divided := shard.Divide(packages, p.part.N, p.whole, p.cost)
		how.text, how.digest = planText(divided.Loads, p.part), divided.Digest()
		packages = divided.Part(p.part.K)
		for k, l := range divided.Loads {
			if k != p.part.K-1 && l.Tests > 0 {
				p.leftOut.Store(true)
			}
		}
	}
	if len(p.ids) > 0 {
		if packages, err = chosenIDs(p.ids, p.dir, packages); err != nil {
			return nil, how, err
		}
	}
	if p.repeat.flag != "" {
		packages, how.leftOut, how.text = p.repeat.choose(platform, packages)
	}
	if p.shuffle != nil {
		shuffle(packages, *p.shuffle)
	}
	return packages, how, nil
}

// division is what there is to say of how a suite was divided, or what was chosen of it; the zero
// value is of one that is whole.
type division struct {
	text    string // for people
	digest  string
	leftOut int // tests
}

// planText is what a job says of the parts, its own marked.
func planText(loads []shard.Load, mine shard.Part) string {
	var b strings.Builder
	for k, l := range loads {
		mark := " "
		if k == mine.K-1 {
			mark = "*"
		}
		fmt.Fprintf(&b, "%s shard %d/%d: %s in %s", mark, k+1, mine.N, plural(l.Tests, "test"), plural(l.Packages, "package"))
		if l.Time > 0 {
			fmt.Fprintf(&b, ", about %s", l.Time.Round(10*time.Millisecond))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// shuffle puts packages, and the items of each, into an order that the seed and their names decide.
func shuffle(packages []gotest.Package, seed uint64) {
	slices.SortFunc(packages, func(a, b gotest.Package) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range packages {
		items := slices.Clone(packages[i].Items)
		random.Shuffle(len(items), func(a, b int) { items[a], items[b] = items[b], items[a] })
		packages[i].Items = items
	}
	random.Shuffle(len(packages), func(a, b int) { packages[a], packages[b] = packages[b], packages[a] })
}

// shuffleFlag is --shuffle or --shuffle=SEED.
type shuffleFlag struct{ seed *uint64 }

// Set takes "true" for a seed of its own choice, which is what the flag package gives a flag
// without a value.
func (f *shuffleFlag) Set(text string) error {
	seed := rand.Uint64N(1_000_000_000) + 1 // short enough to be typed
	switch text {
	case "true", "on":
	case "false", "off":
		f.seed = nil
		return nil
	default:
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return fmt.Errorf("want --shuffle or --shuffle=SEED with a number")
		}
	}
	f.seed = &seed
	return nil
}

func (f *shuffleFlag) String() string {
	if f == nil || f.seed == nil {
		return ""
	}
	return strconv.FormatUint(*f.seed, 10)
}

// IsBoolFlag lets the flag stand without a value.
func (f *shuffleFlag) IsBoolFlag() bool { return true }
