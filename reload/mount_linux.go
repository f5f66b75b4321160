package reload

import "os"

// isMount reports whether something is mounted at exactly this path.
func isMount(path string) bool {
	data, err := os.ReadFile("/proc/self/mountinfo")
	return err == nil && mountedAt(string(data), path)
}
