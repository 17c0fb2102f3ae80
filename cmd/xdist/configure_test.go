package main

import (
	"os"
	"path/filepath"
	"testing"
)

// makeFiles makes empty files, by slashed names, below a directory.
func makeFiles(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The configuration is that of the go command's module, or else of its workspace. What lies above
// or elsewhere is not looked at: in /tmp anybody can have put it.
func TestFindConfig(t *testing.T) {
	const config = ".config/xdist.toml"
	for _, tt := range []struct {
		name   string
		files  []string
		dir    string
		gowork string
		goenv  string // what "go env -w" has written
		want   string
	}{
		{"of the module", []string{"work/go.work", "work/" + config, "work/m/go.mod", "work/m/" + config}, "work/m/sub", "", "", "work/m"},
		{"of the workspace", []string{"work/go.work", "work/" + config, "work/m/go.mod"}, "work/m/sub", "", "", "work"},
		{"of the workspace, outside of its modules", []string{"work/go.work", "work/" + config}, "work/sub", "", "", "work"},
		{"no root of anything", []string{"m/go.mod", "m/sub/" + config}, "m/sub", "", "", ""},
		{"of the module around", []string{"go.mod", config, "m/go.mod"}, "m", "", "", ""},
		{"of the workspace around", []string{"go.work", config, "work/go.work", "work/m/go.mod"}, "work/m", "", "", ""},
		{"GOWORK=off", []string{"work/go.work", "work/" + config, "work/m/go.mod"}, "work/m", "off", "", ""},
		{"GOWORK elsewhere", []string{"work/go.work", "work/" + config, "other/go.work", "other/" + config, "work/m/go.mod"}, "work/m", "other/go.work", "", "other"},
		{"go env -w GOWORK=off", []string{"work/go.work", "work/" + config, "work/m/go.mod"}, "work/m", "", "GOPROXY=off\nGOWORK=off\n", ""},
		{"auto", []string{"work/go.work", "work/" + config, "work/m/go.mod"}, "work/m", "auto", "GOWORK=off", "work"},
		{"a directory named go.mod", []string{"m/go.mod", "m/" + config, "m/sub/go.mod/file"}, "m/sub", "", "", "m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			makeFiles(t, root, tt.files...)
			dir := filepath.Join(root, filepath.FromSlash(tt.dir))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if tt.gowork != "" && tt.gowork != "off" && tt.gowork != "auto" {
				tt.gowork = filepath.Join(root, filepath.FromSlash(tt.gowork))
			}
			t.Setenv("GOWORK", tt.gowork)
			goenv := filepath.Join(root, "goenv")
			if err := os.WriteFile(goenv, []byte(tt.goenv), 0o644); err != nil {
				t.Fatal(err)
			}
			t.Setenv("GOENV", goenv)
			if tt.want != "" {
				tt.want = filepath.Join(root, filepath.FromSlash(tt.want), filepath.FromSlash(config))
			}
			for _, args := range [][]string{{"-C=" + dir}, {"-C", dir, "./..."}} {
				if got := findConfig(args); got != tt.want {
					t.Errorf("%q: found %q, want %q", args, got, tt.want)
				}
			}
		})
	}
}

// As for the go command, a go.mod directly in the directory for temporary files makes no module of
// what lies below.
func TestFindConfigInTemp(t *testing.T) {
	root := t.TempDir()
	makeFiles(t, root, "go.mod", ".config/xdist.toml", "job/a.go")
	t.Setenv("TMPDIR", root)
	t.Setenv("TMP", root)
	t.Setenv("GOWORK", "")
	if got := findConfig([]string{"-C=" + filepath.Join(root, "job")}); got != "" {
		t.Errorf("found %s", got)
	}
}
