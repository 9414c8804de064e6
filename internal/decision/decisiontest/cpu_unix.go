//go:build unix

package decisiontest

import (
	"syscall"
	"testing"
	"time"
)

// ReportCPU adds the processor time of one iteration to a benchmark: on a busy machine the clock says little. Call the result after the loop.
func ReportCPU(b *testing.B) func() {
	b.Helper()
	begin := cpuTime()
	return func() { b.ReportMetric(float64(cpuTime()-begin)/float64(b.N), "cpu-ns/op") }
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
