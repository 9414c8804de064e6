package decision

import (
	"context"
	"log/slog"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/serving"
)

const (
	// What waits to be scored in shadow is bounded by number and by bytes; beyond that decisions are not compared.
	shadowQueue = 1024
	shadowBytes = 8 << 20

	reportEvery    = 2 * time.Second
	reportTimeout  = 5 * time.Second
	maxComparisons = 1000 // of a report
	maxLabelSets   = 200
	maxFlips       = 50
	timeBuckets    = 24
)

// Traffic counts how versions on trial do against the champion, and scores in shadow. Nothing here holds an answer up: what there is no room for is not compared.
type Traffic struct {
	models   modelsv1.ModelServiceClient
	log      *slog.Logger
	reporter string
	queue    chan shadowed
	bytes    atomic.Int64 // of the texts in the queue

	mu    sync.Mutex
	pairs map[versions]*modelsv1.Comparison
}

// versions names two versions of a deployment.
type versions struct {
	key                  serving.Key
	champion, challenger string // digests
	begun                int64  // when the trial began, in nanoseconds since 1970; 0 where that is not known
}

// shadowed is a decision of the champion that others shall score too.
type shadowed struct {
	target    *Target
	scored    Scored
	size      int
	id        string
	chosen    []string
	automated bool
}

// NewTraffic returns a Traffic that reports to the registry. It counts at once and scores while Run runs.
func NewTraffic(models modelsv1.ModelServiceClient, log *slog.Logger) *Traffic {
	return &Traffic{models: models, log: log, reporter: uuid.NewString(), queue: make(chan shadowed, shadowQueue), pairs: map[versions]*modelsv1.Comparison{}}
}

// note counts a decision for every version that has a share, and has it scored by those in shadow.
func (f *Traffic) note(t *Target, a *Answer, d *commonv1.Decision) {
	if f == nil {
		return
	}
	shadows := false
	automated := a.Outcome == commonv1.Outcome_OUTCOME_AUTOMATED
	for _, tr := range t.Trials {
		switch {
		case tr.Share > 0:
			f.counted(t, tr, func(c *modelsv1.Comparison) {
				if t.failed == tr {
					c.Challenger.Errors++
				}
				switch t.trial {
				case tr:
					add(c.Challenger, a.Scored.Took, a.Chosen, automated)
				case nil:
					add(c.Champion, a.Scored.Took, a.Chosen, automated)
				}
			})
		case tr.Shadow:
			shadows = true
		}
	}
	live, can := t.Live.(interface{ Retain() })
	if !shadows || !can || t.trial != nil {
		return
	}
	s := shadowed{target: t, scored: a.Scored, size: sizeOf(a.Scored.Input), id: d.GetDecisionId(), chosen: a.Chosen, automated: automated}
	if f.bytes.Add(int64(s.size)) <= shadowBytes {
		live.Retain()
		c := *t // what the caller holds is his
		s.target = &c
		select {
		case f.queue <- s:
			return
		default:
			t.Release()
		}
	}
	f.bytes.Add(-int64(s.size))
	for _, tr := range t.Trials {
		if tr.Shadow {
			f.counted(t, tr, func(c *modelsv1.Comparison) { c.Dropped++ })
		}
	}
}

// Run scores in shadow and reports until ctx ends, then reports once more.
func (f *Traffic) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.report(ctx) })
	for {
		select {
		case s := <-f.queue:
			f.score(s)
		case <-ctx.Done():
			for {
				select {
				case s := <-f.queue:
					s.target.Release()
				default:
					return nil
				}
			}
		}
	}
}

// score lets every version in shadow answer what the champion has answered.
func (f *Traffic) score(s shadowed) {
	defer s.target.Release()
	defer f.bytes.Add(-int64(s.size))
	for _, tr := range s.target.Trials {
		if !tr.Shadow {
			continue
		}
		t := s.target.with(tr)
		info := tr.Predictor.Info()
		p := scores.Get().(*Scores)
		p.P = slices.Grow(p.P[:0], len(info.Labels))[:len(info.Labels)]
		begin := time.Now()
		err := tr.Predictor.Predict(s.scored.Input, p.P)
		took := time.Since(begin)
		if err != nil {
			p.Free()
			f.counted(s.target, tr, func(c *modelsv1.Comparison) {
				add(c.Champion, s.scored.Took, s.chosen, s.automated)
				c.Challenger.Errors++
			})
			continue
		}
		verdict, chosen := s.scored.Judge(t, p.P)
		p.Free()
		f.counted(s.target, tr, func(c *modelsv1.Comparison) {
			s.compare(c, took, chosen, verdict.Outcome == commonv1.Outcome_OUTCOME_AUTOMATED)
		})
	}
}

