package moderation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// History knows which rules were in force when. It needs no service that runs, but the tables of one that ran.
type History struct{ DB *db.DB }

// lived is a rule and when it was in force.
type lived struct {
	rule     *moderationv1.Rule
	from, to time.Time // to is zero when it still is
}

func (l *lived) at(t time.Time) bool {
	return !l.from.After(t) && (l.to.IsZero() || l.to.After(t))
}

// Around returns the sets of rules of a project that were in force at a time, that one first, and shortly before and after it: a change of rules reaches other processes
// up to slack later, and a decision carries the time of its end. Each set is sorted from the oldest rule to the newest.
func (h History) Around(ctx context.Context, project string, t time.Time, slack time.Duration) ([][]*moderationv1.Rule, error) {
	ok, err := h.DB.HasTable(ctx, "moderation_rules_deleted")
	if err != nil || !ok {
		return [][]*moderationv1.Rule{nil}, err
	}
	var all []lived
	err = h.DB.View(ctx, func(tx *db.Tx) error {
		from, to := db.Micros(t.Add(-slack)), db.Micros(t.Add(slack))
		return tx.Each(`SELECT `+ruleColumns+`, 0 AS deleted FROM moderation_rules WHERE project = ? AND created <= ?
			UNION ALL SELECT `+ruleColumns+`, deleted FROM moderation_rules_deleted WHERE project = ? AND created <= ? AND deleted >= ?`,
			[]any{project, to, project, to, from}, func(scan func(...any) error) error {
				var deleted int64
				r, err := scanRule(func(dest ...any) error { return scan(append(dest, &deleted)...) })
				l := lived{rule: r, from: r.GetCreateTime().AsTime()}
				if deleted != 0 {
					l.to = db.Time(deleted)
				}
				all = append(all, l)
				return err
			})
	})
	if err != nil {
		return nil, fmt.Errorf("read the rules of a time: %w", err)
	}
	slices.SortFunc(all, func(a, b lived) int { return strings.Compare(a.rule.GetRuleId(), b.rule.GetRuleId()) })
	var changes []time.Time
	for i := range all {
		for _, change := range []time.Time{all[i].from, all[i].to} {
			if !change.IsZero() && t.Sub(change).Abs() <= slack {
				changes = append(changes, change)
			}
		}
	}
	slices.SortFunc(changes, func(a, b time.Time) int { return cmp.Compare(t.Sub(a).Abs(), t.Sub(b).Abs()) }) // the nearest are the likeliest
	times := []time.Time{t}
	for _, change := range changes[:min(len(changes), maxChanges)] {
		times = append(times, change, change.Add(-time.Microsecond))
	}
	var sets [][]*moderationv1.Rule
	for _, at := range times {
		var set []*moderationv1.Rule
		for i := range all {
			if all[i].at(at) {
				set = append(set, all[i].rule)
			}
		}
		if !slices.ContainsFunc(sets, func(s []*moderationv1.Rule) bool { return slices.Equal(s, set) }) {
			sets = append(sets, set)
		}
	}
	return sets, nil
}

// maxChanges bounds how many changes of rules are looked at, and so how many sets are returned.
const maxChanges = 32

// WithRules returns a service that decides with these rules for that project and none for others, to repeat decisions. They must not change any more.
func WithRules(d Deps, project string, rules []*moderationv1.Rule) *Service {
	d.DB = nil
	s := New(d)
	s.matchers.Store(project, newMatcher(rules))
	return s
}
