package review

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// Tables are the service's tables, to be verified. They need no service that runs.
type Tables struct{ DB *db.DB }

// Since is when the tables were made; zero when they do not exist.
func (t Tables) Since(ctx context.Context) (since time.Time, err error) {
	if ok, err := t.DB.HasTable(ctx, "review_items"); err != nil || !ok {
		return time.Time{}, err
	}
	return t.DB.Migrated(ctx, "review")
}

// Lacking returns those of a project's decisions that are no items, and never were.
func (t Tables) Lacking(ctx context.Context, project string, ids []string) (lacking []string, err error) {
	there := make(map[string]bool, len(ids))
	old, err := t.DB.HasTable(ctx, "review_retired") // not before this release has run on the tables
	if err != nil {
		return nil, err
	}
	err = t.DB.View(ctx, func(tx *db.Tx) error {
		for _, id := range ids {
			var one int
			ok, err := tx.Get(`SELECT 1 FROM review_items WHERE project = ? AND id = ?`, []any{project, id}, &one)
			if err == nil && !ok && old {
				ok, err = tx.Get(`SELECT 1 FROM review_retired WHERE project = ? AND id = ?`, []any{project, id}, &one)
			}
			if err != nil {
				return err
			}
			there[id] = ok
		}
		return nil
	})
	for _, id := range ids {
		if err == nil && !there[id] {
			lacking = append(lacking, id)
		}
	}
	return lacking, err
}

// verifyRows is how many rows are read in one view: a longer one would keep a checkpoint from clearing the log.
const verifyRows = 2000

// Items calls fn with project and id of every item that was made of a decision; test items are copies.
func (t Tables) Items(ctx context.Context, fn func(project, id string) error) error {
	type key struct{ project, id string }
	for after, more := (key{}), true; more; {
		var page []key
		err := t.DB.View(ctx, func(tx *db.Tx) error {
			return tx.Each(`SELECT project, id FROM review_items WHERE gold = '' AND (project > ? OR (project = ? AND id > ?)) ORDER BY project, id LIMIT ?`,
				[]any{after.project, after.project, after.id, verifyRows}, func(scan func(...any) error) error {
					var k key
					err := scan(&k.project, &k.id)
					page = append(page, k)
					return err
				})
		})
		if err != nil {
			return err
		}
		for _, k := range page {
			if err := fn(k.project, k.id); err != nil {
				return err
			}
			after = k
		}
		more = len(page) == verifyRows
	}
	return nil
}

// orphans are what must not be there: rows that belong to something that is missing.
var orphans = []struct{ query, text string }{
	{`SELECT v.project, v.id FROM review_verdicts v LEFT JOIN review_items i ON i.project = v.project AND i.id = v.item WHERE i.id IS NULL`, "verdict %s/%s has no item"},
	{`SELECT i.project, i.id FROM review_items i LEFT JOIN review_records r ON r.project = i.project AND r.id = i.id WHERE r.id IS NULL`, "item %s/%s has no record"},
	{`SELECT r.project, r.id FROM review_records r LEFT JOIN review_items i ON i.project = r.project AND i.id = r.id WHERE i.id IS NULL`, "record %s/%s has no item"},
	{
		`SELECT i.project, i.id FROM review_items i LEFT JOIN review_verdicts v ON v.project = i.project AND v.id = i.verdict WHERE i.verdict <> '' AND v.id IS NULL`,
		"item %s/%s names a verdict that is missing",
	},
	{`SELECT s.project, s.item FROM review_selections s LEFT JOIN review_items i ON i.project = s.project AND i.id = s.item WHERE i.id IS NULL`, "choice of %s/%s has no item"},
}

// Verify looks for rows that belong to nothing and for messages that cannot be read or belong elsewhere. It returns what is wrong and how many rows it looked at.
func (t Tables) Verify(ctx context.Context) (problems []error, looked int64, err error) {
	if since, err := t.Since(ctx); err != nil || since.IsZero() {
		return nil, 0, err
	}
	for _, o := range orphans {
		err := t.DB.View(ctx, func(tx *db.Tx) error {
			return tx.Each(o.query, nil, func(scan func(...any) error) error {
				var project, id string
				err := scan(&project, &id)
				problems = append(problems, fmt.Errorf("review: "+o.text, project, id))
				return err
			})
		})
		if err != nil {
			return problems, looked, err
		}
	}
	for _, table := range []struct {
		name, column string
		check        func(project, id string, data []byte) error
	}{
		{"review_records", "record", checkRecord},
		{"review_verdicts", "message", checkVerdict},
		{"review_feedback", "message", checkFeedback},
	} {
		p, n, err := t.messages(ctx, table.name, table.column, table.check)
		problems, looked = append(problems, p...), looked+n
		if err != nil {
			return problems, looked, err
		}
	}
	return problems, looked, nil
}

// messages reads every message of a table.
func (t Tables) messages(ctx context.Context, table, column string, check func(project, id string, data []byte) error) (problems []error, n int64, err error) {
	project, id := "", ""
	for more := true; more; {
		rows := 0
		err := t.DB.View(ctx, func(tx *db.Tx) error {
			return tx.Each(`SELECT project, id, `+column+` FROM `+table+` WHERE project > ? OR (project = ? AND id > ?) ORDER BY project, id LIMIT ?`,
				[]any{project, project, id, verifyRows}, func(scan func(...any) error) error {
					var data []byte
					if err := scan(&project, &id, &data); err != nil {
						return err
					}
					rows++
					if err := check(project, id, data); err != nil {
						problems = append(problems, fmt.Errorf("review: table %s, row %s/%s: %w", table, project, id, err))
					}
					return nil
				})
		})
		n += int64(rows)
		if err != nil {
			return problems, n, err
		}
		more = rows == verifyRows
	}
	return problems, n, nil
}

var errElsewhere = errors.New("holds what belongs elsewhere")

// checkRecord reads what an item judges. A test item holds the record of the decision that it was made of.
func checkRecord(project, _ string, data []byte) error {
	r := &commonv1.DecisionRecord{}
	if err := proto.Unmarshal(data, r); err != nil {
		return err
	}
	return belongs(r.GetDecision().GetProject() == project)
}

func checkVerdict(project, id string, data []byte) error {
	v := &reviewv1.Verdict{}
	if err := proto.Unmarshal(data, v); err != nil {
		return err
	}
	return belongs(v.GetProject() == project && v.GetVerdictId() == id)
}

func checkFeedback(project, id string, data []byte) error {
	f := &reviewv1.Feedback{}
	if err := proto.Unmarshal(data, f); err != nil {
		return err
	}
	return belongs(f.GetProject() == project && f.GetFeedbackId() == id)
}

func belongs(ok bool) error {
	if ok {
		return nil
	}
	return errElsewhere
}
