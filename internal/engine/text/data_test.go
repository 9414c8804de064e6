package text_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"hash/fnv"
	"os"
	"sort"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine/text"
	"github.com/switchyard-ai/switchyard/internal/testkit/data"
)

type example struct{ Text, Label string }

func readSet(tb testing.TB, name string) []example {
	tb.Helper()
	f, err := os.Open(data.Path(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var out []example
	for lines := json.NewDecoder(bufio.NewReader(z)); lines.More(); {
		var e example
		if err := lines.Decode(&e); err != nil {
			tb.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// set is a data set with its labels as numbers. Held holds the tenth of the training rows that the pipeline keeps for
// calibration and certification; it is chosen by a hash of the text, so equal texts stay together.
type set struct {
	labels            []string
	oos               int
	train, held, test []text.Row
}

func loadSet(tb testing.TB, train, test string, hold bool) *set {
	tb.Helper()
	rows := readSet(tb, train)
	s := &set{oos: -1}
	index := map[string]int32{}
	for _, e := range rows {
		index[e.Label] = 0
	}
	for l := range index {
		s.labels = append(s.labels, l)
	}
	sort.Strings(s.labels)
	for i, l := range s.labels {
		index[l] = int32(i)
		if l == "oos" {
			s.oos = i
		}
	}
	for _, e := range rows {
		r := text.Row{Text: e.Text, Labels: []int32{index[e.Label]}}
		h := fnv.New32a()
		h.Write([]byte(e.Text))
		if hold && h.Sum32()*0x9E3779B1>>16%10 == 0 {
			s.held = append(s.held, r)
		} else {
			s.train = append(s.train, r)
		}
	}
	for _, e := range readSet(tb, test) {
		s.test = append(s.test, text.Row{Text: e.Text, Labels: []int32{index[e.Label]}})
	}
	return s
}

// accuracy returns the share of rows, in percent, whose label has the highest logit; rows of the label skip do not count.
func accuracy(m *text.Model, rows []text.Row, skip int) float64 {
	out := make([]float32, m.Labels())
	right, n := 0, 0
	for _, r := range rows {
		if int(r.Labels[0]) == skip {
			continue
		}
		m.Logits(r.Text, out)
		best := 0
		for l, x := range out {
			if x > out[best] {
				best = l
			}
		}
		n++
		if int32(best) == r.Labels[0] {
			right++
		}
	}
	return 100 * float64(right) / float64(n)
}
