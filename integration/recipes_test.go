package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/integration/sshd"
)

// recipe is a fenced block of commands of the README's.
type recipe struct {
	commands string
	server   bool // it goes on until the others have been run
}

// recipes are the blocks below the heading Recipes.
func recipes(t *testing.T) []recipe {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n### Recipes\n")
	section, _, _ = strings.Cut(section, "\n### ")
	var all []recipe
	for _, m := range regexp.MustCompile("(?ms)^```sh( serve)?\n(.*?)^```$").FindAllStringSubmatch(section, -1) {
		all = append(all, recipe{commands: m[2], server: m[1] != ""})
	}
	return all
}

// TestRecipes runs what the README recommends, in its order, on a module of its own: build1 and
// build2 are real sshds, qemu is the real one, and the container is a root directory of its own
// with nothing but BusyBox in it, which a script by the name of docker enters.
func TestRecipes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the recipes' hosts are there on Linux only")
	}
	k := newKitchen(t)
	all := recipes(t)
	if len(all) < 8 {
		t.Fatalf("the README has %d recipes", len(all))
	}
	for i, r := range all {
		name := strings.Join(strings.Fields(r.commands)[:2], " ")
		t.Run(fmt.Sprintf("%d %s", i, name), func(t *testing.T) {
			for _, program := range []string{"qemu-aarch64-static", "qemu-s390x-static"} {
				if _, err := exec.LookPath(program); err != nil && strings.Contains(r.commands, program) {
					t.Skipf("skipped: there is no %s (Debian has it in qemu-user-static)", program)
				}
			}
			if k.container != "" && strings.Contains(r.commands, "docker") {
				t.Skip("skipped: " + k.container)
			}
			if strings.Contains(r.commands, "docker") {
				t.Log("docker is played by a script that enters a root directory of its own")
			}
			k.cook(t, r)
		})
	}
	if _, err := os.Stat(filepath.Join(k.dir, "report.xml")); err != nil {
		t.Error(err)
	}
	if golden, err := os.ReadFile(filepath.Join(k.dir, "testdata", "it.golden")); err != nil || string(golden) != "new" {
		t.Errorf("the golden file is %q: %v", golden, err)
	}
}

// kitchen is where recipes are run.
type kitchen struct {
	t         *testing.T
	dir       string // of a module
	env       []string
	addrs     *strings.Replacer // free ones in place of the README's
	container string            // why there is none, or ""
}

func newKitchen(t *testing.T) *kitchen {
	t.Helper()
	home, bin := t.TempDir(), t.TempDir()
	k := &kitchen{t: t, dir: filepath.Join(home, "module")}
	var config []string
	for _, name := range []string{"build1", "build2"} {
		content, err := os.ReadFile(sshd.Start(t, sshd.Options{Name: name}).Config)
		if err != nil {
			t.Fatal(err)
		}
		config = append(config, string(content))
	}
	file := filepath.Join(home, ".ssh", "config")
	k.write(file, strings.Join(config, "\n"), 0o600)
	if ssh, err := exec.LookPath("ssh"); err == nil { // it takes no notice of HOME
		k.write(filepath.Join(bin, "ssh"), fmt.Sprintf("#!/bin/sh\nexec %s -F %s \"$@\"\n", ssh, file), 0o700)
	}
	k.write(filepath.Join(k.dir, "go.mod"), "module example.com/module\n\ngo 1.26\n", 0o600)
	k.write(filepath.Join(k.dir, "testdata", "it.golden"), "old", 0o600)
	k.write(filepath.Join(k.dir, "module_test.go"), kitchenTest, 0o600)
	k.container = k.makeContainer(filepath.Join(bin, "docker"), t.TempDir())

	k.addrs = strings.NewReplacer("127.0.0.1:8888", freeAddress(t), "127.0.0.1:7777", freeAddress(t))
	for key, value := range goEnvironment(t) {
		k.env = append(k.env, key+"="+value)
	}
	k.env = append(k.env, "HOME="+home, "CI=true", "XDIST_CACHE="+storeDir(t), "XDIST_MIRROR="+t.TempDir(),
		"PATH="+strings.Join([]string{filepath.Dir(xdist(t)), bin, os.Getenv("PATH")}, string(os.PathListSeparator)))
	return k
}

const kitchenTest = `package module

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "")

func TestGolden(t *testing.T) {
	if *update {
		if err := os.WriteFile("testdata/it.golden", []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.ReadFile("testdata/it.golden"); err != nil {
		t.Error(err)
	}
}

func TestOther(t *testing.T) {}
`

func (k *kitchen) write(name, content string, mode os.FileMode) {
	k.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		k.t.Fatal(err)
	}
}

// makeContainer makes the script that stands for docker. It returns why there can be none.
func (k *kitchen) makeContainer(docker, root string) string {
	k.t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return "there is no busybox for a container (Debian has it in busybox)"
	}
	libraries, _ := exec.Command("ldd", busybox).Output() // fails for one that needs none
	for _, name := range append(regexp.MustCompile(`/\S+`).FindAllString(string(libraries), -1), busybox) {
		content, err := os.ReadFile(name)
		if err != nil {
			k.t.Fatal(err)
		}
		if name == busybox {
			name = "/bin/busybox"
		}
		k.write(filepath.Join(root, name), string(content), 0o700)
	}
	for _, dir := range []string{"dev", "proc", "tmp", "root"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o700); err != nil {
			k.t.Fatal(err)
		}
	}
	k.write(docker, fmt.Sprintf(`#!/bin/sh
case $1 in
run | rm) exit 0 ;;
exec) shift 3 ;; # -i box
esac
exec unshare -m sh -c 'mount --rbind /dev %[1]s/dev && mount -t proc none %[1]s/proc && exec chroot %[1]s /bin/env -i HOME=/root PATH=/bin "$@"' sh "$@"
`, root), 0o700)
	if out, err := exec.Command("unshare", "-m", "chroot", root, "/bin/busybox", "--install", "-s", "/bin").CombinedOutput(); err != nil {
		return fmt.Sprintf("this user cannot make a container, or busybox does not start there: %v: %s", err, out)
	}
	if out, err := exec.Command(docker, "exec", "-i", "box", "sh", "-c", "echo works").CombinedOutput(); string(out) != "works\n" {
		return fmt.Sprintf("the container does not start: %v: %s", err, out)
	}
	return ""
}

// cook runs a recipe. A server ends with the test.
func (k *kitchen) cook(t *testing.T, r recipe) {
	t.Helper()
	commands := k.addrs.Replace(r.commands)
	if r.server {
		k.serve("exec " + commands)
		return
	}
	e := command(t, k.dir, k.env, "sh", "-eu", "-c", commands)
	t.Logf("%s%s%s", commands, e.stdout, e.stderr)
	if e.status != 0 {
		t.Errorf("exit status %d", e.status)
	}
	if strings.Contains(commands, "./...") && !regexp.MustCompile(`PASS  \d+ tests? `).MatchString(e.stdout) {
		t.Error("not everything has passed")
	}
}

// serve starts what goes on in the background and waits until it says so.
func (k *kitchen) serve(commands string) {
	k.t.Helper()
	cmd := exec.Command("sh", "-eu", "-c", commands)
	cmd.Dir, cmd.Env, cmd.WaitDelay = k.dir, append(os.Environ(), k.env...), 10*time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); !strings.HasPrefix(line, "xdist: serving on 127.0.0.1:") && !strings.HasPrefix(line, "xdist: joining 127.0.0.1:") {
		k.t.Errorf("the server said %q, %v", line, err)
	}
}
