package bus_test

import (
	"fmt"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/bus"
)

// BenchmarkPublishBatch shows what batching is worth: messages per second that an embedded server has on disk.
func BenchmarkPublishBatch(b *testing.B) {
	for _, n := range []int{1, 32, 64, 256, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, b.TempDir(), bus.Default())
			wait(b, s)
			msgs := make([]bus.Msg, n)
			round := 0
			for b.Loop() {
				for i := range msgs {
					msgs[i] = bus.Msg{Subject: "switchyard.p.decisions", ID: fmt.Sprint(round, "-", i), Data: make([]byte, 500)}
				}
				round++
				if err := s.PublishBatch(b.Context(), msgs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(round*n)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}

// BenchmarkStart is the time from Start to a reachable stream, on an empty store.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s := open(b, b.TempDir(), bus.Default())
		wait(b, s)
		b.ReportMetric(float64(s.Stats().StartTime.Milliseconds()), "ms-to-ready")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
