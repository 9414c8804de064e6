package decisiontest

import (
	"slices"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

// TextModel trains a real text model on a few rows, each a label and a text, and opens it. It takes some milliseconds.
func TextModel(tb testing.TB, rows ...[2]string) engine.Predictor {
	tb.Helper()
	var labels []string
	var all []text.Row
	for _, r := range rows {
		i := slices.Index(labels, r[0])
		if i < 0 {
			i, labels = len(labels), append(labels, r[0])
		}
		all = append(all, text.Row{Text: r[1], Labels: []int32{int32(i)}})
	}
	s := text.DefaultSettings()
	s.Buckets = 1 << 12
	m, err := text.Train(tb.Context(), all, nil, labels, -1, s, nil)
	if err != nil {
		tb.Fatal(err)
	}
	artifact, err := m.Encode(nil)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := load.Parse(artifact)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p
}
