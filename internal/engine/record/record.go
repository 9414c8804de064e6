// Package record trains and opens models that classify records: rows of named fields that are numbers, texts or booleans.
// It offers a linear model over quantile-binned numbers and one-hot texts, and histogram gradient-boosted trees. It knows
// nothing of files on disk, of registries or of decisions; how probabilities are calibrated and certified is decided elsewhere.
//
// Both kinds of model see a record the same way: every field becomes one bin (a byte). Bin 0 means missing; a number falls
// into a quantile bin; a text that is one of the frequent values has a bin of its own and every other text shares the
// bin "other". A value that was never seen in training is "other" too, so new values never fail; new fields always do.
//
// The same rows in the same order, seed and settings give the same bytes for any number of cores (on one processor
// architecture: the compiler may fuse multiplications and additions on some).
package record

import (
	"errors"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Limits of a record model.
const (
	// MaxColumns is the largest number of fields.
	MaxColumns = 1024
	// maxBins is the number of bins of one column: it must fit a byte.
	maxBins = 256
	// maxNameBytes is the longest name of a field, as in a model file.
	maxNameBytes = 256
	// maxCategoryBytes is the longest text that may become a category; longer texts are always "other".
	maxCategoryBytes = 256
)

// Row is one labelled record. Labels holds the indexes of its labels: exactly one for multiclass, any number for multilabel.
type Row struct {
	Record engine.Record
	Labels []int32
}

// Method is a way to learn from records.
type Method uint8

// The methods.
const (
	Auto   Method = iota // trains both and keeps the one with the lower loss on the validation rows
	Linear               // binned and one-hot fields, logistic regression
	Trees                // histogram gradient-boosted trees
)

// String returns the name of the method.
func (m Method) String() string {
	switch m {
	case Auto:
		return "auto"
	case Linear:
		return "linear"
	case Trees:
		return "trees"
	}
	return "unknown"
}

// Settings say how to train. Start from DefaultSettings.
type Settings struct {
	Task   engine.Task
	Method Method
	// Accept holds further records that the model must be able to answer, such as those that certify it: their fields, types and
	// missing values become part of the schema, nothing else is learned from them.
	Accept []engine.Record
	// Seed decides which rows are held back for early stopping when the caller gives no validation rows, and which columns
	// each tree sees.
	Seed uint64
	// Workers is the number of goroutines; 0 means one per core. It never changes the result.
	Workers int

	// Rounds is the largest number of boosting rounds.
	Rounds int
	// Patience is the number of rounds (or, for the linear model, iterations) without a better validation loss before training stops.
	Patience int
	// LearningRate scales every tree, in (0, 1].
	LearningRate float64
	// Leaves is the largest number of leaves of a tree, 2 to 1024.
	Leaves int
	// MinLeafRows is the smallest number of rows in a leaf; 0 chooses 3 to 20 by the number of rows.
	MinLeafRows int
	// MinLeafWeight is the smallest sum of second derivatives in a leaf.
	MinLeafWeight float64
	// TreeL2 is added to the sum of second derivatives of each leaf.
	TreeL2 float64
	// ColumnShare is the share of columns that each tree may use, in (0, 1]; at least 6 columns are always used.
	ColumnShare float64
	// TreeBins is the largest number of bins of a number for trees, 2 to 255; fewer are used above 256 columns.
	TreeBins int

	// LinearBins is the largest number of bins of a number for the linear model, 2 to 255.
	LinearBins int
	// LinearL2 is the weight of the squared weights in the linear model's loss, which is a sum over rows.
	LinearL2 float64
	// Iterations is the largest number of steps of the linear model's optimiser.
	Iterations int

	// MaxCategories is the largest number of values of a text field that have a bin of their own, 1 to 254.
	MaxCategories int
	// MinCategoryRows is the number of rows that a text value needs for a bin of its own; 0 chooses 1 to 3 by the number of rows.
	MinCategoryRows int
}

// DefaultSettings returns settings that suit tables of a hundred to a million rows.
func DefaultSettings() Settings {
	return Settings{
		Task: engine.Multiclass, Method: Auto, Seed: 1,
		Rounds: 1000, Patience: 30, LearningRate: 0.06, Leaves: 31, MinLeafWeight: 1e-3, TreeL2: 1, ColumnShare: 0.5, TreeBins: 255,
		LinearBins: 48, LinearL2: 1, Iterations: 200,
		MaxCategories: 254,
	}
}

// Validate returns every setting that is out of its range, joined.
func (s Settings) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(s.Task == engine.Multiclass || s.Task == engine.Multilabel, "task %d is unknown", s.Task)
	check(s.Method <= Trees, "method %d is unknown", s.Method)
	check(s.Rounds >= 1 && s.Rounds <= 100_000, "rounds %d, want 1 to 100000", s.Rounds)
	check(s.Patience >= 1, "patience %d, want at least 1", s.Patience)
	check(s.LearningRate > 0 && s.LearningRate <= 1, "learning rate %g, want above 0 and at most 1", s.LearningRate)
	check(s.Leaves >= 2 && s.Leaves <= 1024, "leaves %d, want 2 to 1024", s.Leaves)
	check(s.MinLeafRows >= 0, "smallest leaf %d rows, want at least 0", s.MinLeafRows)
	check(s.MinLeafWeight >= 0, "smallest leaf weight %g, want at least 0", s.MinLeafWeight)
	check(s.TreeL2 >= 0 && s.TreeL2 <= 1e9, "tree L2 %g, want 0 to 1e9", s.TreeL2)
	check(s.ColumnShare > 0 && s.ColumnShare <= 1, "column share %g, want above 0 and at most 1", s.ColumnShare)
	check(s.TreeBins >= 2 && s.TreeBins <= 255, "tree bins %d, want 2 to 255", s.TreeBins)
	check(s.LinearBins >= 2 && s.LinearBins <= 255, "linear bins %d, want 2 to 255", s.LinearBins)
	check(s.LinearL2 > 0 && s.LinearL2 <= 1e9, "linear L2 %g, want above 0 and at most 1e9", s.LinearL2)
	check(s.Iterations >= 1, "iterations %d, want at least 1", s.Iterations)
	check(s.MaxCategories >= 1 && s.MaxCategories <= 254, "categories %d, want 1 to 254", s.MaxCategories)
	check(s.MinCategoryRows >= 0, "smallest category %d rows, want at least 0", s.MinCategoryRows)
	return errors.Join(errs...)
}

// Progress tells how far training is; losses are mean log losses a row. With Auto the linear model comes first.
type Progress struct {
	Method           Method
	Round, MaxRounds int
	Loss             float64
	// ValidLoss and ValidAccuracy are measured on the validation rows; both are NaN when there are none.
	// Accuracy is the share of rows with the right label, for multilabel the share of right yes/no answers.
	ValidLoss, ValidAccuracy float64
}

// Calibration turns logits into probabilities. The zero value leaves them as they are.
type Calibration struct {
	// Temperature divides the logits before the softmax (multiclass), 0.001 to 1000; 0 means 1.
	Temperature float64
	// Platt holds one pair a label (multilabel): p = 1 / (1 + exp(-(A·logit + B))). Empty means A = 1, B = 0.
	Platt []struct{ A, B float64 }
}
