package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strconv"
)

// Sizes below which training changes its ways.
const (
	holdBackRows   = 50 // fewer rows are all used for training: a tenth of them would judge nothing
	unwatchedRound = 50 // boosting rounds when no row is left to stop early
)

// Train learns labels from rows. Fields, their types and whether they may be missing come from rows, valid and Settings.Accept
// together; everything else is learned from rows alone, and valid decides when to stop. When valid is empty a tenth of the rows is held
// back for that, chosen by the seed and stratified by label; below 50 rows none is.
//
// outOfScope is the index of the label that means "none of the others", -1 for none. report may be nil; it is called from
// the calling goroutine. Train fails when a field has different types in different rows, when a number is not finite, when
// a label does not exist or when all rows have the same label; the error names the row (from 1;
// the rows of valid and then of Settings.Accept follow) and the field.
func Train(ctx context.Context, rows, valid []Row, names []string, outOfScope int, s Settings, report func(Progress)) (*Model, error) {
	if report == nil {
		report = func(Progress) {}
	}
	all, total, err := check(rows, valid, names, outOfScope, s)
	if err != nil {
		return nil, fmt.Errorf("train record model: %w", err)
	}
	if len(valid) == 0 {
		rows, valid = holdBack(rows, names, s)
	}
	if s.Method == Auto && len(valid) == 0 {
		s.Method = Linear // with so few rows the simpler model is the safer one
	}
	t := &trainer{ctx: ctx, all: all, total: total, rows: rows, valid: valid, names: names, outOfScope: outOfScope, s: s, report: report}
	var best *Model
	bestLoss := math.Inf(1)
	for _, m := range []Method{Linear, Trees} {
		if s.Method != Auto && s.Method != m {
			continue
		}
		model, loss, err := t.train(m)
		if err != nil {
			return nil, fmt.Errorf("train record model: %w", err)
		}
		if best == nil || loss < bestLoss {
			best, bestLoss = model, loss
		}
	}
	return best, nil
}

func check(rows, valid []Row, names []string, outOfScope int, s Settings) ([]field, int, error) {
	if err := s.Validate(); err != nil {
		return nil, 0, err
	}
	if len(rows) < 2 {
		return nil, 0, fmt.Errorf("%d training rows: a model needs rows of at least two labels", len(rows))
	}
	if len(rows) > math.MaxInt32 || len(valid) > math.MaxInt32 {
		return nil, 0, errors.New("too many rows")
	}
	if err := checkLabels(rows, valid, names, outOfScope, s.Task); err != nil {
		return nil, 0, err
	}
	accept := make([]Row, len(s.Accept))
	for i, r := range s.Accept {
		accept[i].Record = r
	}
	return fields(rows, valid, accept)
}

// holdBack divides the rows, a tenth of each label, in the order in which they came.
func holdBack(rows []Row, names []string, s Settings) (train, valid []Row) {
	if len(rows) < holdBackRows {
		return rows, nil
	}
	random := rand.New(rand.NewPCG(s.Seed, 0))
	groups := make([][]int, len(names)+1)
	for i := range rows {
		at := len(names) // no label
		if len(rows[i].Labels) > 0 {
			at = int(rows[i].Labels[0])
		}
		groups[at] = append(groups[at], i)
	}
	held := make([]bool, len(rows))
	for _, g := range groups {
		random.Shuffle(len(g), func(i, j int) { g[i], g[j] = g[j], g[i] })
		for _, i := range g[:len(g)/10] {
			held[i] = true
		}
	}
	for i := range rows {
		if held[i] {
			valid = append(valid, rows[i])
		} else {
			train = append(train, rows[i])
		}
	}
	if len(valid) == 0 || checkVariety(train, names, s.Task) != nil {
		return rows, nil
	}
	return train, valid
}

// trainer holds what both methods share.
type trainer struct {
	ctx         context.Context //nolint:containedctx // lives as long as one call of Train
	all         []field
	total       int
	rows, valid []Row
	names       []string
	outOfScope  int
	s           Settings
	report      func(Progress)
}

func (t *trainer) train(m Method) (*Model, float64, error) {
	s, goal := t.s, newObjective(t.s.Task, len(t.names))
	b := binning{numberBins: s.LinearBins, categories: s.MaxCategories, minCategoryRows: s.MinCategoryRows, workers: workers(s.Workers)}
	if m == Trees {
		b.numberBins = min(s.TreeBins, max(16, 65536/len(t.all))) // bounds the memory of histograms
		if len(t.valid) == 0 {
			s.Rounds = min(s.Rounds, unwatchedRound)
		}
	}
	if b.minCategoryRows == 0 {
		b.minCategoryRows = min(3, 1+len(t.rows)/100)
	}
	columns, notes := schema(t.all, t.total, t.rows, b)
	data := newTable(columns, t.rows, s.Task, len(t.names), b.workers)
	valid := newTable(columns, t.valid, s.Task, len(t.names), b.workers)
	var parts parts
	var loss float64
	var round int
	if m == Linear {
		l, best, at, err := trainLinear(t.ctx, columns, data, valid, goal, s, t.report)
		if err != nil {
			return nil, 0, err
		}
		parts, loss, round = linearParts(columns, l), best, at
	} else {
		f, best, at, err := trainTrees(t.ctx, columns, data, valid, goal, s, t.report)
		if err != nil {
			return nil, 0, err
		}
		parts, loss, round = forestParts(columns, f), best, at
	}
	model, err := newModel(m, parts, goal, t.names, t.outOfScope, columns, notes)
	if err != nil {
		return nil, 0, err
	}
	maps.Copy(model.meta, map[string]string{
		"record.method": m.String(), "record.seed": strconv.FormatUint(s.Seed, 10), "record.rounds": strconv.Itoa(round),
		"record.rows": strconv.Itoa(len(t.rows)), "record.valid_rows": strconv.Itoa(len(t.valid)),
	})
	return model, loss, nil
}
