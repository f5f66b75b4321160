package sidecar

import (
	"runtime/debug"
	runtimemetrics "runtime/metrics"
)

// largePass is how many bytes a pass must have allocated to be worth a collection of its own.
const largePass = 4 << 20

// allocated is how many bytes this process has allocated so far.
func allocated() uint64 {
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	runtimemetrics.Read(sample)
	return sample[0].Value.Uint64()
}

// giveBack returns to the system what a pass needed and nobody does any more: the collector would keep it for the next
// one, which may be days away.
func giveBack(before uint64) {
	if allocated()-before >= largePass {
		debug.FreeOSMemory()
	}
}
