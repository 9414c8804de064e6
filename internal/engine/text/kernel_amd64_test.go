package text

import (
	"bytes"
	"context"
	"fmt"
	"testing"
)

// Not parallel: it switches the assembly off for the whole package.
func TestModelsAndAnswersAreTheSameWithoutAssembly(t *testing.T) {
	if !fast {
		t.Skip("this processor runs the Go loops anyway")
	}
	var rows []Row
	var labels []string
	for l := range 77 {
		labels = append(labels, fmt.Sprintf("label %d", l))
		for i := range 4 {
			rows = append(rows, Row{Text: fmt.Sprintf("word%d other%d and number %d", l, l*7%50, i), Labels: []int32{int32(l)}})
		}
	}
	s := DefaultSettings()
	s.Buckets, s.MaxEpochs = 1<<12, 5
	train := func() ([]byte, []float32) {
		m, err := Train(context.Background(), rows, rows[:50], labels, -1, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float32, len(labels))
		m.Logits("word3 and other21 with more words", out)
		return b, out
	}
	b, out := train()
	fast = false
	defer func() { fast = true }()
	c, slow := train()
	if !bytes.Equal(b, c) || fmt.Sprint(out) != fmt.Sprint(slow) {
		t.Error("the Go loops train or answer differently")
	}
}
