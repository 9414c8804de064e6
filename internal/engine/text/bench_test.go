package text_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

// banking is the model that the prediction benchmarks share, with the texts to ask it.
var banking = sync.OnceValues(func() (*text.Model, error) {
	m, err := text.Train(context.Background(), bankingSet.train, nil, bankingSet.labels, -1, text.DefaultSettings(), nil)
	return m, err
})

var bankingSet *set

func bankingModel(b *testing.B) (*text.Predictor, []text.Row) {
	b.Helper()
	if bankingSet == nil {
		bankingSet = loadSet(b, "banking77/train.jsonl.gz", "banking77/test.jsonl.gz", true)
	}
	m, err := banking()
	if err != nil {
		b.Fatal(err)
	}
	return open(b, encode(b, m)), bankingSet.test
}

func benchmarkPredict(b *testing.B, p *text.Predictor, texts []string) {
	b.Helper()
	out := make([]float32, len(p.Info().Labels))
	for _, t := range texts[:min(100, len(texts))] {
		if err := p.Predict(engine.Input{Text: t}, out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	before := processorSeconds()
	b.ResetTimer()
	for i := range b.N {
		_ = p.Predict(engine.Input{Text: texts[i%len(texts)]}, out)
	}
	// Other processes may have the cores in between: the processor time says what a text costs.
	b.ReportMetric((processorSeconds()-before)*1e6/float64(b.N), "cpu-µs/text")
}

// BenchmarkPredictBanking77 scores the test texts of banking77 (77 labels). Figure: at most 15 µs and no allocation a text.
func BenchmarkPredictBanking77(b *testing.B) {
	p, rows := bankingModel(b)
	var texts []string
	for _, r := range rows {
		texts = append(texts, r.Text)
	}
	benchmarkPredict(b, p, texts)
}

// BenchmarkPredict4KiB scores 4 KiB of running text with 77 labels. Figure: at most 700 µs.
func BenchmarkPredict4KiB(b *testing.B) {
	p, rows := bankingModel(b)
	var all strings.Builder
	var texts []string
	for _, r := range rows {
		all.WriteString(r.Text + " ")
		if all.Len() >= 4096 {
			texts = append(texts, all.String()[:4096])
			all.Reset()
		}
	}
	benchmarkPredict(b, p, texts)
}

// BenchmarkPredict1024Labels scores short texts with 1,024 labels. Figure: at most 70 µs.
func BenchmarkPredict1024Labels(b *testing.B) {
	if bankingSet == nil {
		bankingSet = loadSet(b, "banking77/train.jsonl.gz", "banking77/test.jsonl.gz", true)
	}
	var rows []text.Row
	var texts, labels []string
	for i, r := range bankingSet.train[:3000] {
		rows = append(rows, text.Row{Text: r.Text, Labels: []int32{int32(i % 1024)}})
	}
	for _, r := range bankingSet.test {
		texts = append(texts, r.Text)
	}
	for i := range 1024 {
		labels = append(labels, fmt.Sprintf("label %d", i))
	}
	s := text.DefaultSettings()
	s.MaxEpochs = 1
	m, err := text.Train(context.Background(), rows, nil, labels, -1, s, nil)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkPredict(b, open(b, encode(b, m)), texts)
}

// BenchmarkTrainBanking77 trains on nine tenths of banking77. Figures: at least 91.7 % accuracy on its test set, at most 5 s of processor time over all
// cores, at most 600 MiB of memory (of the whole test process).
func BenchmarkTrainBanking77(b *testing.B) {
	d := loadSet(b, "banking77/train.jsonl.gz", "banking77/test.jsonl.gz", true)
	var acc, cpu float64
	for b.Loop() {
		before := processorSeconds()
		m, err := text.Train(context.Background(), d.train, d.held, d.labels, -1, text.DefaultSettings(), nil)
		if err != nil {
			b.Fatal(err)
		}
		cpu += processorSeconds() - before
		acc = accuracy(m, d.test, -1)
	}
	b.ReportMetric(acc, "%accuracy")
	b.ReportMetric(cpu/float64(b.N), "cpu-s/op")
	b.ReportMetric(peakMiB(), "peak-MiB")
}