// compare counts one input that both versions scored.
func (s *shadowed) compare(c *modelsv1.Comparison, took time.Duration, chosen []string, automated bool) {
	add(c.Champion, s.scored.Took, s.chosen, s.automated)
	add(c.Challenger, took, chosen, automated)
	c.Compared++
	same := slices.Equal(s.chosen, chosen)
	if same {
		c.SameLabels++
	}
	switch {
	case s.automated && automated:
		c.AutomatedBoth++
		if !same {
			c.Flips++
		}
	case s.automated:
		c.AutomatedChampion++
	case automated:
		c.AutomatedChallenger++
	}
	if same && s.automated == automated || len(c.Examples) >= maxFlips {
		return
	}
	c.Examples = append(c.Examples, &modelsv1.Flip{
		DecisionId: s.id, Champion: strings.Join(s.chosen, ", "), Challenger: strings.Join(chosen, ", "), ChampionAutomated: s.automated, ChallengerAutomated: automated,
	})
}

// counted calls fn with the counts of the champion and one version beside it.
func (f *Traffic) counted(t *Target, tr *serving.Trial, fn func(*modelsv1.Comparison)) {
	d := t.Deployment
	v := versions{key: serving.Key{Project: d.GetProject(), Operation: d.GetOperation(), Name: d.GetName()}, champion: d.GetChampion().GetDigest(), challenger: tr.Ref.GetDigest()}
	if tr.Begun != nil {
		v.begun = tr.Begun.AsTime().UnixNano()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.pairs[v]
	if c == nil {
		c = &modelsv1.Comparison{
			Project: d.GetProject(), Operation: d.GetOperation(), Deployment: d.GetName(), ChampionDigest: v.champion, ChallengerDigest: v.challenger,
			Champion: &modelsv1.Arm{}, Challenger: &modelsv1.Arm{}, TrialTime: tr.Begun,
		}
		f.pairs[v] = c
	}
	fn(c)
}

func add(a *modelsv1.Arm, took time.Duration, chosen []string, automated bool) {
	a.Decisions++
	if automated {
		a.Automated++
	}
	if a.Times == nil {
		a.Times, a.Labels = make([]int64, timeBuckets), map[string]int64{}
	}
	a.Times[min(timeBuckets-1, bits.Len64(uint64(max(0, took-1)/time.Microsecond)))]++
	key := strings.Join(chosen, ", ")
	if _, known := a.Labels[key]; !known && len(a.Labels) >= maxLabelSets {
		key = "…"
	}
	a.Labels[key]++
}

// report sends what was counted, every two seconds. What could not be sent is sent again as it was, under its number, so that it is counted once.
func (f *Traffic) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var open *modelsv1.ReportTrafficRequest
	var sequence int64
	send := func(ctx context.Context) {
		for {
			if open == nil {
				if open = f.take(); open == nil {
					return
				}
				sequence++
				open.Reporter, open.Sequence = f.reporter, sequence
			}
			ctx, cancel := context.WithTimeout(ctx, reportTimeout)
			_, err := f.models.ReportTraffic(ctx, open)
			cancel()
			if err != nil {
				f.log.DebugContext(ctx, "traffic could not be reported, will try again", "error", err)
				return
			}
			open = nil
		}
	}
	for {
		select {
		case <-tick.C:
			send(ctx)
		case <-ctx.Done():
			send(context.WithoutCancel(ctx))
			return
		}
	}
}

// take returns a report of what was counted since the last one; nil when nothing was.
func (f *Traffic) take() *modelsv1.ReportTrafficRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pairs) == 0 {
		return nil
	}
	r := &modelsv1.ReportTrafficRequest{}
	for v := range maps.Keys(f.pairs) {
		if len(r.GetComparisons()) == maxComparisons {
			break
		}
		r.Comparisons = append(r.Comparisons, f.pairs[v])
		delete(f.pairs, v)
	}
	return r
}

// sizeOf is about what an input holds in memory.
func sizeOf(in engine.Input) int {
	n := len(in.Text) + 64
	for name, v := range in.Record {
		n += len(name) + len(v.Text) + 64
	}
	return n
}
