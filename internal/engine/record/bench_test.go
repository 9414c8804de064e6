//go:build unix

package record_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/record"
)

// cpu returns the processor time of this process: unlike wall time it means something on a shared machine.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func benchmarkTrain(b *testing.B, method record.Method) {
	b.Helper()
	c := load(b, "adult_income")
	rows := c.held()
	s := record.DefaultSettings()
	s.Method = method
	var m *record.Model
	rounds := 0
	start := cpu(b)
	for b.Loop() {
		var err error
		rounds = 0
		if m, err = record.Train(context.Background(), rows, nil, c.labels, -1, s, func(record.Progress) { rounds++ }); err != nil {
			b.Fatal(err)
		}
	}
	spent := cpu(b) - start
	accuracy, auc := quality(b, open(b, m), c.test)
	b.ReportMetric(100*accuracy, "%accuracy")
	b.ReportMetric(auc, "AUC")
	b.ReportMetric(float64(rounds), "rounds")
	b.ReportMetric(spent.Seconds()/float64(b.N), "cpu-s/train")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/train")
}

// BenchmarkTrainAdult trains trees on adult_income without a tenth of the training rows.
func BenchmarkTrainAdult(b *testing.B) { benchmarkTrain(b, record.Trees) }

// BenchmarkTrainAdultLinear does the same with the linear model.
func BenchmarkTrainAdultLinear(b *testing.B) { benchmarkTrain(b, record.Linear) }

func benchmarkPredict(b *testing.B, method record.Method) {
	b.Helper()
	c := load(b, "adult_income")
	s := record.DefaultSettings()
	s.Method = method
	m, err := record.Train(context.Background(), c.held(), nil, c.labels, -1, s, nil)
	if err != nil {
		b.Fatal(err)
	}
	p, probs, i := open(b, m), make([]float32, 2), 0
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		if err := p.Predict(engine.Input{Record: c.test[i%len(c.test)].Record}, probs); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/float64(b.N), "cpu-ns/record")
}

// BenchmarkPredictAdultTrees answers one record with trees.
func BenchmarkPredictAdultTrees(b *testing.B) { benchmarkPredict(b, record.Trees) }

// BenchmarkPredictAdultLinear answers one record with the linear model.
func BenchmarkPredictAdultLinear(b *testing.B) { benchmarkPredict(b, record.Linear) }

// TestTrainingAdultTakesFewSeconds looks at processor time, which other processes on the machine change little. It runs alone.
func TestTrainingAdultTakesFewSeconds(t *testing.T) { //nolint:paralleltest // measures this process
	if raceEnabled {
		t.Skip("the race detector is on")
	}
	c := load(t, "adult_income")
	s := record.DefaultSettings()
	s.Method = record.Trees
	start := cpu(t)
	train(t, c.held(), c.labels, s)
	if spent := cpu(t) - start; spent > 5*time.Second {
		t.Errorf("training took %v of processor time, limit 5 s", spent)
	} else {
		t.Logf("training took %v of processor time", spent.Round(time.Millisecond))
	}
}
