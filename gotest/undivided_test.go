package gotest

import (
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// TestUndivided has what test files say, in function bodies unless a line begins with "decl:", and
// what that means for their package.
func TestUndivided(t *testing.T) {
	const run, skip = readsFlag + chosenByRun, readsFlag + chosenBySkp
	for _, tt := range []struct{ body, want string }{
		{`t.Log("no reason")`, ""},

		{`flag.Lookup("test.run").Value.String()`, run},
		{`flag.CommandLine.Lookup("test." + "skip")`, skip},
		{"flag.Lookup(`test.run`)", run},
		{`flag.Lookup("test." + name)`, run},
		{`flag.VisitAll(func(f *flag.Flag) { if f.Name == "test.run" { t.Skip() } })`, run},
		{`decl:const name = "test.run"`, run},
		{`flag.Lookup("test.v")`, ""},
		{`flag.Lookup("test.v" + name)`, ""},
		{`exec.Command(os.Args[0], "-test.run=^TestHelper$")`, ""},
		{`exec.Command(os.Args[0], "-test.run", "TestHelper")`, ""},
		{`t.Log("in test.run and elsewhere")`, ""},

		{`exec.Command(os.Args[0])`, ""},
		{`exec.Command(os.Args[:1][0])`, ""},
		{`exec.Command(os.Args[0], os.Args[1:]...)`, readsArgs},
		{`for i := range n { use(os.Args[i]) }`, readsArgs},
		{`for _, a := range os.Args { use(a) }`, readsArgs},
		{`if len(os.Args) > 3 { t.Skip() }`, readsArgs},
		{`strings.Join(os.Args, " ")`, readsArgs},
		{`decl:var all = os.Args`, readsArgs},
		{`decl:var self = os.Args[0]`, ""},
		{`decl:var main = func() { use(os.Args[1]) }`, readsArgs},
		{`decl:func TestMain(m *testing.M) { if len(os.Args) > 1 { use() } }`, readsArgs},
		{`decl:func (s *suite) SetupTest() { use(os.Args[1:]) }`, readsArgs},
		{`os.Args = []string{"cmd", "-x"}`, ""},
		{`os.Args[1] = "x"`, readsArgs},
		{`old := os.Args; defer func() { os.Args = old }(); os.Args = []string{"x"}`, ""},
		{`old, out := os.Args, os.Stdout; t.Cleanup(func() { os.Args, os.Stdout = old, out })`, ""},
		{`var old = slices.Clone(os.Args); os.Args = []string{old[0]}; os.Args = old`, ""},
		{`defer func(args []string) { os.Args = args }(os.Args)`, ""},
		{`old := os.Args; defer func(args []string) { os.Args = args }(old)`, ""},
		{`os.Args = append(os.Args[:1], "x")`, ""},
		{`os.Args = append(os.Args, "x")`, readsArgs},
		{`old := os.Args; os.Args = nil; use(old)`, readsArgs},
		{`defer func(args []string) { use(args) }(os.Args)`, readsArgs},
		{`args := os.Args; for len(args) > 0 && args[0] != "--" { args = args[1:] }`, readsArgs},

		{`if os.Getenv("HELPER") != "1" { return }; args := os.Args; use(args[1:])`, ""},
		{`if os.Getenv("HELPER") == "" { t.Skip("no helper") }; use(os.Args[1:]); os.Chdir("x")`, ""},
		{`if os.Getenv("HELPER") != want || t == nil { return }; use(os.Args[1:])`, ""},
		{`if os.Getenv("CI") == "1" { return }; use(os.Args[1:])`, readsArgs},
		{`if os.Getenv("CI") != "" { return }; use(os.Args[1:])`, readsArgs},
		{`if os.Getenv("HELPER") != "1" { t.Log() }; use(os.Args[1:])`, readsArgs},
		{`use(); if os.Getenv("HELPER") == "1" { use(os.Args[1:]); os.Setenv("A", "b"); os.Exit(0) }`, ""},
		{`if v := os.Getenv("HELPER"); v != "" { use(os.Args[1:]); os.Exit(0) } else { use() }`, ""},
		{`if os.Getenv("HELPER") == "1" { use(); os.Exit(0) } else { use(os.Args[1:]) }`, readsArgs},
		{`if os.Getenv("DEBUG") == "1" { use(os.Args[1:]) }`, readsArgs},

		{`os.Chdir("x")`, leavesDir},
		{`if err := os.Chdir("x"); err != nil { t.Fatal(err) }`, leavesDir},
		{`t.Chdir("x")`, ""},
		{`t.Chdir("."); os.Chdir("x")`, ""},
		{`wd, _ := os.Getwd(); defer os.Chdir(wd); os.Chdir("x")`, ""},
		{`os.Chdir("x"); t.Cleanup(func() { os.Chdir(wd) })`, ""},
		{`os.Chdir("x"); defer func() { err := os.Chdir(wd); use(err) }()`, ""},
		{`back := func() { os.Chdir(wd) }; defer back(); os.Chdir("x")`, ""},
		{`to := func(dir string) { os.Chdir(dir) }; to("x")`, leavesDir},
		{`wd, err := os.Getwd(); os.Chdir("x"); use(err); os.Chdir(wd)`, ""},
		{`os.Chdir("x"); os.Chdir("y")`, leavesDir},
		{`decl:func in(dir string) func() { wd, _ := os.Getwd(); os.Chdir(dir); return func() { os.Chdir(wd) } }`, ""},
		{`decl:func in(dir string) error { return os.Chdir(dir) }`, leavesDir},
		{`decl:func init() { os.Chdir("x") }`, ""},
		{`decl:func TestMain(m *testing.M) { os.Setenv("A", "b"); os.Chdir("x") }`, ""},

		{`os.Setenv("A", "b")`, leavesEnv},
		{`os.Unsetenv("A")`, leavesEnv},
		{`os.Clearenv()`, leavesEnv},
		{`t.Setenv("A", "b")`, ""},
		{`t.Setenv("A", ""); os.Unsetenv("A")`, ""},
		{`t.Setenv("A", ""); os.Unsetenv("B")`, leavesEnv},
		{`os.Setenv("A", "b"); defer os.Unsetenv("A")`, ""},
		{`os.Setenv("A", "b"); defer os.Unsetenv("B")`, leavesEnv},
		{`old := os.Getenv("A"); defer os.Setenv("A", old); os.Setenv("A", "b")`, ""},
		{`old := os.Getenv("A"); os.Setenv("A", "b"); use(); os.Setenv("A", old)`, ""},
		{`os.Setenv("A", "b"); use(); os.Unsetenv("A")`, ""},
		{`os.Setenv("A", "b"); use(); os.Setenv("A", "c")`, leavesEnv},
		{`os.Clearenv(); defer func() { for k, v := range old { os.Setenv(k, v) } }()`, ""},
		{`for k, v := range env { os.Setenv(k, v); t.Cleanup(func() { os.Unsetenv(k) }) }`, ""},
		{`os.Chdir("x"); defer os.Unsetenv("A")`, leavesDir},
		{`fake.Setenv("A", "b"); box.Chdir("x")`, ""},

		{`decl:func TestMain(m *testing.M) { os.Exit(m.Run()) }`, ""},
		{`decl:func TestMain(m *testing.M) { if fast { os.Exit(m.Run()) }; code := m.Run(); os.Exit(code) }`, ""},
		{`decl:func TestMain(m *testing.M) { if fast { m.Run() } else if slow { m.Run() } else { m.Run() } }`, ""},
		{`decl:func TestMain(m *testing.M) { if code := m.Run(); code != 0 { os.Exit(code) } }`, ""},
		{`decl:func TestMain(m *testing.M) { for _, s := range servers { s.Run() }; m.Run() }`, ""},
		{`decl:func (s *suite) TestMain(m *testing.M) { m.Run(); m.Run() }`, ""},
		{`decl:func TestMain(m *testing.M) { code := m.Run(); os.Exit(max(code, m.Run())) }`, runsAgain},
		{`decl:func TestMain(m *testing.M) { code := m.Run(); if code != 0 { os.Exit(m.Run()) } }`, runsAgain},
		{`decl:func TestMain(m *testing.M) { for range 2 { code = max(code, m.Run()) }; os.Exit(code) }`, runsAgain},
		{`decl:func TestMain(tests *testing.M) { for i := 0; i < 2; i++ { if tests.Run() != 0 { os.Exit(1) } } }`, runsAgain},

		{`decl:func TestMain(m *testing.M) { c := m.Run(); if ran != 15 { c = 3 }; os.Exit(c) }`, judgesAll},
		{`decl:func TestMain(m *testing.M) { c := m.Run(); if err := stop(); err != nil { c = 1 }; os.Exit(c) }`, ""},
		{`decl:func TestMain(m *testing.M) { n := 3; c := m.Run(); n = 4; os.Exit(c) }`, ""},
		{`decl:func TestMain(m *testing.M) { c := 1; if ready() { c = m.Run() }; os.Exit(c) }`, ""},

		{`net.Listen("tcp", "127.0.0.1:0")`, ""},
		{`net.Listen("tcp", ":")`, ""},
		{`net.Listen("tcp", address(t))`, ""},
		{`net.Listen("unix", filepath.Join(t.TempDir(), "s"))`, ""},
		{`net.Listen("unix", "@")`, ""},
		{`server.ListenAndServe()`, ""},
		{`net.Listen("tcp", ":8080")`, listensOn + ":8080"},
		{`net.ListenPacket("udp", "[::1]:" + "53")`, listensOn + "[::1]:53"},
		{`go http.ListenAndServe("localhost:6060", nil)`, listensOn + "localhost:6060"},
		{`net.Listen("unix", "/tmp/s")`, listensOn + "/tmp/s"},
		{`net.Listen("unix", "@abstract")`, listensOn + "@abstract"},
		{"decl:const at = `localhost:80`\nfunc serve() { net.Listen(`tcp`, at) }", listensOn + "localhost:80"},
		{"decl:var at = `localhost:0`\nfunc serve() { net.Listen(`tcp`, at) }", ""},
		{`if os.Getenv("HELPER") == "1" { net.Listen("tcp", ":8080"); os.Exit(0) }`, ""},
	} {
		src := "package p\nfunc TestX(t *testing.T) {\n" + tt.body + "\n}\n"
		if len(tt.body) > 5 && tt.body[:5] == "decl:" {
			src = "package p\n" + tt.body[5:] + "\n"
		}
		file, err := parser.ParseFile(token.NewFileSet(), "p_test.go", src, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s: %v", tt.body, err)
			continue
		}
		if got := undivided(file); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.body, got, tt.want)
		}
		if tt.want != "" && !suspicious([]byte(src)) {
			t.Errorf("%s: is not suspected", tt.body)
		}
	}
}

// TestDiscoverUndivided shows that a package is not divided if any of its files says so, whether or
// not its tests are known already.
func TestDiscoverUndivided(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"a_test.go": "package p\nimport \"testing\"\nfunc TestA(t *testing.T) {}\n",
		"b_test.go": "package p\nimport (\"os\"; \"testing\")\nfunc TestB(t *testing.T) { t.Log(os.Args[0]) }\n",
		"x_test.go": "package p_test\nimport (\"os\"; \"testing\")\nfunc TestX(t *testing.T) { os.Chdir(\"x\") }\n",
	})
	for _, known := range []bool{false, true} {
		found := Discover([]TestFiles{
			{Dir: dir, Test: []string{"a_test.go", "b_test.go"}, Known: known},
			{Dir: dir, Test: []string{"a_test.go"}, X: []string{"x_test.go"}, Known: known},
		}, nil)
		if got := []string{found[0].Undivided, found[1].Undivided}; !slices.Equal(got, []string{"", leavesDir}) {
			t.Errorf("known %v: %q", known, got)
		}
		if n := len(found[1].Items); n != 2 {
			t.Errorf("known %v: %d tests", known, n)
		}
	}
}
