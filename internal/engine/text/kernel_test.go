package text

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var widths = []int{8, 16, 24, 32, 40, 64, 72, 80, 128, 136, 208, 1024}

func TestAssemblyAddsTheSameBitsAsGo(t *testing.T) {
	t.Parallel()
	if !fast {
		t.Skip("this processor runs the Go loops anyway")
	}
	random := rand.New(rand.NewPCG(1, 2))
	floats := func(n int, zero float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			if random.Float64() >= zero {
				x[i] = float32(random.NormFloat64())
			}
		}
		return x
	}
	same := func(a, b []float32) bool {
		return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
	}
	for _, width := range widths {
		const rows = 37
		for n := range 70 {
			ids := make([]uint32, n)
			for i := range ids {
				ids[i] = random.Uint32N(rows)
			}
			w, vals := floats(rows*width, 0), floats(n, 0)
			a, b := make([]float32, width), floats(width, 0)
			gatherGo(a, w, ids, vals)
			if gather(b, w, ids, vals); !same(a, b) {
				t.Fatalf("gather: width %d, %d rows", width, n)
			}
			g := floats(width, 0.6)
			v := slices.Clone(w)
			scatterGo(w, g, ids, vals)
			if scatter(v, g, ids, vals); !same(v, w) {
				t.Fatalf("scatter: width %d, %d rows", width, n)
			}
		}
	}
}

func TestAssemblyAndGoAccumulateTheExactSum(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for _, labels := range []int{1, 2, 16, 17, 64, 77, 150, 256, 300, 1024} {
		width := strideOf(labels)
		const rows = 50
		for n := range 300 {
			w := make([]byte, rows*width)
			for i := range w {
				w[i] = byte(int8(random.IntN(255) - 127))
				if n%3 == 0 {
					w[i] = 0x81 // the worst case: all weights -127
				}
			}
			grams := make([]gram, n)
			for i := range grams {
				grams[i] = gram{random.Uint32N(rows), 4}
				if random.IntN(4) == 0 {
					grams[i].count = random.Uint32N(maxMultiplier) + 1
				}
			}
			want, got, slow := make([]int32, width), make([]int32, width), make([]int32, width)
			for _, g := range grams {
				for l := range want {
					want[l] += int32(g.count) * int32(int8(w[int(g.bucket)*width+l]))
				}
			}
			accumulate(got, w, grams)
			accumulateGo(slow, w, grams)
			if !slices.Equal(want, got) || !slices.Equal(want, slow) {
				t.Fatalf("%d labels, %d grams: sums differ", labels, n)
			}
		}
	}
}

func TestRowsOutsideTheWeightsPanic(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	gather(make([]float32, 8), make([]float32, 80), []uint32{10}, []float32{1})
}

func TestOwnFunctionsAgreeWithPackageMath(t *testing.T) {
	t.Parallel()
	for x := -700.0; x < 700; x += 0.37 {
		if got, want := exp(x), math.Exp(x); math.Abs(got/want-1) > 1e-13 {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	for x := 1e-300; x < 1e300; x *= 1.7 {
		if got, want := ln(x), math.Log(x); math.Abs(got-want) > 1e-13*math.Abs(want)+1e-15 {
			t.Fatalf("ln(%v) = %v, want %v", x, got, want)
		}
	}
	for x := float32(-87); x <= 0; x += 0.013 {
		if got, want := float64(fastExp(x)), math.Exp(float64(x)); math.Abs(got/want-1) > 1e-6 {
			t.Fatalf("fastExp(%v) = %v, want %v", x, got, want)
		}
	}
	for _, x := range []float32{float32(math.Inf(-1)), -1e30, -88} {
		if fastExp(x) != 0 {
			t.Errorf("fastExp(%v) = %v", x, fastExp(x))
		}
	}
	if fastExp(0) != 1 || exp(0) != 1 || ln(1) != 0 {
		t.Error("the functions are not exact where they must be")
	}
}
