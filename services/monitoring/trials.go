package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// A trial is watched while a challenger answers a share of the traffic. Its certificates are judged like those of the champion, and what audits find of either version since both answer is counted, each
// audit for the version that made the decision, and told to the registry, which compares them.

// trialKey names a trial over all projects.
type trialKey struct {
	key
	champion, challenger string // digests
}

// trial is what audits have shown of two versions since both answer.
type trial struct {
	trialKey
	began        int64 // when the trial began
	since, until int64 // when its challenger began to answer, and when it ended; 0 while it has not
	changed      int64 // counts the changes
	arms         arms
	dirty        bool // it has counts that are not stored
}

// maxGaps is how many pauses of a trial are remembered: audits of older ones have been answered long ago.
const maxGaps = 100

type arms struct {
	Champion   risk.Sequence `json:"champion"`
	Challenger risk.Sequence `json:"challenger"`
	// Gaps are the times between an end of the trial and its resumption, in which only the champion answered: from, and until before.
	Gaps [][2]int64 `json:"gaps,omitempty"`
}

const trialColumns = `project, operation, deployment, champion, challenger, began, since, until, changed, arms FROM monitoring_trials`

func loadTrials(tx *db.Tx, where string, args ...any) (all []*trial, err error) {
	err = tx.Each(`SELECT `+trialColumns+` `+where, args, func(scan func(...any) error) error {
		t := &trial{}
		var data []byte
		if err := scan(&t.project, &t.operation, &t.deployment, &t.champion, &t.challenger, &t.began, &t.since, &t.until, &t.changed, &data); err != nil {
			return err
		}
		all = append(all, t)
		if err := json.Unmarshal(data, &t.arms); err != nil {
			return fmt.Errorf("decode what audits show of a trial of %s: %w", t.deployment, err)
		}
		return nil
	})
	return all, err
}

func trialsOf(tx *db.Tx, k key) ([]*trial, error) {
	return loadTrials(tx, `WHERE project = ? AND operation = ? AND deployment = ? ORDER BY champion, challenger`, k.project, k.operation, k.deployment)
}

func (t *trial) save(tx *db.Tx) error {
	data, err := json.Marshal(t.arms)
	if err != nil {
		return fmt.Errorf("encode what audits show of a trial of %s: %w", t.deployment, err)
	}
	_, err = tx.Exec(`INSERT INTO monitoring_trials (project, operation, deployment, champion, challenger, began, since, until, changed, told, arms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)
		ON CONFLICT (project, operation, deployment, champion, challenger) DO UPDATE SET until = excluded.until, changed = excluded.changed, arms = excluded.arms`,
		t.project, t.operation, t.deployment, t.champion, t.challenger, t.began, t.since, t.until, t.changed, data)
	return err
}

// learnTrials notes which versions answer beside the champion, and judges their certificates. It says whether one of them has to be stopped.
func (s *Service) learnTrials(tx *db.Tx, k key, d *modelsv1.Deployment) (stops bool, err error) {
	for _, c := range d.GetChallengers() {
		for _, own := range c.GetCertificates() {
			root, err := s.learnRoot(tx, k, c.GetVersion().GetDigest(), own)
			if err != nil {
				return false, err
			}
			st, err := loadState(tx, k.project, root)
			if err != nil {
				return false, err
			}
			stop, err := s.judgeTrial(tx, stateKey{k, root}, st)
			if err != nil {
				return false, err
			}
			stops = stops || stop
		}
	}
	return stops, noteTrials(tx, k, d)
}

// noteTrials notes which trials a deployment has since now, and which it has not any more. What is answered later about decisions of a trial that has ended still counts for it.
func noteTrials(tx *db.Tx, k key, d *modelsv1.Deployment) error {
	known, err := trialsOf(tx, k)
	if err != nil {
		return err
	}
	now := db.Micros(d.GetUpdateTime().AsTime())
	goesOn := map[*trial]bool{}
	for _, c := range d.GetChallengers() {
		if c.GetShare() == 0 {
			continue
		}
		next := &trial{trialKey: trialKey{k, d.GetChampion().GetDigest(), c.GetVersion().GetDigest()}, began: db.Micros(c.GetStartTime().AsTime()), since: now}
		for _, have := range known {
			if have.trialKey != next.trialKey {
				continue
			}
			if have.began == next.began {
				next = have
			} else if err := have.forget(tx); err != nil { // an earlier trial of the same versions
				return err
			}
			goesOn[have] = true
		}
		if next.until > 0 && now > next.until { // it was resumed
			next.arms.Gaps = append(next.arms.Gaps, [2]int64{next.until, now})
			next.arms.Gaps = next.arms.Gaps[max(0, len(next.arms.Gaps)-maxGaps):]
		}
		next.until = 0
		if err := next.save(tx); err != nil {
			return err
		}
	}
	for _, have := range known {
		if goesOn[have] || have.until != 0 {
			continue
		}
		have.until = now
		if err := have.save(tx); err != nil {
			return err
		}
	}
	return nil
}

