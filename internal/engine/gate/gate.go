// Package gate judges whether a trained model may take the place of the one that answers: what it has to show, on which rows, and with which
// numbers. It compares two models on the same rows, label by label and group by group, by paired tests. Everything here is a pure function of
// answers and truths; nothing here knows data sets, registries or contracts.
//
// # What is shown, and what is refuted
//
// Overall the candidate has to show that it is not worse: the lower confidence bound of the difference in accuracy must not lie below −Margin.
// Doubt refuses it. For single labels and groups, which have few rows, that would refuse every candidate, so there the burden is reversed: a label or
// group refuses when it is worse by more than GroupMargin and chance does not explain it. The level of that test is divided by the number of labels,
// or of groups of the attribute (Bonferroni), so that a candidate that is as good everywhere is refused by chance in at most 1−Confidence of all cases.
//
// # Rows that were chosen to be labelled
//
// What people labelled of a deployment's traffic is harder than the traffic. Such rows have weights (eval.Sample.Weights); shares, differences and tests are then those of the traffic, see weigh.go.
//
// # Rows that are used again
//
// Whoever chooses among many candidates by the same rows fits those rows. The k-th comparison on the same rows is therefore made at the level
// (1−Confidence)/(k·(k+1)): over any number of candidates the chance that a worse one passes stays below 1−Confidence.
package gate

