package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// Reviews is the review queue as a verification looks at it.
type Reviews interface {
	// Since is when the queue began; decisions before it need no item. Zero when there is no queue.
	Since(ctx context.Context) (time.Time, error)
	// Applied is up to which message of the stream every decision has become an item.
	Applied(ctx context.Context) (uint64, error)
	// Lacking returns those of a project's decisions that are no items.
	Lacking(ctx context.Context, project string, ids []string) ([]string, error)
	// Items calls fn with project and id of every item that was made of a decision.
	Items(ctx context.Context, fn func(project, id string) error) error
}

// NeedsItem says whether people must see a decision.
func NeedsItem(d *commonv1.Decision) bool {
	if d.GetReason() == commonv1.DecisionReason_DECISION_REASON_SHADOW {
		return false
	}
	return d.GetOutcome() == commonv1.Outcome_OUTCOME_REVIEW || d.GetAudit().GetSelected()
}

// matching holds decisions and items against each other. Of decisions it keeps 8 bytes each: two of 10 million are taken for one another with a probability below 1 in 10,000.
type matching struct {
	v       Verifier
	since   time.Time
	applied uint64
	seen    []uint64
	need    map[string][]string // project → ids that are to be asked for
	last    uint64              // message that was read last
	late    map[uint64]bool     // what came after it
}

// askItems is how many decisions are asked for at once.
const askItems = 500

// reviews begins; the result is nil without a queue.
func (v Verifier) reviews(ctx context.Context) (*matching, error) {
	if v.Reviews == nil {
		return nil, nil
	}
	since, err := v.Reviews.Since(ctx)
	if err != nil || since.IsZero() {
		return nil, err
	}
	m := &matching{v: v, since: since, need: map[string][]string{}}
	m.applied, err = v.Reviews.Applied(ctx) // before anything is read: what is applied meanwhile may be on either side
	return m, err
}

// row looks at a decision of the lake.
func (m *matching) row(ctx context.Context, r *Report, d *lake.Decision) error {
	if m == nil {
		return nil
	}
	m.see(d.Project, d.DecisionID)
	if d.Reason == "shadow" || d.Outcome != "review" && !d.AuditSelected || d.Time.Before(m.since) || uint64(d.StreamSeq) > m.applied {
		return nil
	}
	return m.ask(ctx, r, d.Project, d.DecisionID)
}

// message looks at a decision of the stream.
func (m *matching) message(ctx context.Context, r *Report, seq uint64, rec *commonv1.DecisionRecord) error {
	if m == nil {
		return nil
	}
	d := rec.GetDecision()
	m.see(d.GetProject(), d.GetDecisionId())
	m.last = max(m.last, seq)
	if !NeedsItem(d) || d.GetTime().AsTime().Before(m.since) || seq > m.applied {
		return nil
	}
	return m.ask(ctx, r, d.GetProject(), d.GetDecisionId())
}

func (m *matching) see(project, id string) { m.seen = append(m.seen, fingerprint(project, id)) }

// fingerprint is the random half of a UUIDv7, mixed with the project.
func fingerprint(project, id string) uint64 {
	const prime = 1099511628211 // FNV
	var sum uint64
	for i := range len(project) {
		sum = (sum ^ uint64(project[i])) * prime
	}
	if len(id) == 36 {
		var b [8]byte
		if _, err := hex.Decode(b[:], []byte(id[19:23]+id[24:36])); err == nil {
			for _, c := range b {
				sum = sum<<8 ^ sum>>56 ^ uint64(c)
			}
			return sum
		}
	}
	for i := range len(id) {
		sum = (sum ^ uint64(id[i])) * prime
	}
	return sum
}

func (m *matching) ask(ctx context.Context, r *Report, project, id string) error {
	m.need[project] = append(m.need[project], id)
	if len(m.need[project]) < askItems {
		return nil
	}
	return m.flush(ctx, r, project)
}

func (m *matching) flush(ctx context.Context, r *Report, project string) error {
	lacking, err := m.v.Reviews.Lacking(ctx, project, m.need[project])
	m.need[project] = m.need[project][:0]
	for _, id := range lacking {
		r.problemf("review: decision %s/%s is for people and is no item", project, id)
	}
	return err
}

// finish asks for the rest, and for a decision of every item.
func (m *matching) finish(ctx context.Context, r *Report) error {
	if m == nil {
		return nil
	}
	for project := range m.need {
		if err := m.flush(ctx, r, project); err != nil {
			return err
		}
	}
	if err := m.journal(ctx); err != nil {
		return err
	}
	slices.Sort(m.seen)
	return m.v.Reviews.Items(ctx, func(project, id string) error {
		r.Items++
		if _, found := slices.BinarySearch(m.seen, fingerprint(project, id)); found {
			return m.v.pace(ctx, r.Items)
		}
		known, err := m.v.known(ctx, project+"/"+id)
		if err == nil && !known {
			known, err = m.caughtUp(ctx, fingerprint(project, id))
		}
		if err == nil && !known {
			r.problemf("review: item %s/%s has no decision in journal, stream or lake", project, id)
		}
		return err
	})
}

// caughtUp says whether a decision came after the stream was read: an item may be younger than that.
func (m *matching) caughtUp(ctx context.Context, id uint64) (bool, error) {
	if m.late == nil {
		m.late = map[uint64]bool{}
	}
	err := m.v.Stream.Read(ctx, bus.Position{Seq: m.last + 1}, nil, func(d bus.Delivery) error {
		m.late[fingerprint(projectOf(d.Subject), d.EventID)] = true
		m.last = d.Seq
		return nil
	})
	return m.late[id], err
}

// journal sees the decisions that are on their way.
func (m *matching) journal(ctx context.Context) error {
	if m.v.Journal == nil {
		return nil
	}
	err := m.v.Journal.Read(ctx, 0, func(e journal.Entry) error {
		m.see(projectOf(e.Subject), e.ID)
		return nil
	})
	if _, ok := errors.AsType[*journal.DamageError](err); ok {
		err = nil // named already
	}
	return err
}
