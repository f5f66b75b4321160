package main

import "testing"

// A small container keeps half of its memory for the program itself, a large one is used.
func TestHeapOfAContainer(t *testing.T) {
	for limit, want := range map[uint64]uint64{0: 0, 32 << 20: 16 << 20, 96 << 20: 56 << 20, 1 << 30: 984 << 20} {
		if got := heapOf(limit); got != want {
			t.Errorf("heap in a container of %d MiB is %d MiB, want %d", limit>>20, got>>20, want>>20)
		}
	}
}
