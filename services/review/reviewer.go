package review

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// skillsOf returns the sorted skills of a person; of these only those that were asked for, when any were.
func skillsOf(tx *db.Tx, p person, only []string) ([]string, error) {
	var stored string
	if _, err := tx.Get(`SELECT skills FROM review_reviewers WHERE project = ? AND name = ?`, []any{p.project, p.name}, &stored); err != nil {
		return nil, err
	}
	skills := split(stored)
	if len(only) > 0 {
		skills = slices.DeleteFunc(skills, func(s string) bool { return !slices.Contains(only, s) })
	}
	return skills, nil
}

// UpdateReviewer replaces the skills of a reviewer.
func (s *Service) UpdateReviewer(ctx context.Context, req *reviewv1.UpdateReviewerRequest) (*reviewv1.UpdateReviewerResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	skills := slices.Clone(req.GetSkills())
	slices.Sort(skills)
	err = s.change(ctx, func(w *work) error {
		_, err := w.Exec(`INSERT INTO review_reviewers (project, name, skills, updated) VALUES (?, ?, ?, ?)
			ON CONFLICT (project, name) DO UPDATE SET skills = excluded.skills, updated = excluded.updated`, project, req.GetReviewer(), join(skills), w.micros)
		return err
	})
	return &reviewv1.UpdateReviewerResponse{Reviewer: &reviewv1.Reviewer{Reviewer: req.GetReviewer(), Skills: skills}}, err
}

// maxReviewers bounds the people whose verdicts a page of reviewers counts.
const maxReviewers = 500

// ListReviewers lists the people who judge, by name.
func (s *Service) ListReviewers(ctx context.Context, req *reviewv1.ListReviewersRequest) (*reviewv1.ListReviewersResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	since := s.now().Add(-24 * time.Hour)
	if req.GetSince() != nil {
		since = req.GetSince().AsTime()
	}
	filter := req.GetReviewer() // the period may move on between pages: names are the position
	after, _, err := db.ParseToken(req.GetPage().GetToken(), "reviewers", filter, 1)
	if err != nil {
		return nil, err
	}
	size := min(db.PageSize(req.GetPage().GetSize()), maxReviewers)
	res := &reviewv1.ListReviewersResponse{Page: &commonv1.PageResponse{}}
	leads := auth.FromContext(ctx).Has("review:write")
	err = s.db.View(ctx, func(tx *db.Tx) error {
		names, err := reviewerNames(tx, project, strings.Join(after, ""), req.GetReviewer(), db.Micros(since), size+1)
		if err != nil {
			return err
		}
		if len(names) > size {
			names = names[:size]
			res.Page.NextToken = db.Token("reviewers", filter, names[size-1])
		}
		for _, name := range names {
			r, err := reviewerFigures(tx, project, name, db.Micros(since), leads)
			if err != nil {
				return err
			}
			res.Reviewers = append(res.Reviewers, r)
		}
		return nil
	})
	return res, err
}

// reviewerNames returns the names after one of those who have skills, judged since a time, or hold an item.
func reviewerNames(tx *db.Tx, project, after, only string, since int64, size int) (out []string, err error) {
	err = tx.Each(`SELECT name FROM (
			SELECT name FROM review_reviewers WHERE project = ?
			UNION SELECT person FROM review_verdicts WHERE project = ? AND created >= ?
			UNION SELECT person FROM review_items WHERE state = 2 AND project = ?
		) known WHERE name > ? AND (? = '' OR name = ?) ORDER BY name LIMIT ?`,
		[]any{project, project, since, project, after, only, only, size}, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			out = append(out, name)
			return err
		})
	return out, err
}

func reviewerFigures(tx *db.Tx, project, name string, since int64, leads bool) (*reviewv1.Reviewer, error) {
	r := &reviewv1.Reviewer{Reviewer: name}
	skills, err := skillsOf(tx, person{project: project, name: name}, nil)
	if err != nil {
		return nil, err
	}
	r.Skills = skills
	if _, err := tx.Get(`SELECT count(*) FROM review_items WHERE state = 2 AND project = ? AND person = ?`, []any{project, name}, &r.Leased); err != nil {
		return nil, err
	}
	var spent time.Duration
	err = tx.Each(`SELECT message FROM review_verdicts WHERE project = ? AND person = ? AND created >= ? AND state <> ? ORDER BY created DESC LIMIT ?`,
		[]any{project, name, since, undone, maxVerdicts}, func(scan func(...any) error) error {
			var message []byte
			if err := scan(&message); err != nil {
				return err
			}
			v, err := decodeVerdict(message)
			if err != nil {
				return err
			}
			r.Verdicts++
			spent += v.GetAnswer().GetTimeSpent().AsDuration()
			if r.LastVerdictTime == nil {
				r.LastVerdictTime = v.GetSubmitTime()
			}
			switch {
			case v.GetAnswer().GetNotSure():
				r.NotSure++
			case v.GetGold() && leads:
				r.GoldItems++
				if !v.GetGoldRight() {
					r.GoldErrors++
				}
			}
			return nil
		})
	r.TimeSpent = durationpb.New(spent)
	return r, err
}
