package cover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// splitDir names the variable that makes this test binary the -exec program of a go test.
const splitDir = "XDIST_COVER_TEST_SPLIT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(splitDir); dir != "" {
		os.Exit(runSplit(dir, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// split is what runSplit records of one package.
type split struct {
	Dir      string
	Profiles [][]byte // of the processes that run one test each
	Idle     []byte   // of a process that runs none
	Whole    []byte   // of the process that runs all, as the go command started it
	Summary  string   // its "coverage:" line
}

// runSplit runs the test binary of argv as it is, and for each test alone, and writes a split to a
// file in dir.
func runSplit(dir string, argv []string) int {
	wd, err := os.Getwd()
	if err != nil {
		fmt.Println(err)
		return 3
	}
	record := split{Dir: filepath.Base(wd)}
	for _, name := range []string{"TestFirst", "TestSecond"} {
		profile, _, err := runWith(dir, argv, "-test.run=^"+name+"$")
		if err != nil {
			fmt.Println(err)
			return 3
		}
		record.Profiles = append(record.Profiles, profile)
	}
	if record.Idle, _, err = runWith(dir, argv, "-test.run=^$"); err != nil {
		fmt.Println(err)
		return 3
	}
	profile, out, err := runWith(dir, argv)
	if err != nil {
		fmt.Println(err)
		return 3
	}
	record.Whole = profile
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "coverage:") {
			record.Summary = strings.TrimSuffix(line, "\n")
		}
	}
	b, err := json.Marshal(record)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, record.Dir+".json"), b, 0o666)
	}
	if err != nil {
		fmt.Println(err)
		return 3
	}
	// The go command gets the output and the profile of the whole run.
	for _, arg := range argv {
		if path, ok := strings.CutPrefix(arg, "-test.coverprofile="); ok {
			if err := os.WriteFile(path, profile, 0o666); err != nil {
				fmt.Println(err)
				return 3
			}
		}
	}
	fmt.Print(out)
	return 0
}

// runWith runs argv with more arguments, and a coverage directory and profile of its own.
func runWith(dir string, argv []string, more ...string) (profile []byte, out string, err error) {
	covdir, err := os.MkdirTemp(dir, "gocoverdir")
	if err != nil {
		return nil, "", err
	}
	path := covdir + ".out"
	argv = slices.Clone(argv)
	for i, arg := range argv {
		if theirs, ok := strings.CutPrefix(arg, "-test.gocoverdir="); ok {
			argv[i] = "-test.gocoverdir=" + covdir
			// -coverpkg: tells the binary of packages that it does not link.
			if b, err := os.ReadFile(filepath.Join(theirs, "metafiles.txt")); err == nil {
				if err := os.WriteFile(filepath.Join(covdir, "metafiles.txt"), b, 0o666); err != nil {
					return nil, "", err
				}
			}
		}
		if strings.HasPrefix(arg, "-test.coverprofile=") {
			argv[i] = "-test.coverprofile=" + path
		}
	}
	cmd := exec.Command(argv[0], append(argv[1:], more...)...)
	b, err := cmd.CombinedOutput()
	if err != nil {
		return nil, "", fmt.Errorf("%v: %w\n%s", cmd, err, b)
	}
	profile, err = os.ReadFile(path)
	return profile, string(b), err
}

// TestLikeGoTest: profile, percentage and the final file of packages whose tests ran in two
// processes each are those of go test.
func TestLikeGoTest(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("no go command: %v", err)
	}
	for _, tt := range []struct {
		name     string
		mode     Mode
		coverpkg []string
	}{
		{"set", ModeSet, nil},
		{"count", ModeCount, nil},
		{"atomic", ModeAtomic, nil},
		{"set coverpkg", ModeSet, []string{"./..."}},
		{"count coverpkg", ModeCount, []string{"./tax", "./untested"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			splits, file, stdout := goTest(t, tt.mode, tt.coverpkg)
			if len(splits) != 3 {
				t.Fatalf("%d packages ran, want 3:\n%s", len(splits), stdout)
			}
			fragments := map[string][]byte{} // of the final file by package
			for _, s := range splits {
				merged := mergeText(t, tt.mode, s)
				if diff := cmp.Diff(string(s.Whole), string(merged.Append(nil))); diff != "" {
					t.Errorf("%s: profile (-whole +merged):\n%s", s.Dir, diff)
				}
				if got := merged.Summary(tt.coverpkg...); got != s.Summary {
					t.Errorf("%s: Summary() = %q, the whole run printed %q", s.Dir, got, s.Summary)
				}
				fragments[s.Dir] = merged.Append(nil)
			}
			checkSplits(t, splits, tt.mode, tt.coverpkg)
			checkFile(t, tt.mode, file, fragments)
		})
	}
}

