package review

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// maxSearch bounds the part of an input that ListItems searches, in bytes.
const maxSearch = 8 << 10

// Apply makes items of the decisions that need a person; the others are passed over. It takes few transactions: an item costs less in a large one, and one ends early when somebody waits for the
// database. When it fails, items of some decisions may have been made. An item has the id of its decision and is made once: a record that comes again, however late and whatever has become of
// its item, has no effect. The records are the service's afterwards.
func (s *Service) Apply(ctx context.Context, records []*commonv1.DecisionRecord) error {
	records = slices.DeleteFunc(records, func(r *commonv1.DecisionRecord) bool { return !needsPerson(r.GetDecision()) })
	for len(records) > 0 {
		done := 0
		err := s.change(ctx, func(w *work) error {
			for done < len(records) && (done < leastRows || !w.Awaited()) {
				some := records[done:min(done+applyRows, len(records))]
				if err := w.apply(some); err != nil {
					return err
				}
				done += len(some)
				runtime.Gosched() // nobody waits for it
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("apply %d decisions: %w", len(records), err)
		}
		records = records[done:]
	}
	return nil
}

const (
	// applyRows is how many rows one statement inserts: with Postgres the way there and back costs more than the rows.
	applyRows = 50
	// leastRows is how many items a transaction makes however many wait for it: some milliseconds.
	leastRows = 100
)

func needsPerson(d *commonv1.Decision) bool {
	if d.GetReason() == commonv1.DecisionReason_DECISION_REASON_SHADOW || d.GetDecisionId() == "" {
		return false
	}
	return d.GetOutcome() == commonv1.Outcome_OUTCOME_REVIEW || d.GetAudit().GetSelected()
}

// apply makes items of some decisions.
func (w *work) apply(records []*commonv1.DecisionRecord) error {
	items := make([]*item, len(records))
	of := make(map[*item]*commonv1.DecisionRecord, len(records))
	for i, r := range records {
		d := r.GetDecision()
		key := queueKey{d.GetProject(), d.GetOperation(), d.GetDeployment()}
		settings, err := w.queue(key)
		if err != nil {
			return err
		}
		items[i] = newItem(settings, key, r, w.micros)
		of[items[i]] = r
	}
	items, err := w.withoutRetired(items)
	if err != nil || len(items) == 0 {
		return err
	}
	items, err = w.insert(items...)
	if err != nil || len(items) == 0 {
		return err
	}
	return w.addRecords(items, of)
}

// newItem makes the item of a decision.
func newItem(s *reviewv1.QueueSettings, key queueKey, r *commonv1.DecisionRecord, now int64) *item {
	d := r.GetDecision()
	it := &item{
		queueKey: key, id: d.GetDecisionId(), state: open, kind: reviewv1.ItemKind_ITEM_KIND_REVIEW, role: reviewv1.VerdictRole_VERDICT_ROLE_FIRST,
		decided: db.Micros(d.GetTime().AsTime()), created: now, priority: priorityOf(r), uncertainty: uncertaintyOf(d.GetLabels()),
		label: clean(topLabel(d)), locale: clean(r.GetInput().GetLocale()), content: clean(r.GetContentId()), sha: slices.Clip(r.GetInputSha256()),
		second: drawn(d.GetDecisionId(), s.GetSecondOpinionShare()),
	}
	if it.sha == nil {
		it.sha = []byte{}
	}
	if d.GetOutcome() == commonv1.Outcome_OUTCOME_AUTOMATED {
		it.kind = reviewv1.ItemKind_ITEM_KIND_AUDIT
	}
	it.since = it.decided
	it.place(s, d.GetLabels())
	return it
}

// place computes what the queue's settings say of an item.
func (it *item) place(s *reviewv1.QueueSettings, labels []*commonv1.LabelProbability) {
	it.harm = expectedHarm(s, labels)
	it.rank = rank(s, it.harm, it.uncertainty, it.priority, db.Time(it.since))
	it.due = dueAt(s, it.since)
	it.skills = skillsFor(s, it.label, it.locale)
}

func topLabel(d *commonv1.Decision) string {
	if chosen := d.GetChosenLabels(); len(chosen) > 0 {
		return chosen[0]
	}
	if labels := d.GetLabels(); len(labels) > 0 {
		return labels[0].GetLabel()
	}
	return ""
}

// drawn says whether an item belongs to a share that is chosen by its id: the same at every delivery, and unknown to those who choose inputs.
func drawn(id string, share float64) bool {
	sum := sha256.Sum256([]byte("second opinion " + id))
	return float64(binary.BigEndian.Uint64(sum[:])) < share*math.MaxUint64
}

// addRecords stores what items judge, and what finds their likes.
func (w *work) addRecords(items []*item, of map[*item]*commonv1.DecisionRecord) error {
	rows := make([]any, 0, 5*len(items))
	for _, it := range items {
		r := of[it]
		r.Probabilities = nil // all of them, for thousands of labels: the most probable ones stay
		data, err := proto.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode record %s: %w", it.id, err)
		}
		rows = append(rows, it.project, it.id, clean(r.GetSubjectId()), data, searchText(r.GetInput()))
		w.addKeys(it, r.GetInput())
	}
	_, err := w.Exec(`INSERT INTO review_records (project, id, subject, record, search) VALUES `+rowMarks(5, len(rows)), rows...)
	return err
}

// fullText is what is compared: title and text.
func fullText(in *commonv1.RecordedInput) string {
	if in.GetTitle() == "" {
		return in.GetText()
	}
	return in.GetTitle() + "\n" + in.GetText()
}

// searchText is what ListItems searches: title, text and the texts of fields, in lower case.
func searchText(in *commonv1.RecordedInput) string {
	var b strings.Builder
	b.WriteString(fullText(in))
	for _, name := range slices.Sorted(maps.Keys(in.GetFields())) {
		if text := in.GetFields()[name].GetText(); text != "" {
			b.WriteString("\n" + text)
		}
	}
	text := clean(b.String())
	if len(text) > maxSearch {
		text = strings.ToValidUTF8(text[:maxSearch], "")
	}
	return strings.ToLower(text)
}

// findRecord reads what an item judges.
func findRecord(tx *db.Tx, project, id string) (*commonv1.DecisionRecord, error) {
	var b []byte
	found, err := tx.Get(`SELECT record FROM review_records WHERE project = ? AND id = ?`, []any{project, id}, &b)
	if err != nil {
		return nil, err
	}
	r := &commonv1.DecisionRecord{}
	if !found {
		return r, nil
	}
	if err := proto.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("decode stored record %s: %w", id, err)
	}
	return r, nil
}

// clean takes out of a text what a database may refuse: a decision must become an item, whatever it was about.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}
