package review

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// maxVerdicts bounds the verdicts that figures are computed from.
const maxVerdicts = 100_000

// GetQueueStats tells how a queue is doing over a period.
func (s *Service) GetQueueStats(ctx context.Context, req *reviewv1.GetQueueStatsRequest) (*reviewv1.GetQueueStatsResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	key := queueKey{project, req.GetOperation(), req.GetDeployment()}
	since, until, err := s.period(req.GetSince(), req.GetUntil(), 7*24*time.Hour)
	if err != nil {
		return nil, err
	}
	f := &figures{res: &reviewv1.GetQueueStatsResponse{}, final: map[string]bool{}, seconds: map[string]bool{}}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		q, err := findQueue(tx, key)
		if err != nil {
			return err
		}
		f.res.Counts = q.GetCounts()
		n, err := eachSettled(tx, key, since, until, maxVerdicts, f.add)
		f.res.Truncated = n > maxVerdicts
		return err
	})
	if err != nil {
		return nil, err
	}
	return f.finish(), nil
}

// period returns the bounds of a period in microseconds; those that are absent are now and so long before.
func (s *Service) period(since, until *timestamppb.Timestamp, length time.Duration) (from, to int64, err error) {
	end := s.now()
	if until != nil {
		end = until.AsTime()
	}
	begin := end.Add(-length)
	if since != nil {
		begin = since.AsTime()
	}
	if begin.After(end) {
		return 0, 0, fault.InvalidField("since", "must not be after until")
	}
	return db.Micros(begin), db.Micros(end), nil
}

// eachSettled calls fn for the newest verdicts of a queue that counted in a period, newest first, and returns how many there were; one more
// than size when there are more.
func eachSettled(tx *db.Tx, key queueKey, since, until int64, size int, fn func(*reviewv1.Verdict)) (n int, err error) {
	err = tx.Each(`SELECT message FROM review_verdicts WHERE project = ? AND operation = ? AND deployment = ? AND settled >= ? AND settled <= ? AND settled > 0
		ORDER BY settled DESC LIMIT ?`, []any{key.project, key.operation, key.deployment, since, until, size + 1}, func(scan func(...any) error) error {
		var message []byte
		if err := scan(&message); err != nil {
			return err
		}
		v, err := decodeVerdict(message)
		if err != nil {
			return err
		}
		if n++; n <= size {
			fn(v)
		}
		return nil
	})
	return n, err
}

// figures sums up verdicts, which come newest first.
type figures struct {
	res            *reviewv1.GetQueueStatsResponse
	final, seconds map[string]bool // items whose newest final verdict, whose second opinion was seen
	spent, waits   []time.Duration
	weight, wrong  float64
}

func (f *figures) add(v *reviewv1.Verdict) {
	f.res.Verdicts++
	f.spent = append(f.spent, v.GetAnswer().GetTimeSpent().AsDuration())
	switch {
	case v.GetGold():
		return
	case v.GetAnswer().GetNotSure():
		f.res.NotSure++
		return
	}
	switch v.GetRole() {
	case reviewv1.VerdictRole_VERDICT_ROLE_SECOND:
		f.res.SecondOpinions++
		if !v.GetFinal() {
			f.res.Disagreements++
		}
	case reviewv1.VerdictRole_VERDICT_ROLE_APPEAL:
		if v.GetOverturns() {
			f.res.Overturned++
		}
	case reviewv1.VerdictRole_VERDICT_ROLE_UNSPECIFIED, reviewv1.VerdictRole_VERDICT_ROLE_FIRST, reviewv1.VerdictRole_VERDICT_ROLE_ADJUDICATION,
		reviewv1.VerdictRole_VERDICT_ROLE_GOLD:
	}
	if !v.GetFinal() || f.final[v.GetItemId()] { // of an item that was reopened the newest counts
		return
	}
	f.final[v.GetItemId()] = true
	f.res.ItemsClosed++
	f.waits = append(f.waits, v.GetSubmitTime().AsTime().Sub(v.GetDecideTime().AsTime()))
	if v.GetAgrees() {
		f.res.SuggestionAccepted++
	}
	if v.GetOutcome() != commonv1.Outcome_OUTCOME_AUTOMATED || v.GetAudit().GetProbability() <= 0 {
		return
	}
	f.res.Audits++
	weight := 1 / v.GetAudit().GetProbability()
	f.weight += weight
	if !v.GetAgrees() {
		f.res.AuditErrors++
		f.wrong += weight
	}
}

func (f *figures) finish() *reviewv1.GetQueueStatsResponse {
	if f.weight > 0 {
		f.res.AuditErrorRate = f.wrong / f.weight
	}
	var sum time.Duration
	for _, d := range f.spent {
		sum += d
	}
	f.res.TimeSpent = durationpb.New(sum)
	f.res.TimeSpentMedian = durationpb.New(quantile(f.spent, 0.5))
	f.res.WaitMedian, f.res.WaitP90 = durationpb.New(quantile(f.waits, 0.5)), durationpb.New(quantile(f.waits, 0.9))
	return f.res
}

// quantile returns the least value that the share of the values does not exceed; 0 without any.
func quantile(values []time.Duration, share float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(share*float64(len(values))))]
}