// goTest runs the tests of testdata/shop under runSplit. It returns what that recorded, the final
// profile, and what go test printed.
func goTest(t *testing.T, mode Mode, coverpkg []string) (splits map[string]split, file []byte, stdout string) {
	t.Helper()
	module, dir := t.TempDir(), t.TempDir()
	if err := os.CopyFS(module, os.DirFS(filepath.Join("testdata", "shop"))); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	final := filepath.Join(dir, "final")
	args := []string{"test", "-p=1", "-count=1", "-vet=off", "-exec='" + self + "'", "-cover", "-covermode=" + string(mode), "-coverprofile=" + final}
	if coverpkg != nil {
		args = append(args, "-coverpkg="+strings.Join(coverpkg, ","))
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./...")...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), splitDir+"="+dir, "GOWORK=off", "GOFLAGS=", "PWD="+module)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	records, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	splits = map[string]split{}
	for _, record := range records {
		b, err := os.ReadFile(record)
		if err != nil {
			t.Fatal(err)
		}
		var s split
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatal(err)
		}
		if s.Dir == filepath.Base(module) {
			s.Dir = "shop"
		}
		splits[s.Dir] = s
	}
	file, err = os.ReadFile(final)
	if err != nil {
		t.Fatal(err)
	}
	return splits, file, string(out)
}

func mergeText(t *testing.T, mode Mode, s split) *Profile {
	t.Helper()
	var profiles []*Profile
	for _, text := range s.Profiles {
		profiles = append(profiles, parse(t, string(text)))
	}
	merged, err := MergeSplit(mode, parse(t, string(s.Idle)), profiles...)
	if err != nil {
		t.Fatal(err)
	}
	return merged
}

// checkSplits checks that the fixture shows something: the processes ran different parts, and not
// all there is.
func checkSplits(t *testing.T, splits map[string]split, mode Mode, coverpkg []string) {
	t.Helper()
	for _, dir := range []string{"shop", "tax"} {
		s := splits[dir]
		if mode != ModeSet && coverpkg == nil && dir == "shop" && !bytes.Contains(s.Idle, []byte(" 3\n")) {
			t.Errorf("shop: nothing has run three times before its tests:\n%s", s.Idle)
		}
		if bytes.Equal(s.Profiles[0], s.Profiles[1]) || bytes.Equal(s.Profiles[0], s.Whole) || bytes.Equal(s.Profiles[1], s.Whole) {
			t.Errorf("%s: two of the profiles are equal", dir)
		}
	}
	if coverpkg == nil {
		if got, want := splits["names"].Summary, "coverage: [no statements]"; got != want {
			t.Errorf("names: the whole run printed %q, want %q", got, want)
		}
	}
	if coverpkg != nil && !bytes.Contains(splits["tax"].Whole, []byte("untested/untested.go:")) {
		t.Errorf("tax does not cover the package untested: metafiles have got lost")
	}
	if mode != ModeSet && !bytes.Contains(splits["shop"].Whole, []byte(" 42\n")) && coverpkg == nil {
		t.Errorf("no block has run 42 times:\n%s", splits["shop"].Whole)
	}
}

// checkFile writes the final file in the order of go test and compares. Package untested, which go
// test covers without a process, is copied from there.
func checkFile(t *testing.T, mode Mode, file []byte, fragments map[string][]byte) {
	t.Helper()
	header := Profile{Mode: mode}
	var untested []byte
	rest, ok := bytes.CutPrefix(file, header.Append(nil))
	if !ok {
		t.Fatalf("the file of go test begins with %.20q", file)
	}
	var got bytes.Buffer
	w, err := NewWriter(&got, mode)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"shop", "names", "tax"} {
		p, err := Parse(bytes.NewReader(fragments[dir]))
		if err == nil && dir == "tax" {
			err = w.Copy(bytes.NewReader(fragments[dir]))
		} else if err == nil {
			err = w.Add(p)
		}
		if err != nil {
			t.Fatal(err)
		}
		rest = bytes.TrimPrefix(rest, bytes.TrimPrefix(fragments[dir], header.Append(nil)))
	}
	untested = rest
	if err := w.Copy(bytes.NewReader(append(header.Append(nil), untested...))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(file), got.String()); diff != "" {
		t.Errorf("final file (-go test +ours):\n%s", diff)
	}
	for line := range bytes.Lines(untested) {
		if !bytes.HasPrefix(line, []byte("example.com/shop/untested/")) {
			t.Errorf("the fragments of shop, names and tax are not in the file in this order, %q is left", line)
			break
		}
	}
}
