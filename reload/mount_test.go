package reload

import "testing"

func TestMountedAt(t *testing.T) {
	const mountinfo = `21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
35 21 254:0 /home/a/prometheus.yml /etc/prometheus/prometheus.yml rw,relatime - ext4 /dev/vda rw
36 21 254:0 /home/b/with\040blank /etc/with\040blank\134 rw,relatime shared:1 - ext4 /dev/vda rw
37 21 0:25 / /proc rw - proc proc rw
broken
`
	for path, want := range map[string]bool{
		"/etc/prometheus/prometheus.yml":  true,
		"/etc/prometheus":                 false,
		"/etc/prometheus/prometheus.yaml": false,
		`/etc/with blank\`:                true,
		"/home/a/prometheus.yml":          false,
		"/":                               true,
	} {
		if got := mountedAt(mountinfo, path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if !isMount("/proc") || isMount("/proc/self") {
		t.Error("the mounts of this process aren't known")
	}
}
