package review

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/services/review/quality"
)

const (
	// maxRatings bounds the answers that agreement is computed from.
	maxRatings = 50_000
	maxPairs   = 200
	// leastItems is from how many items on an error rate is an estimate and no guess.
	leastItems = 10
	// third stands for those who settle disagreements; no person has such a name.
	third = ":third"
)

// GetAgreement tells how far reviewers agree, and how often each errs.
func (s *Service) GetAgreement(ctx context.Context, req *reviewv1.GetAgreementRequest) (*reviewv1.GetAgreementResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	since, until, err := s.period(req.GetSince(), nil, 90*24*time.Hour)
	if err != nil {
		return nil, err
	}
	key := queueKey{project, req.GetOperation(), req.GetDeployment()}
	e := &evidence{known: map[string]string{}, gold: map[string]*tested{}}
	res := &reviewv1.GetAgreementResponse{}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		if _, err := findQueue(tx, key); err != nil {
			return err
		}
		golds, err := goldKeys(tx, key)
		if err != nil {
			return err
		}
		e.right = golds
		n, err := eachAnswer(tx, key, since, until, e.add)
		res.Truncated = n > maxRatings
		return err
	})
	if err != nil {
		return nil, err
	}
	e.agreement(res)
	e.reviewers(res)
	return res, nil
}

// goldKeys returns the right answers to the test items of a queue, deleted ones too.
func goldKeys(tx *db.Tx, key queueKey) (map[string]string, error) {
	out := map[string]string{}
	err := tx.Each(`SELECT id, answer FROM review_gold WHERE project = ? AND operation = ? AND deployment = ?`,
		[]any{key.project, key.operation, key.deployment}, func(scan func(...any) error) error {
			var id string
			var message []byte
			if err := scan(&id, &message); err != nil {
				return err
			}
			answer := &reviewv1.Answer{}
			if err := proto.Unmarshal(message, answer); err != nil {
				return fmt.Errorf("decode stored test item %s: %w", id, err)
			}
			out[id] = answerKey(key.operation, answer)
			return nil
		})
	return out, err
}

// eachAnswer calls fn for the newest answers of a period, and returns how many there were. Those of people who knew another person's answer come in the name of third.
func eachAnswer(tx *db.Tx, key queueKey, since, until int64, fn func(item string, round int, person, answer, gold string)) (n int, err error) {
	err = tx.Each(`SELECT item, round, person, answer, gold, blind FROM review_verdicts WHERE project = ? AND operation = ? AND deployment = ?
		AND settled >= ? AND settled <= ? AND settled > 0 AND answer <> ? ORDER BY settled DESC LIMIT ?`,
		[]any{key.project, key.operation, key.deployment, since, until, keyNotSure, maxRatings + 1}, func(scan func(...any) error) error {
			var item, person, answer, gold string
			var round, blind int
			if err := scan(&item, &round, &person, &answer, &gold, &blind); err != nil {
				return err
			}
			if blind == 0 {
				person = third
			}
			if n++; n <= maxRatings {
				fn(item, round, person, answer, gold)
			}
			return nil
		})
	return n, err
}

// evidence is what is known of the people who judged.
type evidence struct {
	ratings []quality.Rating
	right   map[string]string // answers to test items
	known   map[string]string // truths, by item of ratings
	gold    map[string]*tested
}

// tested counts a reviewer's answers to test items.
type tested struct{ items, errors int }

func (e *evidence) add(item string, round int, person, answer, gold string) {
	name := fmt.Sprint(item, "/", round)
	if right, ok := e.right[gold]; ok && gold != "" {
		name = "gold/" + gold // one item, however many copies of it were served
		e.known[name] = right
		t := e.gold[person]
		if t == nil {
			t = &tested{}
			e.gold[person] = t
		}
		if t.items++; answer != right {
			t.errors++
		}
	}
	e.ratings = append(e.ratings, quality.Rating{Item: name, Person: person, Answer: answer})
}

// agreement computes how far people agree who did not know of each other, over items that are no test items: those everybody should know.
func (e *evidence) agreement(res *reviewv1.GetAgreementResponse) {
	blind := make([]quality.Rating, 0, len(e.ratings))
	for _, r := range e.ratings {
		if _, isGold := e.known[r.Item]; !isGold && r.Person != third {
			blind = append(blind, r)
		}
	}
	units := quality.Units(blind)
	for _, u := range units {
		if len(u) > 1 {
			res.Items++
		}
	}
	res.Alpha, res.AlphaDefined = quality.Alpha(units)
	pairs := quality.Pairs(blind)
	names := slices.SortedFunc(maps.Keys(pairs), func(a, b quality.Pair) int {
		return cmp.Or(len(pairs[b])-len(pairs[a]), cmp.Compare(a.First, b.First), cmp.Compare(a.Second, b.Second))
	})
	for _, pair := range names[:min(maxPairs, len(names))] {
		agreement, kappa, defined := quality.Kappa(pairs[pair])
		res.Pairs = append(res.Pairs, &reviewv1.PairAgreement{
			First: pair.First, Second: pair.Second, Items: int64(len(pairs[pair])), Agreement: agreement, Kappa: kappa, KappaDefined: defined,
		})
	}
}

// reviewers estimates how often each reviewer errs. Items that only one person judged say nothing about that person, unless they are test items. Whoever settles a disagreement
// helps to tell who of the two erred, and is no part of the other figures: that answer was not independent.
func (e *evidence) reviewers(res *reviewv1.GetAgreementResponse) {
	count := map[string]int{}
	for _, r := range e.ratings {
		if r.Person != third {
			count[r.Item]++
		}
	}
	telling := slices.DeleteFunc(slices.Clone(e.ratings), func(r quality.Rating) bool {
		_, isGold := e.known[r.Item]
		return count[r.Item] < 2 && !isGold
	})
	estimate := quality.DawidSkene(telling, e.known)
	people := map[string]bool{}
	for _, r := range e.ratings {
		people[r.Person] = true
	}
	delete(people, third)
	for _, name := range slices.Sorted(maps.Keys(people)) {
		if len(res.GetReviewers()) == maxReviewers {
			break
		}
		q := &reviewv1.ReviewerQuality{
			Reviewer: name, Items: int64(estimate.Items[name]), ErrorRate: estimate.Errors[name], Estimated: estimate.Items[name] >= leastItems, GoldErrorUpper: 1,
		}
		if t := e.gold[name]; t != nil {
			q.GoldItems, q.GoldErrors = int64(t.items), int64(t.errors)
			q.GoldErrorUpper = risk.UpperBound(t.errors, t.items, 0.025)
		}
		res.Reviewers = append(res.Reviewers, q)
	}
}
