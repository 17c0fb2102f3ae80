package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// goDirs are the directories of the go command here: its toolchains, sources and caches.
func goDirs(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "-json", "GOROOT", "GOPATH", "GOMODCACHE", "GOCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("ask the go command for its directories: %w", err)
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		return nil, fmt.Errorf("ask the go command for its directories: %w", err)
	}
	var dirs []string
	for _, list := range env {
		dirs = append(dirs, filepath.SplitList(list)...)
	}
	if name, err := exec.LookPath("go"); err == nil {
		if name, err = filepath.EvalSymlinks(name); err == nil {
			dirs = append(dirs, filepath.Dir(filepath.Dir(name)))
		}
	}
	return dirs, nil
}

// shared are the directories of the machine that a host has, read-only.
var shared = [...]string{"/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// newRoot is where the host's root is put together: a directory that every machine has, and that
// this process needs no more.
const newRoot = "/tmp"

// makeRoot gives this mount namespace a root of its own.
func makeRoot(t task) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("leave the machine's mounts: %w", err)
	}
	if err := mount("tmpfs", newRoot, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	if err := furnish(t); err != nil {
		return err
	}
	if err := unix.PivotRoot(newRoot, filepath.Join(newRoot, "mnt")); err != nil {
		return fmt.Errorf("take the new root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/mnt", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the machine's root: %w", err)
	}
	return nil
}

// furnish fills the new root.
func furnish(t task) error {
	for dir, mode := range map[string]fs.FileMode{
		"/root": 0o700, "/home": 0o755, "/tmp": 0o777 | fs.ModeSticky, "/var/tmp": 0o777 | fs.ModeSticky, "/var/empty": 0o755, "/var/log": 0o755,
		"/var/cache": 0o755, "/run/sshd": 0o755, "/proc": 0o555, "/sys": 0o555, "/dev": 0o755, "/mnt": 0o755, "/opt": 0o755, "/srv": 0o755,
	} {
		if err := os.MkdirAll(newRoot+dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(newRoot+dir, mode); err != nil {
			return err
		}
	}
	if err := os.Symlink("../run", newRoot+"/var/run"); err != nil {
		return err
	}
	for _, dir := range shared {
		if err := share(dir); err != nil {
			return err
		}
	}
	for _, dir := range t.Hide {
		if err := hide(dir); err != nil {
			return err
		}
	}
	if err := unlock(t.Name); err != nil {
		return err
	}
	for _, d := range t.Disks {
		if err := d.mount(); err != nil {
			return err
		}
	}
	if err := mount("proc", newRoot+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	if err := mount("sysfs", newRoot+"/sys", "sysfs", unix.MS_RDONLY, ""); err != nil {
		return err
	}
	return devices()
}

func mount(source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	return nil
}

// share gives the host a directory of the machine, or the link that it is.
func share(dir string) error {
	fi, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if fi.Mode().Type() == fs.ModeSymlink {
		target, err := os.Readlink(dir)
		if err != nil {
			return err
		}
		return os.Symlink(target, newRoot+dir)
	}
	if err := os.Mkdir(newRoot+dir, 0o755); err != nil {
		return err
	}
	if err := mount(dir, newRoot+dir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return mount("", newRoot+dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
}

// hide makes a directory of the machine an empty one, if the host would see it.
func hide(dir string) error {
	if dir == "" || dir == "/" || dir == "/usr" {
		return nil
	}
	if fi, err := os.Stat(newRoot + dir); err != nil || !fi.IsDir() {
		return nil
	}
	return mount("tmpfs", newRoot+dir, "tmpfs", unix.MS_RDONLY, "mode=755")
}

// unlock makes sure that sshd lets users in whose passwords are locked, and that the host knows its
// own name.
func unlock(name string) error {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	var shadow strings.Builder
	for line := range strings.Lines(string(passwd)) {
		user, _, _ := strings.Cut(line, ":")
		fmt.Fprintf(&shadow, "%s:*:19000:0:99999:7:::\n", strings.TrimSpace(user))
	}
	for file, content := range map[string]string{
		"shadow": shadow.String(), "hosts": "127.0.0.1 localhost\n127.0.1.1 " + name + "\n", "hostname": name + "\n", "resolv.conf": "",
	} {
		own := newRoot + "/run/etc-" + file
		if err := os.WriteFile(own, []byte(content), 0o644); err != nil {
			return err
		}
		target := newRoot + "/etc/" + file
		if fi, err := os.Lstat(target); err != nil || !fi.Mode().IsRegular() {
			continue // the machine does without
		}
		if err := mount(own, target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

func (d Disk) mount() error {
	fi, err := os.Stat(newRoot + d.Dir)
	if err != nil {
		return err
	}
	data := fmt.Sprintf("mode=%o", fi.Mode().Perm())
	if fi.Mode()&fs.ModeSticky != 0 {
		data = fmt.Sprintf("mode=1%o", fi.Mode().Perm())
	}
	if d.Size > 0 {
		data += fmt.Sprintf(",size=%d", d.Size)
	}
	var flags uintptr
	if d.NoExec {
		flags = unix.MS_NOEXEC
	}
	return mount("tmpfs", newRoot+d.Dir, "tmpfs", flags, data)
}

// devices makes the few that programs need.
func devices() error {
	dev := newRoot + "/dev"
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := os.WriteFile(filepath.Join(dev, name), nil, 0o666); err != nil {
			return err
		}
		if err := mount("/dev/"+name, filepath.Join(dev, name), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	for _, fsys := range []struct{ name, kind, data string }{{"pts", "devpts", "newinstance,ptmxmode=0666,mode=620"}, {"shm", "tmpfs", "mode=1777"}} {
		if err := os.Mkdir(filepath.Join(dev, fsys.name), 0o755); err != nil {
			return err
		}
		if err := mount(fsys.kind, filepath.Join(dev, fsys.name), fsys.kind, unix.MS_NOSUID|unix.MS_NODEV, fsys.data); err != nil {
			return err
		}
	}
	return nil
}
