// Package enginetest is the conformance suite of predictors: what every kind of model must do, whatever is inside it.
package enginetest

import (
	"errors"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Subject is a predictor under test.
type Subject struct {
	// Open returns the predictor of the same file, opened anew each time.
	Open func(tb testing.TB) engine.Predictor
	// Inputs are what it is asked; at least one, the more unlike the better.
	Inputs []engine.Input
	// Wrong are inputs that it must refuse with engine.ErrInput.
	Wrong []engine.Input
	// Logit returns the logit of a label before calibration and the part of it that no evidence stands for, as p computed it.
	Logit func(p engine.Predictor, in engine.Input, label int) (logit, bias float64)
	// Tolerance is the rounding that the sum of evidence may be away from the logit, relative to the sum of absolute weights;
	// 0 means 1e-5.
	Tolerance float64
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Helper()
	if len(s.Inputs) == 0 || len(s.Wrong) == 0 {
		t.Fatal("the suite needs inputs and wrong inputs")
	}
	p := s.Open(t)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Run("DescribesItself", func(t *testing.T) { describes(t, p) })
	t.Run("AnswersProbabilities", func(t *testing.T) { probabilities(t, p, s.Inputs) })
	t.Run("RefusesWrongInput", func(t *testing.T) { refuses(t, p, s) })
	t.Run("DoesNotAllocate", func(t *testing.T) { allocates(t, p, s.Inputs) })
	t.Run("AnswersManyCallersAlike", func(t *testing.T) { concurrent(t, p, s.Inputs) })
	t.Run("AnswersTheSameBitsWhenOpenedAgain", func(t *testing.T) { reopened(t, p, s) })
	t.Run("ExplainsTheWholeScore", func(t *testing.T) { explains(t, p, s) })
}

func describes(t *testing.T, p engine.Predictor) {
	info := p.Info()
	if info.Kind.String() == "unknown" || len(info.Labels) == 0 || len(info.Digest) != len("sha256:")+64 {
		t.Errorf("incomplete: %+v", info)
	}
	if info.OutOfScope < -1 || info.OutOfScope >= len(info.Labels) {
		t.Errorf("out-of-scope label %d of %d", info.OutOfScope, len(info.Labels))
	}
	if p.Info() != info {
		t.Error("the description moved")
	}
}

func probabilities(t *testing.T, p engine.Predictor, inputs []engine.Input) {
	for i, in := range inputs {
		probs := predict(t, p, in)
		var sum float64
		for l, x := range probs {
			if !(x >= 0 && x <= 1) {
				t.Errorf("input %d: label %d has probability %v", i, l, x)
			}
			sum += float64(x)
		}
		if p.Info().Task == engine.Multiclass && math.Abs(sum-1) > 1e-5 {
			t.Errorf("input %d: probabilities sum to %v", i, sum)
		}
	}
}

func refuses(t *testing.T, p engine.Predictor, s Subject) {
	room := make([]float32, len(p.Info().Labels))
	for i, in := range s.Wrong {
		if err := p.Predict(in, room); !errors.Is(err, engine.ErrInput) {
			t.Errorf("predict wrong input %d: %v", i, err)
		}
		if _, err := p.Explain(in, 0, 3); !errors.Is(err, engine.ErrInput) {
			t.Errorf("explain wrong input %d: %v", i, err)
		}
	}
	for _, n := range []int{0, len(room) - 1, len(room) + 1} {
		if err := p.Predict(s.Inputs[0], make([]float32, n)); !errors.Is(err, engine.ErrInput) {
			t.Errorf("predict into %d numbers: %v", n, err)
		}
	}
	for _, label := range []int{-1, len(room)} {
		if _, err := p.Explain(s.Inputs[0], label, 3); !errors.Is(err, engine.ErrInput) {
			t.Errorf("explain label %d: %v", label, err)
		}
	}
}

// allocates counts over many calls: a pool may have to be filled again after a garbage collection.
func allocates(t *testing.T, p engine.Predictor, inputs []engine.Input) {
	room := make([]float32, len(p.Info().Labels))
	for i, in := range inputs {
		calls := 100
		if len(in.Text) > 1<<16 {
			continue // what a huge text needs is given back, not kept
		}
		if n := testing.AllocsPerRun(calls, func() { _ = p.Predict(in, room) }); n > 0 && !raceEnabled {
			t.Errorf("input %d: %v allocations a call", i, n)
		}
	}
}

func concurrent(t *testing.T, p engine.Predictor, inputs []engine.Input) {
	want := make([][]float32, len(inputs))
	for i, in := range inputs {
		want[i] = predict(t, p, in)
	}
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			room := make([]float32, len(p.Info().Labels))
			for n := range 3 * len(inputs) {
				i := (n*7 + k) % len(inputs)
				if err := p.Predict(inputs[i], room); err != nil || !slices.Equal(room, want[i]) {
					t.Errorf("input %d: another answer (%v)", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func reopened(t *testing.T, p engine.Predictor, s Subject) {
	again := s.Open(t)
	defer again.Close()
	if again.Info().Digest != p.Info().Digest {
		t.Fatalf("digests %s and %s", p.Info().Digest, again.Info().Digest)
	}
	for i, in := range s.Inputs {
		if a, b := predict(t, p, in), predict(t, again, in); !slices.Equal(a, b) {
			t.Errorf("input %d: %v and %v", i, a, b)
		}
	}
}

func explains(t *testing.T, p engine.Predictor, s Subject) {
	tolerance := s.Tolerance
	if tolerance == 0 {
		tolerance = 1e-5
	}
	for i, in := range s.Inputs {
		for label := range min(len(p.Info().Labels), 5) {
			all, err := p.Explain(in, label, math.MaxInt)
			if err != nil {
				t.Fatalf("explain input %d: %v", i, err)
			}
			logit, sum := s.Logit(p, in, label)
			size := math.Abs(sum) + math.Abs(logit)
			for k, e := range all {
				sum += e.Weight
				size += math.Abs(e.Weight)
				if k > 0 && math.Abs(e.Weight) > math.Abs(all[k-1].Weight) {
					t.Fatalf("input %d: evidence is not sorted by absolute weight", i)
				}
				if e.Feature == "" || e.Start < 0 || e.End < e.Start || e.End > len(in.Text) {
					t.Fatalf("input %d: evidence %+v lies outside the input", i, e)
				}
			}
			if math.Abs(sum-logit) > tolerance*size {
				t.Errorf("input %d, label %d: evidence sums to %v, logit is %v", i, label, sum, logit)
			}
			few, err := p.Explain(in, label, 3)
			if err != nil || !slices.Equal(few, all[:min(3, len(all))]) {
				t.Errorf("input %d: the top 3 are not the first 3 of all (%v)", i, err)
			}
		}
	}
}

func predict(t *testing.T, p engine.Predictor, in engine.Input) []float32 {
	t.Helper()
	room := make([]float32, len(p.Info().Labels))
	if err := p.Predict(in, room); err != nil {
		t.Fatalf("predict: %v", err)
	}
	return room
}
