package main

import "testing"

func TestGarbageIsBounded(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 200, 10 << 20: 200, 48 << 20: 200, 96 << 20: 100, 160 << 20: 60, 1 << 30: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes live: %d percent, want %d", live, got, want)
		}
	}
}
