package record

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

func TestBinsKeepTheOrderOfNumbers(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		values := make([]float64, 1+random.IntN(3000))
		for i := range values {
			switch random.IntN(4) {
			case 0:
				values[i] = 0
			case 1:
				values[i] = float64(random.IntN(20))
			case 2:
				values[i] = random.NormFloat64() * 1e308
			default:
				values[i] = math.Nextafter(1, float64(random.IntN(3)))
			}
			if math.IsInf(values[i], 0) {
				values[i] = math.MaxFloat64
			}
		}
		limit := 2 + random.IntN(254)
		c := column{kind: engine.Number, bounds: cutpoints(values, limit, 1+random.IntN(3))}
		if len(c.bounds) > limit-1 || !slices.IsSorted(c.bounds) || len(slices.Compact(slices.Clone(c.bounds))) != len(c.bounds) {
			t.Fatalf("bounds %v, limit %d", c.bounds, limit)
		}
		last := uint8(1)
		for _, v := range values { // sorted by cutpoints
			b, problem := c.bin(engine.Value{Kind: engine.Number, Number: v})
			want := 1 + sortedSearch(c.bounds, v)
			if problem != "" || b < last || int(b) != want || int(b) >= c.bins() {
				t.Fatalf("value %g is in bin %d, want %d", v, b, want)
			}
			last = b
		}
	}
}

func sortedSearch(bounds []float64, v float64) int {
	for i, b := range bounds {
		if v <= b {
			return i
		}
	}
	return len(bounds)
}

func TestBinsHoldAboutTheSameNumberOfRows(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	values := make([]float64, 10_000)
	for i := range values {
		values[i] = random.ExpFloat64()
		if i%2 == 0 {
			values[i] = 0
		}
	}
	c := column{kind: engine.Number, bounds: cutpoints(values, 51, 1)}
	counts := map[uint8]int{}
	for _, v := range values {
		counts[c.numberBin(v)]++
	}
	if counts[1] != 5000 || len(counts) != 51 {
		t.Errorf("the value 0 fills half of the rows and has a bin of its own; got %d rows, %d bins", counts[1], len(counts))
	}
	for b, n := range counts {
		if b > 1 && (n < 50 || n > 200) {
			t.Errorf("bin %d holds %d rows, want about 100", b, n)
		}
	}
}

func TestFewDistinctNumbersKeepTheirOwnBins(t *testing.T) {
	t.Parallel()
	got := cutpoints([]float64{3, 1, 2, 1, 3, 2, 9}, 255, 1)
	if !slices.Equal(got, []float64{1.5, 2.5, 6}) {
		t.Errorf("bounds %v", got)
	}
}
