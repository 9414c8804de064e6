package record

import (
	"math"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// The first bins of a column. Bins of numbers and booleans begin at 1, those of categories at firstCategory.
const (
	binMissing    = 0
	binOther      = 1
	firstCategory = 2
)

// column is one field as a model sees it: its type and how its values fall into bins.
type column struct {
	name     string
	kind     engine.ValueKind
	optional bool      // the field was missing in some training row and may be missing
	bounds   []float64 // numbers: bin i+1 holds the values up to and including bounds[i], the last bin all above
	names    []string  // texts: the value of bin firstCategory+i
	index    map[string]uint8
}

// bins is the number of bins, counting the missing bin: 2 to 256.
func (c *column) bins() int {
	switch c.kind {
	case engine.Number:
		return len(c.bounds) + 2
	case engine.Text:
		return len(c.names) + firstCategory
	default:
		return 3
	}
}

// ordered says that neighbouring bins hold neighbouring values.
func (c *column) ordered() bool { return c.kind != engine.Text }

// bin returns the bin of a value. problem is empty when the value fits the column.
func (c *column) bin(v engine.Value) (bin uint8, problem string) {
	if v.Kind != c.kind {
		return 0, "want " + kindName(c.kind) + ", got " + kindName(v.Kind)
	}
	switch c.kind {
	case engine.Number:
		if math.IsNaN(v.Number) || math.IsInf(v.Number, 0) {
			return 0, "the number is not finite"
		}
		return c.numberBin(v.Number), ""
	case engine.Text:
		if b, ok := c.index[v.Text]; ok {
			return b, ""
		}
		return binOther, ""
	default:
		if v.Bool {
			return 2, ""
		}
		return 1, ""
	}
}

func (c *column) numberBin(v float64) uint8 {
	lo, n := 0, len(c.bounds)
	for n > 0 {
		half := n >> 1
		if v > c.bounds[lo+half] {
			lo += half + 1
			n -= half + 1
		} else {
			n = half
		}
	}
	return uint8(lo + 1)
}

func (c *column) setNames(names []string) {
	c.names, c.index = names, make(map[string]uint8, len(names))
	for i, s := range names {
		c.index[s] = uint8(firstCategory + i)
	}
}

// cutpoints returns at most limit-1 ascending bounds that divide the values into bins of about equal size. A value that fills
// a bin by itself gets one of its own. It sorts values.
func cutpoints(values []float64, limit, minRows int) []float64 {
	slices.Sort(values)
	distinct, counts := runs(values)
	if len(distinct) < 2 {
		return nil
	}
	target := float64(minRows)
	heavy := make([]bool, len(distinct))
	if len(distinct) > limit {
		target = max(target, spread(counts, heavy, len(values), limit))
	}
	var bounds []float64
	size := 0
	for i := 0; i+1 < len(distinct) && len(bounds) < limit-1; i++ {
		size += counts[i]
		full := float64(size) >= target || heavy[i] || heavy[i+1] && float64(size) >= max(1, target/2)
		if full {
			bounds = append(bounds, between(distinct[i], distinct[i+1]))
			size = 0
		}
	}
	return bounds
}

// spread marks the values that fill a bin alone and returns the size of the bins that hold the rest.
func spread(counts []int, heavy []bool, rows, bins int) float64 {
	mean := float64(rows) / float64(bins)
	for i, n := range counts {
		if float64(n) >= mean && bins > 1 {
			heavy[i] = true
			rows -= n
			bins--
		}
	}
	return float64(rows) / float64(bins)
}

func runs(sorted []float64) (distinct []float64, counts []int) {
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			distinct, counts = append(distinct, v), append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	return distinct, counts
}

// between returns a bound b with a <= b < c, in the middle where rounding allows.
func between(a, c float64) float64 {
	if m := a/2 + c/2; m >= a && m < c {
		return m
	}
	return a
}
