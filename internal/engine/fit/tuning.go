package fit

import (
	"math"
	"math/rand/v2"

	"github.com/switchyard-ai/switchyard/internal/engine/record"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

// Tuning are settings of the training that a search varies. A member of 0 keeps the default, which serves all data sets that we measured.
type Tuning struct {
	// Rate is the learning rate and L2 the regularisation of texts; Balance how far rare labels weigh more, WordShare the weight of words against characters,
	// Dropout the share of n-grams left out. See text.Settings.
	Rate      float64 `json:"rate,omitempty"`
	L2        float64 `json:"l2,omitempty"`
	Balance   float64 `json:"balance,omitempty"`
	WordShare float64 `json:"wordShare,omitempty"`
	Dropout   float64 `json:"dropout,omitempty"`
	// LearningRate and Leaves are those of trees, LinearL2 the regularisation of linear models of records. See record.Settings.
	LearningRate float64 `json:"learningRate,omitempty"`
	Leaves       int     `json:"leaves,omitempty"`
	LinearL2     float64 `json:"linearL2,omitempty"`
}

func (t Tuning) validate(check func(ok bool, format string, args ...any)) {
	for _, v := range []float64{t.Rate, t.L2, t.Balance, t.WordShare, t.Dropout, t.LearningRate, t.LinearL2} {
		check(v >= 0 && v < 1000, "tuning value %v is not between 0 and 1000", v)
	}
	check(t.Dropout < 1, "dropout %v is not below 1", t.Dropout)
	check(t.LearningRate <= 1, "learning rate %v of trees is above 1", t.LearningRate)
	check(t.Leaves == 0 || t.Leaves >= 2 && t.Leaves <= 1024, "%d leaves, allowed are 2 to 1024", t.Leaves)
}

func set[T int | float64](v *T, to T) {
	if to != 0 {
		*v = to
	}
}

func (t Tuning) text(s *text.Settings) {
	set(&s.Rate, t.Rate)
	set(&s.L2, t.L2)
	set(&s.Balance, t.Balance)
	set(&s.WordShare, t.WordShare)
	set(&s.Dropout, t.Dropout)
}

func (t Tuning) record(s *record.Settings) {
	set(&s.LearningRate, t.LearningRate)
	set(&s.Leaves, t.Leaves)
	set(&s.LinearL2, t.LinearL2)
}

// Candidate returns the settings that a search tries as number n, from 0: the defaults first, then points around them by chance, the same for the same seed. Random
// search finds what a grid finds in fewer trials (Bergstra and Bengio 2012).
func Candidate(seed uint64, n int, texts bool) Tuning {
	if n == 0 {
		return Tuning{}
	}
	random := rand.New(rand.NewPCG(seed, uint64(n))) // repeatable, not secret
	// between draws a value around a centre, evenly on a logarithmic scale.
	between := func(centre, factor float64) float64 {
		v := centre * math.Pow(factor, 2*random.Float64()-1)
		return math.Round(v*1e4) / 1e4
	}
	if texts {
		d := text.DefaultSettings()
		return Tuning{
			Rate: between(d.Rate, 2), L2: between(d.L2, 4), Balance: between(d.Balance, 1.8), WordShare: between(d.WordShare, 1.6),
			Dropout: min(0.8, between(d.Dropout, 1.6)),
		}
	}
	d := record.DefaultSettings()
	return Tuning{
		LearningRate: min(1, between(d.LearningRate, 2.5)), Leaves: max(4, int(between(float64(d.Leaves), 2.5))), LinearL2: between(max(d.LinearL2, 0.01), 5),
	}
}
