package monitoring

import (
	"context"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// Window names decisions of one deployment.
type Window struct {
	Project    string
	Operation  commonv1.Operation
	Deployment string
	From, To   time.Time // From included, To not
}

// Truth is what became known of a decision.
type Truth struct {
	DecisionID string
	Labels     []string
	Action     int32 // of moderation
	OutOfScope bool
	// Feedback says that the application sent it, for reasons of its own, instead of a person who was asked.
	Feedback bool
}

// Replay reads decisions and what became known of them, and opens versions.
type Replay interface {
	// Decisions returns decisions, newest first, and what to give as before for the next page; "" after the last one.
	Decisions(ctx context.Context, w Window, before string, limit int) (records []*commonv1.DecisionRecord, next string, err error)
	// Truths calls fn for everything that became known of decisions in the window or after them, verdicts first.
	Truths(ctx context.Context, w Window, fn func(Truth)) error
	// Open opens a version; whoever gets it closes it.
	Open(ctx context.Context, project string, v *modelsv1.ModelVersion) (engine.Predictor, error)
}

// answer is what a model said about an input, and how sure it was of it.
type answer struct {
	side    string // whose threshold counts
	score   float64
	chosen  []string
	action  int32 // of moderation: 1 allow, 2 remove, as in the contract
	abstain bool  // never automated: most probably none of the labels
}

// answerer turns probabilities into answers, as the operations do.
type answerer struct {
	operation  commonv1.Operation
	labels     []string
	number     map[string]int
	outOfScope int
	harmless   []int
	multilabel bool
}

func newAnswerer(op commonv1.Operation, v *modelsv1.ModelVersion) *answerer {
	a := &answerer{operation: op, labels: v.GetLabels(), number: make(map[string]int, len(v.GetLabels())), outOfScope: -1, multilabel: v.GetMultiLabel()}
	for i, l := range a.labels {
		a.number[l] = i
		if l == v.GetOutOfScopeLabel() && l != "" {
			a.outOfScope = i
		}
	}
	for _, l := range v.GetHarmlessLabels() {
		if i, ok := a.number[l]; ok {
			a.harmless = append(a.harmless, i)
		}
	}
	return a
}

// faint is up to which probability a label may be missing in a record without making a difference.
const faint = 0.005

// recorded fills in the probabilities of a record. ok is false when those that are missing could make a difference.
func (a *answerer) recorded(r *commonv1.DecisionRecord, p []float32) (ok bool) {
	if len(r.GetProbabilities()) == len(p) {
		copy(p, r.GetProbabilities())
		return true
	}
	clear(p)
	labels := r.GetDecision().GetLabels()
	least := float64(1)
	for _, l := range labels {
		i, known := a.number[l.GetLabel()]
		if !known {
			return false
		}
		p[i] = float32(l.GetProbability())
		least = min(least, l.GetProbability())
	}
	switch {
	case len(labels) == 0:
		return false
	case len(labels) == len(p):
		return true
	case a.multilabel:
		return least < risk.SetThreshold // those that are missing are less probable still, so they are neither chosen nor the least certain
	case a.operation == commonv1.Operation_OPERATION_MODERATION:
		return least < faint
	}
	return true // the most probable label is there
}

// answer says what the probabilities mean.
func (a *answerer) answer(p []float32) answer {
	if a.operation == commonv1.Operation_OPERATION_MODERATION {
		side, score := risk.Lean(risk.Harm(p, a.harmless, a.multilabel))
		out := answer{side: side, score: score, action: actionAllow, abstain: !a.multilabel && len(a.harmless) == 0}
		if side == risk.SideRemove {
			out.action = actionRemove
		}
		return out
	}
	if a.multilabel {
		out := answer{score: risk.SetScore(p)}
		for i, v := range p {
			if v >= risk.SetThreshold {
				out.chosen = append(out.chosen, a.labels[i])
			}
		}
		return out
	}
	top, score := risk.Top(p)
	if top < 0 {
		return answer{abstain: true}
	}
	return answer{side: a.labels[top], score: score, chosen: a.labels[top : top+1], abstain: top == a.outOfScope}
}

// thresholds are what is automated, by side.
type thresholds map[string]threshold

type threshold struct {
	at        float64
	certified bool
}

func (t thresholds) automates(a answer) bool {
	own, ok := t[a.side]
	if !ok {
		own = t[""]
	}
	return !a.abstain && own.certified && a.score >= own.at
}

func thresholdsOf(certificates []*modelsv1.Certificate) thresholds {
	t := thresholds{}
	for _, c := range certificates {
		t[c.GetSide()] = threshold{c.GetThreshold(), c.GetCertified()}
	}
	return t
}
