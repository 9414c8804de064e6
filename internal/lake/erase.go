package lake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Erasure says what was erased of a person.
type Erasure struct {
	Project, Subject string
	Time             time.Time
	Files            int              // rewritten
	Rows             map[string]int64 // by table
	// Places are those of the rows in the event stream, so that it can be erased there too; Models are the digests of models that decided about the person.
	Places []int64
	Models []string
}

// Erase takes the personal data of one person out of all rows of a project: inputs and their hashes, notes, ids of content, and the subject id itself. What was decided
// stays, so that rates and costs remain right. Every file that holds such rows is rewritten, and the old one is deleted at once.
//
// Rows that come into the lake later are not concerned: append what the stream holds first.
func (l *Lake) Erase(ctx context.Context, project, subject string) (*Erasure, error) {
	report := &Erasure{Project: project, Subject: subject, Time: l.now().UTC().Truncate(time.Microsecond), Rows: map[string]int64{}}
	if subject == "" {
		return report, nil
	}
	if err := l.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	models := map[string]bool{}
	for {
		done, err := l.eraseOnce(ctx, report, models)
		if errors.Is(err, errStale) || errors.Is(err, ErrNotFound) {
			if err := l.Refresh(ctx); err != nil {
				return nil, fmt.Errorf("erase: %w", err)
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("erase: %w", err)
		}
		if done {
			break
		}
	}
	slices.Sort(report.Places)
	report.Models = slices.Sorted(maps.Keys(models))
	// Files that a compaction has replaced a moment ago may hold the person too.
	if err := l.purge(ctx, 0); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	return report, nil
}

// eraseOnce goes through all files of the present state. It is done when none held the person any more.
func (l *Lake) eraseOnce(ctx context.Context, report *Erasure, models map[string]bool) (done bool, err error) {
	done = true
	s := l.State()
	for _, path := range slices.Sorted(maps.Keys(s.Files)) {
		f := s.Files[path]
		if f.Project != report.Project || !f.Subjects {
			continue
		}
		p, err := l.openWhole(ctx, f)
		if err != nil {
			return false, err
		}
		var places []int64
		var used []string
		err = tables[f.Table].each(p, f.Project, func(r any) error {
			if subject, place, model := about(r); subject == report.Subject {
				places = append(places, place)
				if model != "" {
					used = append(used, model)
				}
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		if len(places) == 0 {
			continue
		}
		done = false // another writer may have compacted it into a file that was looked at before
		edit := func(subject string, erase func(time.Time)) bool {
			if subject != report.Subject {
				return false
			}
			erase(report.Time)
			return true
		}
		if err := l.rewrite(ctx, kindErase, []*File{f}, edit); err != nil {
			return false, err
		}
		report.Files++
		report.Rows[f.Table] += int64(len(places))
		report.Places = append(report.Places, places...)
		for _, m := range used {
			models[m] = true
		}
	}
	return done, nil
}

// about returns whose data a row is, its place in the stream, and the model that decided.
func about(r any) (subject string, place int64, model string) {
	switch r := r.(type) {
	case *Decision:
		return r.SubjectID, r.StreamSeq, strings.TrimSpace(r.ModelDigest)
	case *Verdict:
		return r.SubjectID, r.StreamSeq, ""
	case *Feedback:
		return r.SubjectID, r.StreamSeq, ""
	}
	return "", 0, ""
}
