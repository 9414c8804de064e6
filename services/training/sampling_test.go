package training

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

func TestTheProbabilityOfALabelIsKnownOrSaidToBeUnknown(t *testing.T) {
	t.Parallel()
	review, audit := lake.Decision{Outcome: "review"}, lake.Decision{Outcome: "automated", AuditSelected: true, AuditProbability: 0.05}
	passed := lake.Decision{Outcome: "automated", AuditProbability: 0.05}
	for name, c := range map[string]struct {
		d        lake.Decision
		s        selection
		complete bool
		want     float64
	}{
		"left to people":                        {d: review, want: 1},
		"audited":                               {d: audit, want: 0.05},
		"complained about":                      {d: passed, want: 0},
		"complained about, all truth arrives":   {d: passed, complete: true, want: 1},
		"chosen to be labelled first":           {d: review, s: selection{true, true, 0.4, 0.01}, want: 0.4},
		"an audit that was chosen":              {d: audit, s: selection{true, true, 0.4, 0.01}, want: 0.02},
		"passed over and answered all the same": {d: review, s: selection{true, false, 0.4, 0.01}, want: 0},
	} {
		if got := probability(&c.d, &truth{selection: c.s}, c.complete); got < c.want-1e-12 || got > c.want+1e-12 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestAnEraKnowsItsSmallestProbability(t *testing.T) {
	t.Parallel()
	decided := func(outcome, reason string, p float64) *lake.Decision {
		return &lake.Decision{Outcome: outcome, Reason: reason, AuditProbability: p, ModelDigest: "m", PolicyDigest: "p"}
	}
	below := decided("review", "below_threshold", 0)
	for name, c := range map[string]struct {
		seen     []*lake.Decision
		t        *truth
		complete bool
		want     float64
	}{
		"nothing is certified":              {seen: []*lake.Decision{decided("review", "not_certified", 0)}, want: 1},
		"automated and audited":             {seen: []*lake.Decision{below, decided("automated", "certified", 0.05)}, want: 0.05},
		"automated and never audited":       {seen: []*lake.Decision{below, decided("automated", "certified", 0)}, want: 0},
		"automated under two rates":         {seen: []*lake.Decision{decided("automated", "certified", 0.1), decided("automated", "certified", 0.02)}, want: 0.02},
		"stopped":                           {seen: []*lake.Decision{below, decided("review", "halted", 0)}, want: 1},
		"nothing automated is to be seen":   {seen: []*lake.Decision{below}, want: 0},
		"shadows decide nothing":            {seen: []*lake.Decision{decided("review", "not_certified", 0), decided("automated", "shadow", 0.05)}, want: 1},
		"some was chosen to come first":     {seen: []*lake.Decision{decided("review", "not_certified", 0)}, t: &truth{selection: selection{true, true, 0.4, 0.02}}, want: 0.02},
		"the truth of everything is known":  {seen: []*lake.Decision{decided("automated", "certified", 0)}, complete: true, want: 1},
		"audits, and some was chosen first": {seen: []*lake.Decision{decided("automated", "certified", 0.05)}, t: &truth{selection: selection{true, true, 0.4, 0.02}}, want: 0.001},
	} {
		all, rows := eras{}, make([]snapshot.Row, 1)
		for _, d := range c.seen {
			all.of(d).see(d, c.t)
		}
		all.of(c.seen[0]).rows = []int{0}
		all.settle(rows, c.complete)
		if got := rows[0].Least; got < c.want-1e-12 || got > c.want+1e-12 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
