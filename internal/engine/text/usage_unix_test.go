//go:build unix

package text_test

import (
	"runtime"

	"golang.org/x/sys/unix"
)

func usage() unix.Rusage {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return u
}

// processorSeconds returns the user and system time that the process has used on all cores.
func processorSeconds() float64 {
	u := usage()
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// peakMiB returns the largest resident size that the process ever had.
func peakMiB() float64 {
	unit := 1024.0 // Linux counts KiB
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return float64(usage().Maxrss) * unit / (1 << 20)
}
