package gateway

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// cpuQuota returns how many processors' time the control groups of this process grant.
func cpuQuota() (float64, bool) { return cgroupQuota(os.DirFS("/")) }

// cgroupQuota reads the quota under the root of a file system: the smallest of the process's group
// and the groups around it, as the kernel applies all of them.
func cgroupQuota(root fs.FS) (quota float64, ok bool) {
	membership, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	lines := bufio.NewScanner(bytes.NewReader(membership))
	for lines.Scan() {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		read, mount := quotaV2, "sys/fs/cgroup"
		if parts[1] != "" {
			if !strings.Contains(","+parts[1]+",", ",cpu,") {
				continue
			}
			read, mount = quotaV1, "sys/fs/cgroup/cpu"
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			if q, found := read(root, path.Join(mount, dir)); found && (!ok || q < quota) {
				quota, ok = q, true
			}
			if dir == "/" {
				break
			}
		}
	}
	return quota, ok
}

// quotaV2 reads cpu.max, "<quota or max> <period>".
func quotaV2(root fs.FS, dir string) (float64, bool) {
	b, err := fs.ReadFile(root, path.Join(dir, "cpu.max"))
	if err != nil {
		return 0, false
	}
	quota, period, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	return ratio(quota, period)
}

// quotaV1 reads cpu.cfs_quota_us, which is -1 for none, and cpu.cfs_period_us.
func quotaV1(root fs.FS, dir string) (float64, bool) {
	quota, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return 0, false
	}
	period, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return 0, false
	}
	return ratio(strings.TrimSpace(string(quota)), strings.TrimSpace(string(period)))
}

func ratio(quota, period string) (float64, bool) {
	q, err := strconv.ParseFloat(quota, 64)
	if err != nil || q <= 0 {
		return 0, false
	}
	p, err := strconv.ParseFloat(period, 64)
	if err != nil || p <= 0 {
		return 0, false
	}
	return q / p, true
}
