package record_test

import (
	"context"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/record"
)

func benchmarkTrain(b *testing.B, method record.Method) {
	b.Helper()
	c := load(b, "adult_income")
	rows := c.held()
	s := record.DefaultSettings()
	s.Method = method
	var m *record.Model
	rounds := 0
	for b.Loop() {
		var err error
		rounds = 0
		if m, err = record.Train(context.Background(), rows, nil, c.labels, -1, s, func(record.Progress) { rounds++ }); err != nil {
			b.Fatal(err)
		}
	}
	accuracy, auc := quality(b, open(b, m), c.test)
	b.ReportMetric(100*accuracy, "%accuracy")
	b.ReportMetric(auc, "AUC")
	b.ReportMetric(float64(rounds), "rounds")
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
	for b.Loop() {
		if err := p.Predict(engine.Input{Record: c.test[i%len(c.test)].Record}, probs); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkPredictAdultTrees answers one record with trees.
func BenchmarkPredictAdultTrees(b *testing.B) { benchmarkPredict(b, record.Trees) }

// BenchmarkPredictAdultLinear answers one record with the linear model.
func BenchmarkPredictAdultLinear(b *testing.B) { benchmarkPredict(b, record.Linear) }
