package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScanVerdicts(t *testing.T) {
	got, err := scanVerdicts(strings.NewReader(`go: downloading what goes to standard error
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"output","Package":"p","Test":"TestA/sub","Output":"--- FAIL: TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":2.5}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p"}
{"Action":"build-fail","ImportPath":"q"}
`))
	if want := (verdicts{"p::TestA/sub": "pass", "p::TestB": "skip", "p::": "fail"}); !maps.Equal(got, want) || err != nil {
		t.Errorf("verdicts %v, %v; want %v", got, err, want)
	}
}

func TestDiffer(t *testing.T) {
	pass, fail := verdicts{"p::TestA": "pass"}, verdicts{"p::TestA": "fail"}
	for _, tt := range []struct {
		name       string
		peer, ours []verdicts
		missed     int
		note       string
	}{
		{"the same", []verdicts{pass, pass, pass}, []verdicts{pass, pass, pass}, 0, "the same verdicts on 1 tests"},
		{"fails once", []verdicts{pass, pass, pass}, []verdicts{pass, fail, pass}, 0, "p::TestA: go test 3 pass, xdist 2 pass, 1 fail"},
		{"fails mostly", []verdicts{pass, pass, pass}, []verdicts{fail, fail, pass}, 1, "1 of 1 tests"},
		{"fails mostly, as go test does once", []verdicts{pass, fail, pass}, []verdicts{fail, fail, pass}, 0, "go test 2 pass, 1 fail, xdist 1 pass, 2 fail"},
		{"a failure is lost", []verdicts{fail, fail, fail}, []verdicts{pass, pass, pass}, 1, "go test 3 fail, xdist 3 pass"},
		{"a test is lost", []verdicts{pass, pass, pass}, []verdicts{{}, {}, {}}, 1, "xdist 3 absent"},
		{"a test too many", []verdicts{{}, {}, {}}, []verdicts{pass, pass, pass}, 1, "go test 3 absent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tab table
			differ(&tab, "m", tt.peer, tt.ours)
			if notes := strings.Join(tab.notes, "\n"); tab.missed != tt.missed || !strings.Contains(notes, tt.note) {
				t.Errorf("%d limits missed and notes %q; want %d and %q", tab.missed, notes, tt.missed, tt.note)
			}
		})
	}
}

func TestDifferNamesFew(t *testing.T) {
	peer, ours := verdicts{}, verdicts{}
	for _, name := range strings.Split("abcdefghijkl", "") {
		peer["p::Test"+name], ours["p::Test"+name] = "pass", "skip"
	}
	var tab table
	differ(&tab, "m", []verdicts{peer}, []verdicts{ours})
	if notes := strings.Join(tab.notes, "\n"); !strings.Contains(notes, "p::Testh: ") || strings.Contains(notes, "p::Testi: ") || !strings.Contains(notes, "and 4 more") {
		t.Errorf("notes %q", notes)
	}
}

// TestAccountOfLessons takes runs whose logs say what they found, and one that found nothing.
func TestAccountOfLessons(t *testing.T) {
	dir := t.TempDir()
	logged := func(name, action string, status int) []timing {
		log := filepath.Join(dir, name)
		if err := os.WriteFile(log, []byte(`{"Action":"`+action+`","Package":"p","Test":"TestA"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		return []timing{{status: status, log: log}}
	}
	pass, fail, dead := logged("pass", "pass", 0), logged("fail", "fail", 1), logged("dead", "pass", 6)
	for _, tt := range []struct {
		name   string
		runs   lessons
		again  string // what go test says when it runs the package again
		missed int
	}{
		{"as go test", lessons{pass, pass, pass, nil}, "fail", 0},
		{"the second run fails", lessons{pass, pass, fail, nil}, "pass", 1},
		{"the first run fails", lessons{pass, fail, pass, nil}, "pass", 1},
		{"go test fails too now and then", lessons{pass, fail, pass, nil}, "fail", 0},
		{"go test passes now and then", lessons{fail, pass, pass, nil}, "pass", 0},
		{"no verdict", lessons{pass, pass, dead, nil}, "pass", 1},
	} {
		var tab table
		repeat := func(packages []string) (verdicts, error) {
			if len(packages) != 1 || packages[0] != "p" {
				t.Errorf("%s: %q run again", tt.name, packages)
			}
			return verdicts{"p::TestA": tt.again}, nil
		}
		if err := tt.runs.account(&tab, module{name: "m"}, repeat); err != nil || tab.missed != tt.missed {
			t.Errorf("%s: %v, %d limits missed, want %d: %v", tt.name, err, tab.missed, tt.missed, tab.notes)
		}
	}
}

// TestRepeatedKeepsTheRest repeats one of two packages: what is lost of the other is still seen.
func TestRepeatedKeepsTheRest(t *testing.T) {
	peer := []verdicts{{"p::TestA": "pass", "q::TestB": "pass"}}
	ours := []verdicts{{"p::TestA": "fail", "q::TestB": "pass"}}
	got, err := repeated(peer, ours, func([]string) (verdicts, error) { return verdicts{"p::TestA": "fail"}, nil })
	if err != nil || len(got) != 2 || !maps.Equal(got[1], verdicts{"p::TestA": "fail", "q::TestB": "pass"}) || len(peer) != 1 {
		t.Errorf("repeated gives %v, %v", got, err)
	}
}
