package training

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// outOfScope is the label of rows that belong to none of the others, as training knows it.
const outOfScope = "oos"

// truth is what is known to be right about a decision.
type truth struct {
	sequence   int64 // of the event: the newest counts
	labels     []string
	action     int32
	outOfScope bool
	source     string
	selection  selection
}

// harvest is what a query found.
type harvest struct {
	rows     []snapshot.Row
	sequence int64          // how far the lake was read
	rejected map[string]int // labelled decisions that cannot be rows, by reason
}

// Reasons why a labelled decision is no row.
const (
	inputAbsent = "input was not kept or was erased"
	noLabel     = "the answer names no label"
)

// harvest reads the labels that a query asks for.
func (s *Service) harvest(ctx context.Context, project string, q *trainingv1.DatasetQuery, known *known) (*harvest, error) {
	l := s.lake()
	if l == nil {
		return nil, fault.Unavailable("lake")
	}
	if err := l.Refresh(ctx); err != nil {
		return nil, fault.Unavailable("lake").Cause(err)
	}
	h := &harvest{sequence: q.GetThroughSequence(), rejected: map[string]int{}}
	switch have := int64(l.State().Watermark); {
	case h.sequence == 0:
		h.sequence = have
	case h.sequence > have:
		return nil, fault.Unavailable(fmt.Sprintf("sequence %d of the lake, which holds %d so far,", h.sequence, have)).RetryAfter(5 * time.Second)
	}
	truths, err := s.truths(ctx, l, project, q, h.sequence)
	if err != nil || len(truths) == 0 {
		return h, err
	}
	eras := eras{}
	first, last := span(truths)
	filter := lake.Filter{Project: project, From: later(first, asTime(q.GetFrom())), To: earlier(last.Add(time.Millisecond), asTime(q.GetTo()))}
	err = l.Each(ctx, lake.Decisions, filter, func(row any) error {
		d := row.(*lake.Decision)
		if d.Operation != fault.OperationName(q.GetOperation()) || d.Deployment != q.GetDeployment() {
			return nil
		}
		t := truths[d.DecisionID]
		era := eras.of(d)
		era.see(d, t)
		if t == nil {
			return nil
		}
		r, reason := join(d, t, q.GetAttributes(), known)
		if reason != "" {
			h.rejected[reason]++
			return nil
		}
		if r.Probability = probability(d, t, q.GetFeedbackComplete()); r.Probability > 0 {
			era.rows = append(era.rows, len(h.rows))
		}
		h.rows = append(h.rows, r)
		return nil
	})
	if err != nil {
		return nil, lakeFault(ctx, err)
	}
	eras.settle(h.rows, q.GetFeedbackComplete())
	h.rows = inOrder(h.rows)
	return h, nil
}

// inOrder returns rows by decision, and numbers them. Ids begin with the time, so this is the order of the decisions, whatever the order of the files.
func inOrder(rows []snapshot.Row) []snapshot.Row {
	order := make([]*snapshot.Row, len(rows)) // a row is large to move
	for i := range rows {
		order[i] = &rows[i]
	}
	slices.SortFunc(order, func(a, b *snapshot.Row) int { return cmp.Compare(a.DecisionID, b.DecisionID) })
	out := make([]snapshot.Row, len(rows))
	for i, r := range order {
		out[i] = *r
		out[i].Line = i + 1
	}
	return out
}

func lakeFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f := fault.From(err); f.ReasonName() != "INTERNAL" {
		return err
	}
	return fault.Unavailable("lake").Cause(err)
}

// truths reads the newest answer to every decision of the deployment.
func (s *Service) truths(ctx context.Context, l *lake.Lake, project string, q *trainingv1.DatasetQuery, through int64) (map[string]*truth, error) {
	out := map[string]*truth{}
	operation := fault.OperationName(q.GetOperation())
	take := func(id string, t truth) error {
		switch have := out[id]; {
		case have == nil:
			out[id] = &t
		case have.sequence < t.sequence:
			if !t.selection.candidate {
				t.selection = have.selection // what is corrected later was chosen no other way
			}
			out[id] = &t
		case !have.selection.candidate:
			have.selection = t.selection
		}
		if len(out) > s.config.MaxRows {
			return fault.QuotaExceeded("labelled decisions in one data set", int64(s.config.MaxRows))
		}
		return nil
	}
	if !q.GetWithoutVerdicts() {
		err := l.Each(ctx, lake.Verdicts, lake.Filter{Project: project}, func(row any) error {
			v := row.(*lake.Verdict)
			if !v.Final || v.Gold || v.NotSure || v.StreamSeq > through || v.Operation != operation || v.Deployment != q.GetDeployment() {
				return nil
			}
			return take(v.DecisionID, truth{
				v.StreamSeq, v.Labels, v.Action, v.OutOfScope, snapshot.Verdict, selection{v.SelectionID != "", v.SelectionChosen, v.SelectionProbability, v.SelectionLeast},
			})
		})
		if err != nil {
			return nil, lakeFault(ctx, err)
		}
	}
	if !q.GetWithoutFeedback() {
		err := l.Each(ctx, lake.FeedbackOf, lake.Filter{Project: project}, func(row any) error {
			f := row.(*lake.Feedback)
			if f.StreamSeq > through || f.Operation != operation || f.Deployment != q.GetDeployment() {
				return nil
			}
			return take(f.DecisionID, truth{f.StreamSeq, f.Labels, f.Action, f.OutOfScope, snapshot.Feedback, selection{}})
		})
		if err != nil {
			return nil, lakeFault(ctx, err)
		}
	}
	return out, nil
}

