package review

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// Erased counts what Erase took out.
type Erased struct {
	Items, Verdicts, Feedback, GoldItems int
}

// eraseChunk is how many items one transaction of an erasure changes.
const eraseChunk = 100

// Erase takes everything out that is known of a person whose data was judged: inputs, the application's ids, notes of reviewers and test items that were made of
// them. What was decided and judged stays, for the figures. Items that still waited are withdrawn: nobody can judge what is not there. Erasing again
// finds nothing.
func (s *Service) Erase(ctx context.Context, project, subject string) (Erased, error) {
	var sum Erased
	if subject == "" {
		return sum, nil
	}
	for {
		n := 0
		err := s.change(ctx, func(w *work) error {
			var ids []string
			err := w.Each(`SELECT id FROM review_records WHERE project = ? AND subject = ? ORDER BY id LIMIT ?`, []any{project, subject, eraseChunk},
				func(scan func(...any) error) error {
					var id string
					err := scan(&id)
					ids = append(ids, id)
					return err
				})
			if err != nil {
				return err
			}
			n = len(ids)
			for _, id := range ids {
				if err := w.erase(project, id, &sum); err != nil {
					return fmt.Errorf("item %s: %w", id, err)
				}
			}
			return nil
		})
		if err != nil {
			return sum, fmt.Errorf("erase from review: %w", err)
		}
		if n < eraseChunk {
			break
		}
	}
	if err := s.eraseLoose(ctx, project, subject, &sum); err != nil {
		return sum, fmt.Errorf("erase from review: %w", err)
	}
	return sum, nil
}

// eraseLoose erases what belongs to no item, or to none any more: feedback on decisions that nobody looked at, and what outlived an item that was retired.
func (s *Service) eraseLoose(ctx context.Context, project, subject string, sum *Erased) error {
	for n := eraseChunk; n == eraseChunk; {
		err := s.change(ctx, func(w *work) (err error) {
			n, err = w.readSubjects(project)
			return err
		})
		if err != nil {
			return err
		}
	}
	err := s.change(ctx, func(w *work) error {
		n, err := w.Exec(`DELETE FROM review_gold WHERE project = ? AND subject = ?`, project, subject)
		sum.GoldItems += int(n)
		return err
	})
	for n := eraseChunk; n == eraseChunk && err == nil; {
		err = s.change(ctx, func(w *work) error {
			feedback, err := selectFeedback(w.Tx, `project = ? AND subject = ? ORDER BY id LIMIT ?`, project, subject, eraseChunk)
			n = len(feedback)
			for i := 0; i < n && err == nil; i++ {
				err = w.eraseFeedback(project, feedback[i], sum)
			}
			return err
		})
	}
	return err
}

// readSubjects notes whose data some feedback holds that an earlier release has stored, and returns how many there were.
func (w *work) readSubjects(project string) (int, error) {
	feedback, err := selectFeedback(w.Tx, `project = ? AND subject IS NULL ORDER BY id LIMIT ?`, project, eraseChunk)
	for _, f := range feedback {
		if err == nil {
			_, err = w.Exec(`UPDATE review_feedback SET subject = ? WHERE project = ? AND id = ?`, clean(f.GetSubjectId()), project, f.GetFeedbackId())
		}
	}
	return len(feedback), err
}

func selectFeedback(tx *db.Tx, where string, args ...any) (out []*reviewv1.Feedback, err error) {
	err = tx.Each(`SELECT message FROM review_feedback WHERE `+where, args, func(scan func(...any) error) error {
		var message []byte
		if err := scan(&message); err != nil {
			return err
		}
		f, err := decodeFeedback(message)
		out = append(out, f)
		return err
	})
	return out, err
}

func (w *work) eraseFeedback(project string, f *reviewv1.Feedback, sum *Erased) error {
	f.SubjectId, f.Note = "", ""
	data, err := proto.Marshal(f)
	if err != nil {
		return err
	}
	_, err = w.Exec(`UPDATE review_feedback SET message = ?, subject = '' WHERE project = ? AND id = ?`, data, project, f.GetFeedbackId())
	sum.Feedback++
	return err
}

func (w *work) erase(project, id string, sum *Erased) error {
	it, err := findItem(w.Tx, project, id)
	if err != nil || it == nil {
		return err
	}
	if it.state <= leased {
		before := *it
		it.state, it.closed = withdrawn, w.micros
		it.clearLease()
		if err := w.save(before, it); err != nil {
			return err
		}
		if err := w.forgetKeys(it); err != nil {
			return err
		}
		if it.gold == "" {
			if err := w.tell(it, reviewv1.HistoryKind_HISTORY_KIND_WITHDRAWN, "", "erased"); err != nil {
				return err
			}
		}
	}
	if err := w.eraseRecord(it); err != nil {
		return err
	}
	sum.Items++
	if err := w.eraseNotes(it, sum); err != nil {
		return err
	}
	n, err := w.Exec(`DELETE FROM review_gold WHERE project = ? AND source = ?`, project, id)
	sum.GoldItems += int(n)
	return err
}

// eraseRecord leaves of a record what is not the person's: what was answered, by which model, and the hash of the input.
func (w *work) eraseRecord(it *item) error {
	r, err := findRecord(w.Tx, it.project, it.id)
	if err != nil {
		return err
	}
	if err := w.dropKeys(it, r.GetInput()); err != nil {
		return err
	}
	r.Input, r.InputRetention, r.SubjectId, r.ContentId, r.IdempotencyKey = nil, commonv1.InputRetention_INPUT_RETENTION_ABSENT, "", "", ""
	data, err := proto.Marshal(r)
	if err != nil {
		return err
	}
	_, err = w.Exec(`UPDATE review_records SET record = ?, search = '', subject = '' WHERE project = ? AND id = ?`, data, it.project, it.id)
	if err != nil {
		return err
	}
	_, err = w.Exec(`UPDATE review_items SET content = '' WHERE project = ? AND id = ?`, it.project, it.id)
	return err
}

// eraseNotes takes what people wrote out of verdicts, feedback and history.
func (w *work) eraseNotes(it *item, sum *Erased) error {
	if _, err := w.Exec(`UPDATE review_history SET note = '' WHERE project = ? AND item = ?`, it.project, it.id); err != nil {
		return err
	}
	verdicts, err := verdictsOf(w.Tx, it)
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		v.SubjectId, v.Answer.Note = "", ""
		data, err := proto.Marshal(v)
		if err != nil {
			return err
		}
		if _, err := w.Exec(`UPDATE review_verdicts SET message = ? WHERE project = ? AND id = ?`, data, it.project, v.GetVerdictId()); err != nil {
			return err
		}
		sum.Verdicts++
	}
	for after := (position{}); ; {
		feedback, next, err := feedbackOf(w.Tx, it.project, it.id, after, db.MaxPageSize)
		if err != nil {
			return err
		}
		for _, f := range feedback {
			if err := w.eraseFeedback(it.project, f, sum); err != nil {
				return err
			}
		}
		if next == nil {
			return nil
		}
		after = *next
	}
}
