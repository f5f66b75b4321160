package servertest

import "net"

// FreeAddress returns a loopback address that nobody listens at, for what can't be told to let the kernel pick one.
func FreeAddress(t TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer l.Close()
	return l.Addr().String()
}
