package sim

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// Arm is what came of one way to automate.
type Arm struct {
	Name string
	// Inquiries, Automated and Wrong are those of the second half of the days, Audits of all days.
	Inquiries, Automated, Wrong, Audits int
	// Trained is how many models it trained, Labels how many answers of people it learned from.
	Trained, Labels int
	Days            []ArmDay
}

// ArmDay is a day of an arm.
type ArmDay struct{ Inquiries, Automated, Wrong int }

// Share of the inquiries that was automated.
func (a *Arm) Share() float64 { return ratio(a.Automated, a.Inquiries) }

// Error of what was automated.
func (a *Arm) Error() float64 { return ratio(a.Wrong, a.Automated) }

// String tells the arm in a line.
func (a *Arm) String() string {
	return fmt.Sprintf("%s: second half automated %.2f %% of %d, true error %.2f %%; %d models, %d labels, %d audits",
		a.Name, 100*a.Share(), a.Inquiries, 100*a.Error(), a.Trained, a.Labels, a.Audits)
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// sum adds up the second half of the days.
func (a *Arm) sum() {
	for _, d := range a.Days[len(a.Days)/2:] {
		a.Inquiries, a.Automated, a.Wrong = a.Inquiries+d.Inquiries, a.Automated+d.Automated, a.Wrong+d.Wrong
	}
}

// decider is a model with a threshold.
type decider struct {
	model     engine.Predictor
	labels    []string
	threshold float64
	out       []float32
}

func newDecider(artifact []byte, threshold float64) (*decider, error) {
	p, err := load.Parse(artifact)
	if err != nil {
		return nil, err
	}
	return &decider{p, p.Info().Labels, threshold, make([]float32, len(p.Info().Labels))}, nil
}

// decide returns the answer to a text and whether it is automated.
func (d *decider) decide(text string) (label string, automated bool, err error) {
	if d == nil {
		return "", false, nil
	}
	if err := d.model.Predict(engine.Input{Text: text}, d.out); err != nil {
		return "", false, err
	}
	top, score := risk.Top(d.out)
	return d.labels[top], score >= d.threshold, nil
}

// frozen answers all days after the first with one version.
func frozen(d *decider, days [][]Ticket, since int) (*Arm, error) {
	a := &Arm{Name: "frozen", Trained: 1}
	for n, tickets := range days {
		day := ArmDay{Inquiries: len(tickets)}
		for _, t := range tickets {
			if n < since {
				break
			}
			label, automated, err := d.decide(t.Text)
			if err != nil {
				return nil, err
			}
			day.count(automated, label == t.Label)
		}
		a.Days = append(a.Days, day)
	}
	a.sum()
	return a, nil
}

func (d *ArmDay) count(automated, right bool) {
	if !automated {
		return
	}
	d.Automated++
	if !right {
		d.Wrong++
	}
}

// learner automates, and learns from what people answer.
type learner struct {
	Arm
	o      MonthOptions
	rng    *rand.Rand
	rows   []dataset.Row
	live   *decider
	labels []string
	// certified learns as the product does, by the same code: it audits, notes how each row came to be labelled, and automates what is certified. Otherwise it is naive: it learns from what people answered,
	// and takes the laxest threshold at which the observed error is small enough.
	certified bool
}

// learn plays all days.
func (l *learner) learn(ctx context.Context, examples []Ticket, days [][]Ticket) (*Arm, error) {
	l.rng = rand.New(rand.NewPCG(l.o.Seed, 77))
	seen := map[string]bool{}
	for _, t := range examples {
		if !seen[t.Label] {
			seen[t.Label], l.labels = true, append(l.labels, t.Label)
		}
		l.rows = append(l.rows, dataset.Row{Line: len(l.rows) + 1, Text: t.Text, Labels: []string{t.Label}})
	}
	trained := len(l.rows)
	for n, tickets := range days {
		if err := l.day(tickets); err != nil {
			return nil, err
		}
		if fresh := len(l.rows) - trained; n == 0 || int64(fresh) >= l.o.NewLabels {
			trained = len(l.rows)
			if err := l.train(ctx); err != nil {
				return nil, fmt.Errorf("day %d: %w", n+1, err)
			}
		}
	}
	l.Labels = len(l.rows)
	l.sum()
	return &l.Arm, nil
}

func (l *learner) day(tickets []Ticket) error {
	day := ArmDay{Inquiries: len(tickets)}
	for _, t := range tickets {
		label, automated, err := l.live.decide(t.Text)
		if err != nil {
			return err
		}
		day.count(automated, label == t.Label)
		row := dataset.Row{Line: len(l.rows) + 1, Text: t.Text, Labels: []string{l.answer(t.Label)}, Reviewed: true}
		switch {
		case !l.certified && automated:
			continue
		case l.certified && automated:
			if l.rng.Float64() >= l.o.AuditRate {
				continue
			}
			l.Audits++
			row.Sampling = dataset.Sampling{Probability: l.o.AuditRate, Least: l.o.AuditRate}
		case l.certified && l.live != nil:
			row.Sampling = dataset.Sampling{Probability: 1, Least: l.o.AuditRate}
		}
		l.rows = append(l.rows, row)
	}
	l.Days = append(l.Days, day)
	return nil
}

// answer is what a person says of an inquiry.
func (l *learner) answer(truth string) string {
	if l.rng.Float64() >= l.o.People[0].Error {
		return truth
	}
	for {
		if wrong := l.labels[l.rng.IntN(len(l.labels))]; wrong != truth {
			return wrong
		}
	}
}

func (l *learner) train(ctx context.Context) error {
	set := dataset.Assemble(l.Name, l.rows, dataset.Options{})
	for i := range set.Rows {
		given := l.rows[set.Rows[i].Line-1]
		set.Rows[i].Sampling, set.Rows[i].Reviewed = given.Sampling, given.Reviewed
	}
	dataset.Group(set.Rows, 0.9)
	var test *dataset.Set
	o := fit.Options{Operation: "routing", Alpha: l.o.MaxError, HoldOut: l.o.HoldOut, Seed: l.o.Seed}
	if l.certified { // as a run on the server has it
		var err error
		if set, test, err = halves(set, l.o.TestShare); err != nil {
			return err
		}
		o.Reviewers.Assumed = risk.AssumedReviewerError
	}
	result, err := fit.Run(ctx, set, test, o, nil)
	if err != nil {
		return err
	}
	l.Trained++
	c := result.Certificates[0]
	if !l.certified {
		c = risk.Naive(result.Sample, l.o.MaxError)
	}
	if l.o.Say != nil {
		l.o.Say("%s: %d rows, %d certify, accuracy there %.1f %%: automates %.1f %% of them", l.Name, len(set.Rows), len(result.Sample), 100*result.Evaluation.Accuracy, 100*c.Coverage)
	}
	if !c.Certified {
		return nil
	}
	l.live, err = newDecider(result.Artifact, c.Threshold)
	return err
}

// halves divides the rows of a set by chance.
func halves(set *dataset.Set, share float64) (train, test *dataset.Set, err error) {
	sides, err := dataset.Divide(set.Rows, dataset.Split{Method: dataset.SplitRandom, TestShare: share, Seed: 1})
	if err != nil {
		return nil, nil, err
	}
	a, b := *set, *set
	a.Rows, b.Rows = nil, nil
	for i, side := range sides {
		switch side { //nolint:exhaustive // the others are on neither side
		case dataset.Train:
			a.Rows = append(a.Rows, set.Rows[i])
		case dataset.Test:
			b.Rows = append(b.Rows, set.Rows[i])
		}
	}
	return &a, &b, nil
}