func (t *trial) forget(tx *db.Tx) error {
	_, err := tx.Exec(`DELETE FROM monitoring_trials WHERE project = ? AND operation = ? AND deployment = ? AND champion = ? AND challenger = ?`,
		t.project, t.operation, t.deployment, t.champion, t.challenger)
	return err
}

// judgeTrial notes that a trial has to be ended, where audits show that a version which answers a share breaks the promise that it is certified for. What the state means for the champion has been
// judged before.
func (s *Service) judgeTrial(tx *db.Tx, k stateKey, st *state) (stops bool, err error) {
	d, err := loadDeployment(tx, k.key)
	if err != nil || len(d.GetChallengers()) == 0 || st.Errors.Starts == 0 {
		return false, err
	}
	c, own, err := trialOf(tx, k, d)
	if err != nil || own == nil || c.GetShare() == 0 || !own.GetCertified() || haltOf(d, own) != nil {
		return false, err
	}
	p, err := loadPeople(tx, k.key)
	if err != nil {
		return false, err
	}
	why := s.broken(st, own, p)
	if why == "" {
		return false, nil
	}
	_, err = tx.Exec(`UPDATE monitoring_states SET due = ? WHERE project = ? AND root = ?`, "guardrail guarantee: "+why, k.project, k.root)
	return true, err
}

// trialOf returns the challenger whose certificate audits with that root are counted for, and the certificate; nil when there is none.
func trialOf(tx *db.Tx, k stateKey, d *modelsv1.Deployment) (*modelsv1.Challenger, *modelsv1.Certificate, error) {
	for _, c := range d.GetChallengers() {
		for _, own := range c.GetCertificates() {
			root, err := rootOf(tx, k.project, own.GetCertificateId())
			if err != nil {
				return nil, nil, err
			}
			if root == k.root {
				return c, own, nil
			}
		}
	}
	return nil, nil, nil
}

// observeTrials counts an audit for the version that decided, in every trial that it takes part in.
func (b *batch) observeTrials(k key, model string, decided int64, propensity float64, wrong bool) error {
	if model == "" { // drawn before an earlier release ended
		return nil
	}
	all, loaded := b.trials[k]
	if !loaded {
		var err error
		if all, err = trialsOf(b.Tx, k); err != nil {
			return err
		}
		b.trials[k] = all
	}
	for _, t := range all {
		if decided < t.since || t.until > 0 && decided >= t.until || t.paused(decided) {
			continue
		}
		var arm *risk.Sequence
		switch model {
		case t.champion:
			arm = &t.arms.Champion
		case t.challenger:
			arm = &t.arms.Challenger
		default:
			continue
		}
		if err := arm.Observe(propensity, wrong); err != nil {
			continue // it is counted for no promise either, which the log says
		}
		t.changed++
		t.dirty = true
	}
	return nil
}

// paused says whether the challenger did not answer at a time between the begin of the trial and its end.
func (t *trial) paused(at int64) bool {
	return slices.ContainsFunc(t.arms.Gaps, func(g [2]int64) bool { return at >= g[0] && at < g[1] })
}

// flushTrials writes what the batch has counted of trials.
func (b *batch) flushTrials() error {
	for _, all := range b.trials {
		for _, t := range all {
			if !t.dirty {
				continue
			}
			if err := t.save(b.Tx); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellTrials tells the registry what audits show of versions on trial: all so far, so that it matters neither how often it is told nor whether an answer was lost.
func (s *Service) tellTrials(ctx context.Context) error {
	var all []*trial
	err := s.db.View(ctx, func(tx *db.Tx) (err error) {
		all, err = loadTrials(tx, `WHERE changed > told LIMIT 100`)
		return err
	})
	if err != nil || len(all) == 0 {
		return err
	}
	s.told++
	req := &modelsv1.ReportTrafficRequest{Reporter: s.reporter, Sequence: s.told}
	for _, t := range all {
		req.Comparisons = append(req.Comparisons, &modelsv1.Comparison{
			Project: t.project, Operation: commonv1.Operation(t.operation), Deployment: t.deployment, ChampionDigest: t.champion, ChallengerDigest: t.challenger,
			TrialTime: timestamppb.New(db.Time(t.began)), Champion: armOf(t.arms.Champion), Challenger: armOf(t.arms.Challenger),
		})
	}
	if _, err := s.system.ReportTraffic(ctx, req); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, t := range all {
			_, err := tx.Exec(`UPDATE monitoring_trials SET told = ? WHERE project = ? AND operation = ? AND deployment = ? AND champion = ? AND challenger = ? AND began = ?`,
				t.changed, t.project, t.operation, t.deployment, t.champion, t.challenger, t.began)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func armOf(s risk.Sequence) *modelsv1.Arm {
	a := &modelsv1.Arm{}
	for _, st := range s.Strata {
		a.Audits = append(a.Audits, &modelsv1.AuditCount{Propensity: st.Propensity, Audits: int64(st.Audits), Wrong: int64(st.Wrong)})
	}
	return a
}
