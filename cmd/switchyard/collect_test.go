package main

import "testing"

func TestGarbageIsBounded(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 200, 10 << 20: 200, 32 << 20: 200, 64 << 20: 100, 100 << 20: 64, 1 << 30: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes live: %d percent, want %d", live, got, want)
		}
	}
}
