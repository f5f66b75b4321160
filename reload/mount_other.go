//go:build !linux

package reload

// isMount is known on Linux only, which containers run on.
func isMount(string) bool { return false }