import (
	"time"

	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// Names of the gates.
const (
	Independence = "independence"
	Freshness    = "freshness"
	LabelSet     = "label_set"
	LabelNoise   = "label_noise"
	Rows         = "rows"
	Reuse        = "reuse"
	Accuracy     = "accuracy"
	SliceGate    = "slice"
	GroupGate    = "group"
	Calibration  = "calibration"
	Golden       = "golden"
	Certificate  = "certificate"
	Promise      = "promise"
)

// Tolerated is the share of the evaluation rows that may also have been trained or tuned on, as short texts that everybody writes; such rows are left out of
// Input.Rows. Between the public halves of it_tickets, tickets of one wording, it is 2.2 %. More than this is no accident.
const Tolerated = 0.05

// Policy says what a candidate has to show. The zero value of every member stands for its default.
type Policy struct {
	Margin              float64  `json:"margin"`              // default 0.02
	GroupMargin         float64  `json:"groupMargin"`         // default 0.05
	Confidence          float64  `json:"confidence"`          // default 0.95
	MaxCalibrationError float64  `json:"maxCalibrationError"` // default 0.05, beyond what chance explains
	MinRows             int      `json:"minRows"`             // default 100
	MinGroupRows        int      `json:"minGroupRows"`        // default 30
	MaxLabelNoise       float64  `json:"maxLabelNoise"`       // default 0.15
	AutomationMargin    float64  `json:"automationMargin"`    // default 0.03
	MinGolden           float64  `json:"minGolden"`           // default 1
	AllowRemovedLabels  bool     `json:"allowRemovedLabels"`
	MaxEvaluations      int      `json:"maxEvaluations"` // default 20
	Attributes          []string `json:"attributes,omitempty"`
}

// WithDefaults fills in what is not set.
func (p Policy) WithDefaults() Policy {
	float := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	whole := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	float(&p.Margin, 0.02)
	float(&p.GroupMargin, 0.05)
	float(&p.Confidence, 0.95)
	float(&p.MaxCalibrationError, 0.05)
	float(&p.MaxLabelNoise, 0.15)
	float(&p.AutomationMargin, 0.03)
	float(&p.MinGolden, 1)
	whole(&p.MinRows, 100)
	whole(&p.MinGroupRows, 30)
	whole(&p.MaxEvaluations, 20)
	return p
}

// Model is one side of the comparison: its answers to the evaluation rows, and what is certified for it.
type Model struct {
	Sample       *eval.Sample
	Certificates []risk.Certificate
}

// Row is what is known of an evaluation row beside the answers.
type Row struct {
	Labels     []string
	Attributes map[string]string
}

// Lineage says how evaluation rows relate to what the candidate has seen.
type Lineage struct {
	// Overlap is how many evaluation rows, before those were left out, also were rows to train or tune on (the same input or a near copy); Of is how many there are; Where names
	// the data set with the most of them. Persons are further rows, of persons whose other rows were trained or tuned on: no trick, but left out all the same.
	Overlap, Of, Persons int
	Where                string
	// MedianTrained is the time of the median row that was trained on, NewestMeasured that of the newest evaluation row; zero when rows have no times.
	MedianTrained, NewestMeasured time.Time
	// Use counts the comparisons on these rows, this one included.
	Use int
}

// Noise is an estimate of the share of mislabelled rows.
type Noise struct {
	Rows      int     `json:"rows"`
	Suspected int     `json:"suspected"`
	Share     float64 `json:"share"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
}

// GoldenRows counts the right answers to rows that must be answered rightly.
type GoldenRows struct{ Rows, Right int }

// Input is what is judged.
type Input struct {
	Policy    Policy
	Candidate Model
	// Champion is nil when nothing answers yet.
	Champion *Model
	Rows     []Row
	Lineage  Lineage
	Noise    *Noise      // nil when it was not estimated
	Golden   *GoldenRows // nil when there are none
}

// Result is what one gate says.
type Result struct {
	Gate string `json:"gate"`
	// Subject is the label, or "attribute=value", where a gate looks at several.
	Subject   string  `json:"subject,omitempty"`
	Passed    bool    `json:"passed"`
	Skipped   bool    `json:"skipped,omitempty"`
	Statement string  `json:"statement"`
	Observed  float64 `json:"observed"`
	Limit     float64 `json:"limit"`
	Low       float64 `json:"low,omitempty"`
	High      float64 `json:"high,omitempty"`
	Rows      int     `json:"rows"`
}

// Report is the judgement with everything that it rests on.
type Report struct {
	Policy     Policy      `json:"policy"`
	Comparison *Comparison `json:"comparison,omitempty"`
	Slices     []Slice     `json:"slices"`
	Noise      *Noise      `json:"noise,omitempty"`
	Gates      []Result    `json:"gates"`
	Passed     bool        `json:"passed"`
}

// Comparison is the candidate against the champion on the same rows.
type Comparison struct {
	Rows int `json:"rows"`
	// EffectiveRows is how many rows that were not chosen would say as much of the difference; absent where all count alike.
	EffectiveRows float64 `json:"effectiveRows,omitempty"`

	Accuracy Rate `json:"accuracy"` // of the candidate
	Champion Rate `json:"champion"`
	// Better counts rows that only the candidate answered rightly, Worse those that only the champion did.
	Better int `json:"better"`
	Worse  int `json:"worse"`
	// Difference in accuracy with its confidence bounds (Tango 1998), at Level of error on each side.
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Level      float64 `json:"level"`
	// PWorse is the chance of so many Worse against Better or more if both were equally good (McNemar, exact, mid-p).
	PWorse float64 `json:"pWorse"`
	// Automated are the shares that each would automate under its certificates.
	Automated         float64 `json:"automated"`
	ChampionAutomated float64 `json:"championAutomated"`
}

// Rate is a share with its confidence interval (Wilson 1927).
type Rate struct {
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Slice is how both models do on a part of the rows.
type Slice struct {
	// Attribute is "" for a label.
	Attribute string `json:"attribute,omitempty"`
	Name      string `json:"name"`
	Rows      int    `json:"rows"`
	Accuracy  Rate   `json:"accuracy"`
	Champion  *Rate  `json:"champion,omitempty"`
	Better    int    `json:"better"`
	Worse     int    `json:"worse"`
	// Difference and PWorse as in Comparison.
	Difference float64 `json:"difference"`
	PWorse     float64 `json:"pWorse"`
}
