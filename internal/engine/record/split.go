package record

import "slices"

// cell sums up the rows of one bin in one leaf: first and second derivatives of the loss, and their number.
type cell struct {
	g, h float64
	n    int64
}

func (c *cell) add(o cell) { c.g += o.g; c.h += o.h; c.n += o.n }

func (c cell) minus(o cell) cell { return cell{c.g - o.g, c.h - o.h, c.n - o.n} }

// score is how much a leaf with these rows lowers the loss, times two.
func (c cell) score(l2 float64) float64 { return c.g * c.g / (c.h + l2) }

// split is a way to divide the rows of a leaf. gain is 0 when there is none.
type split struct {
	gain float64
	rule node // column, bin, set and flags
	set  bins256
	left cell
}

// splitter finds the best split of one column from its histogram.
type splitter struct {
	minRows   int64
	minWeight float64
	l2        float64
	// Splits of categories follow LightGBM (Ke et al. 2017; Fisher 1958 for the order): few categories one against the rest,
	// more of them sorted by their mean derivative, with smoothing because there are many ways to divide them.
	groupRows int64 // rows that each step through the sorted categories must add
	catRows   int64 // rows that a category needs to take part
}

// Constants of splits of categories; the defaults of LightGBM.
const (
	oneHotCategories = 4
	catSmooth        = 10
	catL2            = 10
	maxLeftBins      = 32
)

func (s *splitter) consider(best *split, left, all cell, l2, parent float64, rule func() (node, bins256)) {
	right := all.minus(left)
	if left.n < s.minRows || right.n < s.minRows || left.h < s.minWeight || right.h < s.minWeight {
		return
	}
	if gain := left.score(l2) + right.score(l2) - parent; gain > best.gain+1e-12 {
		best.gain, best.left = gain, left
		best.rule, best.set = rule()
	}
}

// ordered looks at all thresholds, with the missing rows on either side.
func (s *splitter) ordered(h []cell, all cell) (best split) {
	parent := all.score(s.l2)
	missing := h[binMissing]
	var left cell
	for b := 1; b < len(h); b++ {
		if h[b].n == 0 {
			continue
		}
		left.add(h[b])
		if left.n < s.minRows && missing.n == 0 {
			continue
		}
		if all.n-left.n < s.minRows {
			break
		}
		s.consider(&best, left, all, s.l2, parent, func() (node, bins256) {
			if missing.n == 0 && left.n > all.n-left.n { // never seen here: with the many
				return node{bin: uint8(b)}, bins256{}
			}
			return node{bin: uint8(b - 1), flags: flagMissingRight}, bins256{}
		})
		if missing.n == 0 {
			continue
		}
		with := left
		with.add(missing)
		s.consider(&best, with, all, s.l2, parent, func() (node, bins256) { return node{bin: uint8(b)}, bins256{} })
	}
	return best
}

// categories looks at sets of bins.
func (s *splitter) categories(h []cell, all cell) (best split) {
	parent := all.score(s.l2)
	var buffer [maxBins]uint8
	used := buffer[:0]
	occupied := 0
	for b := range h {
		if h[b].n > 0 {
			occupied++
		}
		if h[b].n >= s.catRows {
			used = append(used, uint8(b))
		}
	}
	if occupied <= oneHotCategories {
		for _, b := range used {
			s.consider(&best, h[b], all, s.l2, parent, func() (node, bins256) { return setOf(used[:0:0], b) })
		}
		return best
	}
	slices.SortFunc(used, func(a, b uint8) int {
		x, y := h[a].g/(h[a].h+catSmooth), h[b].g/(h[b].h+catSmooth)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return int(a) - int(b)
	})
	for range 2 {
		s.prefixes(&best, h, all, parent, used)
		slices.Reverse(used)
	}
	return best
}

// prefixes looks at the first bins of a sorted list against all others.
func (s *splitter) prefixes(best *split, h []cell, all cell, parent float64, used []uint8) {
	var left cell
	var group int64
	for i, b := range used[:min(len(used), maxLeftBins)] {
		left.add(h[b])
		group += h[b].n
		if group < s.groupRows {
			continue
		}
		if all.n-left.n < max(s.minRows, s.groupRows) {
			return
		}
		group = 0
		s.consider(best, left, all, s.l2+catL2, parent, func() (node, bins256) { return setOf(used[:i], b) })
	}
}

func setOf(some []uint8, last uint8) (node, bins256) {
	var set bins256
	for _, b := range some {
		set.put(b)
	}
	set.put(last)
	return node{flags: flagSet}, set
}
