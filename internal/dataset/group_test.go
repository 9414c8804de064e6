package dataset_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/dataset"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// crowd makes rows of persons who write now and then, sometimes what another wrote before with a word changed.
func crowd(n int, seed uint64) []dataset.Row {
	random := rand.New(rand.NewPCG(seed, 1))
	words := strings.Fields("printer laptop invoice password the my again please since morning cannot broken paid twice login screen order late never arrived refund")
	sentence := func() []string {
		out := make([]string, 12)
		for i := range out {
			out[i] = words[random.IntN(len(words))] + fmt.Sprint(random.IntN(50))
		}
		return out
	}
	rows := make([]dataset.Row, n)
	for i := range rows {
		text := sentence()
		if i > 0 && random.IntN(10) == 0 { // copied with one word changed: likeness about 0.9
			text = strings.Fields(rows[random.IntN(i)].Text)
			text[len(text)-1] += "!"
		}
		rows[i] = dataset.Row{
			Line: i + 1, Text: strings.Join(text, " "), Labels: []string{"a"}, Person: fmt.Sprintf("p%d", random.IntN(n/3)),
			Time: epoch.Add(time.Duration(i) * time.Minute),
		}
	}
	return rows
}

func TestNoPersonAndNoNearCopyIsOnBothSides(t *testing.T) {
	t.Parallel()
	for _, method := range []string{dataset.SplitRandom, dataset.SplitTime} {
		for seed := range uint64(5) {
			rows := crowd(600, seed)
			found := dataset.Group(rows, 0.8)
			if found.NearDuplicates < 20 {
				t.Fatalf("only %d near copies found", found.NearDuplicates)
			}
			sides, err := dataset.Divide(rows, dataset.Split{Method: method, TestShare: 0.3, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			parts := map[dataset.Side][]dataset.Row{}
			for i, side := range sides {
				parts[side] = append(parts[side], rows[i])
			}
			if len(parts[dataset.Train]) < 100 || len(parts[dataset.Test]) == 0 {
				t.Errorf("%s: %d rows train, %d test", method, len(parts[dataset.Train]), len(parts[dataset.Test]))
			}
			if n := dataset.Leaks(parts[dataset.Train], parts[dataset.Test]); n != 0 {
				t.Errorf("%s: %d rows leak", method, n)
			}
			// Leaks must be able to find one.
			if n := dataset.Leaks(parts[dataset.Train], parts[dataset.Train][:1]); n != 1 {
				t.Errorf("a row that stands in both is not found")
			}
			if method != dataset.SplitTime {
				continue
			}
			for _, test := range parts[dataset.Test] {
				for _, train := range parts[dataset.Train][len(parts[dataset.Train])-1:] {
					if !train.Time.Before(test.Time) {
						t.Fatalf("a row of %v trains, one of %v tests", train.Time, test.Time)
					}
				}
			}
		}
	}
}

func TestAGroupStaysOnItsSideWhenTheDataGrows(t *testing.T) {
	t.Parallel()
	all := crowd(900, 3)
	sideOf := func(rows []dataset.Row) map[int]dataset.Side {
		rows = append([]dataset.Row(nil), rows...)
		dataset.Group(rows, 0.8)
		sides, err := dataset.Divide(rows, dataset.Split{Method: dataset.SplitRandom, TestShare: 0.3, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		out := map[int]dataset.Side{}
		for i, s := range sides {
			out[rows[i].Line] = s
		}
		return out
	}
	before, after := sideOf(all[:600]), sideOf(all)
	moved := 0
	for line, side := range before {
		if after[line] != side {
			moved++
		}
	}
	// Only groups that new rows have joined together may move.
	if moved > 120 {
		t.Errorf("%d of 600 rows changed sides", moved)
	}
}

func TestRowsWithoutTimesAreNotDividedByTime(t *testing.T) {
	t.Parallel()
	rows := crowd(50, 1)
	for i := range rows {
		rows[i].Time = time.Time{}
	}
	dataset.Group(rows, 0)
	if _, err := dataset.Divide(rows, dataset.Split{Method: dataset.SplitTime, TestShare: 0.2}); err == nil || !strings.Contains(err.Error(), "0 of 50 rows have a time") {
		t.Errorf("got %v", err)
	}
}