// span returns the times of the oldest and the newest decision, from their ids.
func span(truths map[string]*truth) (first, last time.Time) {
	ids := slices.Sorted(maps.Keys(truths))
	return idTime(ids[0]), idTime(ids[len(ids)-1])
}

// idTime is the time in a UUIDv7, to the millisecond; zero for other ids.
func idTime(id string) time.Time {
	if len(id) < 13 {
		return time.Time{}
	}
	ms, err := strconv.ParseInt(id[:8]+id[9:13], 16, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// join makes a row of a decision and its truth, or says why it is none.
func join(d *lake.Decision, t *truth, attributes []string, known *known) (snapshot.Row, string) {
	r := snapshot.Row{Source: t.source, DecisionID: d.DecisionID}
	var fields map[string]any
	if d.Fields != "" && json.Unmarshal([]byte(d.Fields), &fields) != nil {
		return r, inputAbsent
	}
	switch {
	case d.InputRetention == "absent":
		return r, inputAbsent
	case d.Title != "" && d.Text != "":
		r.Text = d.Title + "\n" + d.Text // as the model reads it
	case d.Title != "" || d.Text != "":
		r.Text = d.Title + d.Text
	case len(fields) > 0:
		r.Record = record(fields)
	default:
		return r, inputAbsent
	}
	var ok bool
	if r.Labels, ok = known.labels(t); !ok {
		return r, noLabel
	}
	r.Row.Person, r.Row.Time = d.SubjectID, d.Time.UTC()
	r.Row.Attributes = groups(d, fields, attributes)
	return r, ""
}

func record(fields map[string]any) engine.Record {
	out := make(engine.Record, len(fields))
	for name, v := range fields {
		switch v := v.(type) {
		case float64:
			out[name] = engine.Value{Kind: engine.Number, Number: v}
		case bool:
			out[name] = engine.Value{Kind: engine.Bool, Bool: v}
		case string:
			out[name] = engine.Value{Kind: engine.Text, Text: v}
		}
	}
	return out
}

// groups are the values of the attributes that a decision has.
func groups(d *lake.Decision, fields map[string]any, attributes []string) map[string]string {
	var out map[string]string
	for _, a := range attributes {
		value := ""
		switch a {
		case "locale":
			value = d.Locale
		case "channel":
			value = d.Channel
		default:
			if v, ok := fields[a]; ok {
				value = fmt.Sprint(v)
			}
		}
		if value == "" {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[a] = value
	}
	return out
}

// known is what the deployment's model answers with.
type known struct {
	all, harmless []string
	multi         bool
}

// labels are those of a truth. Reviewers of moderation may say what to do without saying why: where only one label means that, it is meant.
func (k *known) labels(t *truth) ([]string, bool) {
	switch {
	case t.outOfScope:
		return []string{outOfScope}, true
	case len(t.labels) > 0:
		return t.labels, true
	case t.action == int32(moderationv1.Action_ACTION_ALLOW):
		if k.multi {
			return nil, true
		}
		return k.harmless, len(k.harmless) == 1
	case t.action == int32(moderationv1.Action_ACTION_REMOVE):
		var harmful []string
		for _, l := range k.all {
			if !slices.Contains(k.harmless, l) {
				harmful = append(harmful, l)
			}
		}
		return harmful, len(harmful) == 1
	}
	return nil, false
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// earlier is the earlier of two times, of which the second may be zero.
func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// plain are the rows as the readers of files make them.
func plain(rows []snapshot.Row) []dataset.Row {
	out := make([]dataset.Row, len(rows))
	for i, r := range rows {
		out[i] = r.Row
	}
	return out
}
