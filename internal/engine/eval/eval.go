// Package eval measures a model on labelled rows: how often it is right, how honest its probabilities are, and how much of
// the work it may do alone at a certified error rate. Its result is one stable JSON object. It knows probabilities and truths,
// not models, files or policies.
package eval

import (
	"slices"

	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// Operations that an evaluation is for.
const (
	Moderation     = "moderation"
	Routing        = "routing"
	Classification = "classification"
)

// Sample is a set of labelled rows with a model's answers.
type Sample struct {
	Labels []string
	// Multilabel says that each probability stands by itself; otherwise they sum to 1.
	Multilabel bool
	// OutOfScope is the index of the label that means "none of the others", -1 for none.
	OutOfScope int
	// Moderation says that answers are actions (remove, allow) rather than labels; Harmless then holds the indices of the labels
	// that mean "nothing wrong".
	Moderation bool
	Harmless   []int
	// Probs holds the calibrated probabilities, row by row, len(Labels) for each. A row that the model refused (an input that does
	// not fit) is all NaN: it counts as wrong and is never automated.
	Probs []float32
	// Truth holds the true label indices of each row: exactly one for multi-class, any number for multi-label. -1 stands for a
	// label that the model does not know.
	Truth [][]int32
	// Weights, where set, say how many rows of the traffic each row stands for: the inverse of the probability with which it was chosen to be labelled. Without them each stands for one.
	Weights []float64
}

// Weight returns how many rows of the traffic row i stands for.
func (s *Sample) Weight(i int) float64 {
	if s.Weights == nil {
		return 1
	}
	return s.Weights[i]
}

// Row returns the probabilities of row i.
func (s *Sample) Row(i int) []float32 { return s.Probs[i*len(s.Labels) : (i+1)*len(s.Labels)] }

// Right says whether the answer to row i is the whole truth.
func (s *Sample) Right(i int) bool { return s.right(i) }

// Refused says whether the model refused row i.
func (s *Sample) Refused(i int) bool { return s.refused(i) }

func (s *Sample) refused(i int) bool {
	row := s.Row(i)
	return len(row) == 0 || row[0] != row[0]
}

// answer returns the answered labels of row i in ascending order: none when the model refused the row.
func (s *Sample) answer(i int) []int32 {
	if s.refused(i) {
		return nil
	}
	row := s.Row(i)
	if !s.Multilabel {
		top, _ := risk.Top(row)
		return []int32{int32(top)}
	}
	var out []int32
	for l, p := range row {
		if p >= risk.SetThreshold {
			out = append(out, int32(l))
		}
	}
	return out
}

// right says whether the answer to row i is the whole truth.
func (s *Sample) right(i int) bool {
	if s.refused(i) {
		return false
	}
	truth := slices.Sorted(slices.Values(s.Truth[i]))
	return slices.Equal(s.answer(i), truth)
}

// harmful says whether the truth of row i has a label that is not harmless. A label that the model does not know is harmful.
func (s *Sample) harmful(i int) bool {
	return slices.ContainsFunc(s.Truth[i], func(l int32) bool { return !slices.Contains(s.Harmless, int(l)) })
}

// Points returns what acting on each answer would have meant, in the order of the rows: the input of risk.Certify and its
// like. See package risk for what counts as an error.
func (s *Sample) Points() []risk.Point {
	points := make([]risk.Point, len(s.Truth))
	for i := range points {
		p := &points[i]
		if s.Weights != nil {
			p.Weight = s.Weights[i]
		}
		switch {
		case s.refused(i):
			p.Abstain = true
		case s.Moderation:
			p.Side, p.Score = risk.Lean(risk.Harm(s.Row(i), s.Harmless, s.Multilabel))
			p.Correct = s.harmful(i) == (p.Side == risk.SideRemove)
		case s.Multilabel:
			p.Score, p.Correct = risk.SetScore(s.Row(i)), s.right(i)
		default:
			var top int
			top, p.Score = risk.Top(s.Row(i))
			p.Side, p.Correct = s.Labels[top], s.right(i)
			p.Abstain = top == s.OutOfScope
		}
	}
	return points
}

// Evaluation is what a model was worth on rows that it was not trained on. Shares and rates are between 0 and 1.
type Evaluation struct {
	Operation string `json:"operation"`
	Task      string `json:"task"` // "multiclass" or "multilabel"
	// MeasuredOn is "test" (a test set that was given) or "holdOut" (the certification rows; Automation's realised errors are
	// then those of the sample that certified, not of new rows).
	MeasuredOn string `json:"measuredOn"`
	Rows       int    `json:"rows"`
	// RefusedRows did not fit the model, UnknownLabelRows have a true label that training never saw; both count as wrong.
	RefusedRows int `json:"refusedRows"`
	// EffectiveRows is how many rows that were not chosen would say as much, where rows are weighted (Kish 1965); absent where all count alike. Shares and means are then those of the traffic, counts
	// those of the rows.
	EffectiveRows    float64 `json:"effectiveRows,omitempty"`
	UnknownLabelRows int     `json:"unknownLabelRows"`

	// Accuracy is the share of rows whose answer is the whole truth (for multi-label: the exact set).
	Accuracy float64 `json:"accuracy"`
	// MacroF1 is the mean F1 of all labels with rows or answers; MicroF1 pools their counts (equal to Accuracy for multi-class).
	MacroF1 float64 `json:"macroF1"`
	MicroF1 float64 `json:"microF1"`
	// AUC is the area under the ROC curve where there is one yes-or-no question: two labels, or harmful against harmless.
	AUC *float64 `json:"auc,omitempty"`
	// LogLoss is the mean −ln of the probability of the truth (for multi-label the mean over rows and labels).
	LogLoss float64 `json:"logLoss"`
	// CalibrationError is the expected calibration error over 15 bins.
	CalibrationError float64 `json:"calibrationError"`
	// Scope is there when the label set has an out-of-scope label.
	Scope *Scope `json:"scope,omitempty"`

	Labels       []LabelScore `json:"labels"`
	Confusions   []Confusion  `json:"confusions"`
	Matrix       *Matrix      `json:"matrix,omitempty"`
	Reliability  []risk.Bin   `json:"reliability"`
	RiskCoverage []CurvePoint `json:"riskCoverage"`
	Automation   []Automation `json:"automation"`
	// Promise says in one sentence what the policy's certificate allows.
	Promise string `json:"promise"`
	Data    Data   `json:"data"`
}

// Scope tells in-scope and out-of-scope rows apart.
type Scope struct {
	InScopeRows     int     `json:"inScopeRows"`
	InScopeAccuracy float64 `json:"inScopeAccuracy"`
	OutOfScopeRows  int     `json:"outOfScopeRows"`
	// OutOfScopeRecall is the share of the rows outside that were answered so, OutOfScopePrecision the share of those answers
	// that was right.
	OutOfScopeRecall    float64 `json:"outOfScopeRecall"`
	OutOfScopePrecision float64 `json:"outOfScopePrecision"`
}

// LabelScore is how well one label is told from the others.
type LabelScore struct {
	Label     string  `json:"label"`
	Precision float64 `json:"precision"` // share of the answers with this label that was right; 0 when there was none
	Recall    float64 `json:"recall"`    // share of the rows with this label that was found; 0 when there was none
	F1        float64 `json:"f1"`
	Support   int     `json:"support"`   // rows that truly have the label
	Predicted int     `json:"predicted"` // rows answered with it
}

// Confusion counts rows of one label that were answered with another.
type Confusion struct {
	Truth     string `json:"truth"`
	Predicted string `json:"predicted"`
	Count     int    `json:"count"`
}

// Matrix is the confusion matrix of the labels with the most rows: Counts[truth][predicted]. Its last label is "(other)" when
// there are more labels.
type Matrix struct {
	Labels []string `json:"labels"`
	Counts [][]int  `json:"counts"`
}

// CurvePoint says: with the surest Coverage of all rows automated, the share Error of those would be wrong.
type CurvePoint struct {
	Coverage  float64 `json:"coverage"`
	Error     float64 `json:"error"`
	Threshold float64 `json:"threshold"`
}

// Automation is what may be automated at one promised error rate, and what happened when the measured rows were.
type Automation struct {
	Alpha     float64 `json:"alpha"` // largest α of the certificates
	Delta     float64 `json:"delta"` // chance that any of the promises is broken
	Certified bool    `json:"certified"`
	// CertifiedShare is the share of the certification sample that passes.
	CertifiedShare float64 `json:"certifiedShare"`
	// Share of the measured rows that passes; RealisedError is the share of wrong ones among those (0 when none passes).
	Share          float64 `json:"share"`
	AutomatedRows  int     `json:"automatedRows"`
	RealisedErrors int     `json:"realisedErrors"`
	RealisedError  float64 `json:"realisedError"`
	// LabelsNeeded estimates how many more labelled rows would certify: 0 when certified, -1 when labels alone do not help. With
	// several sides it is the largest of those that are not certified.
	LabelsNeeded int `json:"labelsNeeded"`
	// Policy marks the entry with the policy's own budgets.
	Policy       bool               `json:"policy,omitempty"`
	Certificates []risk.Certificate `json:"certificates"`
}

// Data says what became of the rows.
type Data struct {
	Kind              string         `json:"kind"` // "text" or "record"
	Rows              int            `json:"rows"` // usable rows of the input
	TrainingRows      int            `json:"trainingRows"`
	CalibrationRows   int            `json:"calibrationRows"`
	CertificationRows int            `json:"certificationRows"`
	TestRows          int            `json:"testRows"`
	RejectedRows      int            `json:"rejectedRows"`
	RejectedByReason  map[string]int `json:"rejectedByReason"`
	// SHA256 is the digest of the input file.
	SHA256   string   `json:"sha256"`
	Warnings []string `json:"warnings"`
}
