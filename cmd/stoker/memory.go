package main

import "github.com/KimMachineGun/automemlimit/memlimit"

// programPages is how much of a container's memory is left for what isn't on the heap: the pages of the program and of
// the files that it reads and writes. They count too, and the kernel takes them away first; a program that has to read
// its own code from disk over and over comes to a standstill instead of being killed. Measured with a limit of 96 MiB,
// 1,000 rule files and 1,000 contacts: of the program 32 MB are in use, and 45 MB of the heap.
const programPages = 40 << 20

// limitHeap tells the garbage collector how much memory there is in this container, so that it works harder rather than
// ask for more. The variable GOMEMLIMIT comes first. Where nothing is limited nothing changes.
func limitHeap() error {
	_, err := memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(1), memlimit.WithProvider(func() (uint64, error) {
		limit, err := memlimit.FromCgroup()
		return heapOf(limit), err
	}))
	return err
}

// heapOf is the heap that fits into a container's limit, in bytes: at least half of it.
func heapOf(limit uint64) uint64 { return limit - min(limit/2, programPages) }
