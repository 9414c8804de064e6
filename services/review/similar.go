package review

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/alike"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// leastSimilar is what two texts must have in common for one answer to both.
	leastSimilar = 0.9
	// maxCandidates bounds how many items of a key are compared.
	maxCandidates = 1000
)

// subject is what an item is compared by.
type subject struct {
	item   *item
	record *commonv1.DecisionRecord
	set    alike.Set
}

func subjectOf(tx *db.Tx, it *item) (*subject, error) {
	r, err := findRecord(tx, it.project, it.id)
	if err != nil {
		return nil, err
	}
	return &subject{item: it, record: r, set: alike.Of(fullText(r.GetInput()))}, nil
}

// likeness says how alike two inputs are, 0 to 1. Equal hashes are equal inputs. Otherwise only texts are compared, and only where everything else about the inputs is equal:
// a field can change the meaning of the same words.
func (a *subject) likeness(b *subject) float64 {
	if len(a.item.sha) > 0 && string(a.item.sha) == string(b.item.sha) {
		return 1
	}
	x, y := a.record.GetInput(), b.record.GetInput()
	if a.record.GetInputRetention() != b.record.GetInputRetention() || x.GetLocale() != y.GetLocale() || x.GetChannel() != y.GetChannel() ||
		!maps.EqualFunc(x.GetFields(), y.GetFields(), func(a, b *commonv1.FieldValue) bool { return proto.Equal(a, b) }) {
		return 0
	}
	return alike.Likeness(a.set, b.set)
}

// sameSuggestion says whether both decisions suggest the same.
func (a *subject) sameSuggestion(b *subject) bool {
	return a.record.GetAction() == b.record.GetAction() && slices.Equal(a.record.GetDecision().GetChosenLabels(), b.record.GetDecision().GetChosenLabels())
}

// ListSimilarItems lists waiting items that are nearly identical with an item.
func (s *Service) ListSimilarItems(ctx context.Context, req *reviewv1.ListSimilarItemsRequest) (*reviewv1.ListSimilarItemsResponse, error) {
	p, err := who(ctx, "")
	if err != nil {
		return nil, err
	}
	least, size := req.GetMinSimilarity(), int(req.GetMaxItems())
	if least == 0 {
		least = leastSimilar
	}
	if least < 0.8 {
		return nil, fault.InvalidField("min_similarity", "must be 0, or 0.8 to 1")
	}
	if size == 0 {
		size = 100
	}
	res := &reviewv1.ListSimilarItemsResponse{}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		it, err := findItem(tx, p.project, req.GetItemId())
		if err != nil || it == nil {
			return orNotFound(err, "review item", req.GetItemId())
		}
		base, err := subjectOf(tx, it)
		if err != nil {
			return err
		}
		found, err := base.similar(tx, least)
		if err != nil {
			return err
		}
		bytes := 0
		for _, f := range found[:min(size, len(found))] {
			m, err := s.message(tx, f.item, p)
			if err != nil {
				return err
			}
			if bytes += proto.Size(m); bytes > pageBytes {
				break
			}
			res.Items = append(res.Items, &reviewv1.SimilarItem{Item: m, Similarity: base.likeness(f), SameSuggestion: base.sameSuggestion(f)})
		}
		return nil
	})
	return res, err
}

// similar returns the waiting items of the same queue that are at least so alike, most alike first.
func (a *subject) similar(tx *db.Tx, least float64) ([]*subject, error) {
	ids := map[string]bool{}
	collect := func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids[id] = true
		return err
	}
	for _, band := range keysOr(alike.Keys(a.set), a.item) {
		if err := withKey(tx, a.item.project, band, maxCandidates, collect); err != nil {
			return nil, err
		}
	}
	delete(ids, a.item.id)
	type match struct {
		*subject
		likeness float64
	}
	var matches []match
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		it, err := findItem(tx, a.item.project, id)
		if err != nil {
			return nil, err
		}
		if it == nil || it.state != open || it.queueKey != a.item.queueKey {
			continue
		}
		b, err := subjectOf(tx, it)
		if err != nil {
			return nil, err
		}
		if likeness := a.likeness(b); likeness >= least {
			matches = append(matches, match{b, likeness})
		}
	}
	slices.SortStableFunc(matches, func(x, y match) int { return -cmp.Compare(x.likeness, y.likeness) })
	out := make([]*subject, len(matches))
	for i, m := range matches {
		out[i] = m.subject
	}
	return out, nil
}
