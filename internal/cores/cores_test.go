package cores

import (
	"runtime"
	"testing"
)

func TestSpareThreadsAreNoProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() {
		runtime.GOMAXPROCS(before)
		count.Store(0)
	})
	t.Setenv("GOMAXPROCS", "3")
	if Spare(); runtime.GOMAXPROCS(0) != before || Count() != before {
		t.Errorf("%d threads, %d processors although somebody has chosen", runtime.GOMAXPROCS(0), Count())
	}
	t.Setenv("GOMAXPROCS", "")
	if Spare(); runtime.GOMAXPROCS(0) != before+spare || Count() != before {
		t.Errorf("%d threads, %d processors; want %d and %d", runtime.GOMAXPROCS(0), Count(), before+spare, before)
	}
}
