package main

import "testing"

func TestGarbageIsBounded(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 200, 10 << 20: 200, 20 << 20: 200, 32 << 20: 175, 64 << 20: 87, 100 << 20: 56, 128 << 20: 50, 1 << 30: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes live: %d percent, want %d", live, got, want)
		}
	}
}

func TestTheLimitOfMemoryLeavesRoomForGarbage(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int64{0: 224 << 20, 64 << 20: 224 << 20, 256 << 20: 328 << 20, 1 << 30: 1088<<20 + 56<<20} {
		if got := limitFor(live); got != want {
			t.Errorf("%d bytes live: limit %d, want %d", live, got, want)
		}
	}
}
