package main

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkCodecs reports what one operation costs in PHP; Go only starts it.
func BenchmarkCodecs(b *testing.B) {
	req := ownContracts(b)
	for b.Loop() {
		out, _ := runPHP(b, "bench.php", req)
		for line := range strings.Lines(out) {
			var name string
			var value float64
			if _, err := fmt.Sscan(line, &name, &value); err != nil {
				b.Fatalf("%q: %v", line, err)
			}
			b.ReportMetric(value, name)
		}
	}
}
