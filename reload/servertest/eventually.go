package servertest

import "time"

// Eventually calls f until it returns nil, and fails the test with its last error when it still doesn't
// after the timeout. It is the one place where tests wait for something outside their own process.
func Eventually(t TB, timeout time.Duration, f func() error) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(timeout)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not after %v: %v", timeout, err)
		}
		<-ticker.C
	}
}
