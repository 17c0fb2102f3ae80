package gateway

import (
	"testing"
	"testing/fstest"
)

func TestCgroupQuota(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for _, tc := range []struct {
		name  string
		files fstest.MapFS
		want  float64
		ok    bool
	}{
		{"none", fstest.MapFS{}, 0, false},
		{"v2 unlimited", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/cpu.max": file("max 100000\n")}, 0, false},
		{"v2", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/cpu.max": file("150000 100000\n")}, 1.5, true},
		{"v2 of a parent", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"),
			"sys/fs/cgroup/a/b/cpu.max": file("400000 100000\n"), "sys/fs/cgroup/a/cpu.max": file("200000 100000\n")}, 2, true},
		{"v1", fstest.MapFS{"proc/self/cgroup": file("4:memory:/m\n3:cpu,cpuacct:/d\n"),
			"sys/fs/cgroup/cpu/d/cpu.cfs_quota_us": file("300000\n"), "sys/fs/cgroup/cpu/d/cpu.cfs_period_us": file("100000\n")}, 3, true},
		{"v1 unlimited", fstest.MapFS{"proc/self/cgroup": file("3:cpu:/\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": file("-1\n"), "sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n")}, 0, false},
		{"nonsense", fstest.MapFS{"proc/self/cgroup": file("x\n0::/\n"), "sys/fs/cgroup/cpu.max": file("a b c")}, 0, false},
	} {
		if got, ok := cgroupQuota(tc.files); got != tc.want || ok != tc.ok {
			t.Errorf("%s: got %v, %v; want %v, %v", tc.name, got, ok, tc.want, tc.ok)
		}
	}
}
