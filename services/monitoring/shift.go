package monitoring

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"

	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
)

const (
	// shiftFirst is how many audits are the reference; the last shiftHalf to twice as many are compared with it.
	shiftFirst = 200
	shiftHalf  = 100
	// shiftLabels bounds how many labels are told apart; others count as one.
	shiftLabels = 200
	otherLabels = "(other labels)"
)

// labelCounts count the truths that audits found: the first ones, and the last ones in two halves, of which the older is dropped when the newer is full.
type labelCounts struct {
	First map[string]int `json:"first"`
	Older map[string]int `json:"older"`
	Newer map[string]int `json:"newer"`
}

func (c *labelCounts) add(truth string) {
	if _, known := c.First[truth]; !known && len(c.First) >= shiftLabels {
		truth = otherLabels
	}
	if total(c.First) < shiftFirst {
		if c.First == nil {
			c.First = map[string]int{}
		}
		c.First[truth]++
		return
	}
	if c.Newer == nil || total(c.Newer) >= shiftHalf {
		c.Older, c.Newer = c.Newer, map[string]int{}
	}
	if _, known := c.Newer[truth]; !known && len(c.Newer) >= shiftLabels {
		truth = otherLabels
	}
	c.Newer[truth]++
}

func total(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// shift compares; nil while there is too little to compare.
func (c *labelCounts) shift() *monitoringv1.LabelShift {
	now := maps.Clone(c.Newer)
	for l, n := range c.Older {
		now[l] += n
	}
	before, after := float64(total(c.First)), float64(total(now))
	if before < shiftFirst || after < shiftHalf {
		return nil
	}
	all := map[string]bool{}
	for l := range c.First {
		all[l] = true
	}
	for l := range now {
		all[l] = true
	}
	s := &monitoringv1.LabelShift{}
	var pairs [][2]float64
	for l := range all {
		a, b := float64(c.First[l]), float64(now[l])
		s.Distance += math.Abs(a/before-b/after) / 2
		s.Labels = append(s.Labels, &monitoringv1.LabelShare{Label: l, Before: a / before, Now: b / after})
		pairs = append(pairs, [2]float64{a, b})
	}
	slices.SortFunc(s.GetLabels(), func(a, b *monitoringv1.LabelShare) int {
		return cmp.Or(cmp.Compare(math.Abs(b.GetNow()-b.GetBefore()), math.Abs(a.GetNow()-a.GetBefore())), cmp.Compare(a.GetLabel(), b.GetLabel()))
	})
	s.Labels = s.GetLabels()[:min(10, len(s.GetLabels()))]
	s.PValue = homogeneity(pairs)
	return s
}

// homogeneity returns the p-value of Pearson's chi-squared test that two samples have the same shares. Cells in which fewer than five are expected are put together, smallest
// first, as the approximation needs (Cochran 1954).
func homogeneity(pairs [][2]float64) float64 {
	slices.SortFunc(pairs, func(a, b [2]float64) int { return cmp.Compare(a[0]+a[1], b[0]+b[1]) })
	n := [2]float64{}
	for _, p := range pairs {
		n[0], n[1] = n[0]+p[0], n[1]+p[1]
	}
	all := n[0] + n[1]
	if n[0] == 0 || n[1] == 0 {
		return 1
	}
	least := min(n[0], n[1]) / all
	var cells [][2]float64
	open := [2]float64{}
	for _, p := range pairs {
		open[0], open[1] = open[0]+p[0], open[1]+p[1]
		if (open[0]+open[1])*least >= 5 {
			cells, open = append(cells, open), [2]float64{}
		}
	}
	if rest := open[0] + open[1]; rest > 0 && len(cells) > 0 {
		last := &cells[len(cells)-1]
		last[0], last[1] = last[0]+open[0], last[1]+open[1]
	}
	if len(cells) < 2 {
		return 1
	}
	x := 0.0
	for _, c := range cells {
		for i := range c {
			expected := (c[0] + c[1]) * n[i] / all
			x += (c[i] - expected) * (c[i] - expected) / expected
		}
	}
	return mathext.GammaIncRegComp(float64(len(cells)-1)/2, x/2)
}
