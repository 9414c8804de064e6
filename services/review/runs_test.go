package review_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/services/review"
)

// similar returns the sorted ids of the items that are like one.
func (k *desk) similar(tb testing.TB, id string) (ids []string) {
	tb.Helper()
	r, err := k.ListSimilarItems(lead(tb), &reviewv1.ListSimilarItemsRequest{ItemId: id, MaxItems: 500})
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range r.GetItems() {
		ids = append(ids, s.GetItem().GetItemId())
	}
	slices.Sort(ids)
	return ids
}

// untold is a ticket whose text is not kept.
func (k *desk) untold(text string) *commonv1.DecisionRecord {
	r := k.ticket(text)
	r.Input, r.InputRetention = nil, commonv1.InputRetention_INPUT_RETENTION_ABSENT
	return r
}

func TestSimilarItemsAreFoundInEveryRunAndWhileRunsAreMerged(t *testing.T) {
	t.Parallel()
	k := start(t)
	first := k.apply(t, k.ticket(wave+"Bob"), k.untold("secret"))
	var want, equal []string
	for i := range 70 { // transactions, each with a run of its own
		ids := k.apply(t, k.ticket(wave+"Bob"), k.ticket(at(i)), k.untold("secret"), k.untold(at(i)))
		want, equal = append(want, ids[0]), append(equal, ids[2])
	}
	const keys = 4 * (1 + 2*70) // three of a text, one of what has none; the background may be merging already
	for step := 0; ; step++ {
		if got := k.similar(t, first[0]); !slices.Equal(got, want) {
			t.Fatalf("in step %d of merging %d of %d are found", step, len(got), len(want))
		}
		if got := k.similar(t, first[1]); !slices.Equal(got, equal) {
			t.Fatalf("in step %d of merging %d of %d without a text are found", step, len(got), len(equal))
		}
		if more, err := k.service.MergeSome(t.Context(), 40); err != nil {
			t.Fatal(err)
		} else if !more {
			break
		}
	}
	if rows := k.rowsOf(t); rows["runs"] >= 32 || rows["keys"] != keys { // each is in one run again
		t.Errorf("after merging there are %v, of %d keys", rows, keys)
	}
}

func TestAMergeOfItemsThatNeedNobodyAnyMoreLeavesNothing(t *testing.T) {
	t.Parallel()
	k := start(t)
	var ids []string
	for i := range 33 {
		ids = append(ids, k.apply(t, k.ticket(wave+at(i)))...)
	}
	if more, err := k.service.MergeSome(t.Context(), 10); err != nil || !more {
		t.Fatalf("there is nothing to merge: %v", err)
	}
	for _, id := range ids {
		if _, err := k.WithdrawItem(lead(t), &reviewv1.WithdrawItemRequest{ItemId: id, Reason: "spam"}); err != nil {
			t.Fatal(err)
		}
	}
	if rows := k.rowsOf(t); rows["keys"] != 0 || rows["runs"] != 0 {
		t.Errorf("when nobody is needed there are %v", rows)
	}
}

func TestNothingThatFindsAnItemStaysWhenItNeedsNobody(t *testing.T) {
	t.Parallel()
	k := start(t)
	var ids []string
	for i := range 40 {
		rec := k.ticket(wave + at(i%3))
		if i%4 == 3 {
			rec = k.untold(wave + at(i))
		}
		rec.SubjectId = fmt.Sprint("customer ", i%4)
		ids = append(ids, k.apply(t, rec)...)
	}
	for i := 0; i < len(ids); i += 4 { // before, between and after the steps of a merge
		k.close1(t, "anna", ids[i], "billing")
		if _, err := k.service.MergeSome(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i < len(ids); i += 4 {
		if _, err := k.WithdrawItem(lead(t), &reviewv1.WithdrawItemRequest{ItemId: ids[i], Reason: "spam"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range []string{"customer 2", "customer 3"} {
		if _, err := k.service.Erase(t.Context(), "p1", subject); err != nil {
			t.Fatal(err)
		}
	}
	if rows := k.rowsOf(t); rows["keys"] != 0 || rows["runs"] != 0 {
		t.Errorf("when nobody is needed there are %v", rows)
	}
	if _, err := k.ReopenItem(lead(t), &reviewv1.ReopenItemRequest{ItemId: ids[0]}); err != nil {
		t.Fatal(err)
	}
	again := k.apply(t, k.ticket(wave+at(0)))[0]
	if got := k.similar(t, again); !slices.Equal(got, ids[:1]) {
		t.Errorf("a reopened item is not found: %v, want %v", got, ids[:1])
	}
	k.retireAll(t, review.DefaultRetention+time.Hour)
	k.close1(t, "ben", again, "billing")
	k.close1(t, "ben", ids[0], "billing")
	if rows := k.rowsOf(t); rows["keys"] != 0 || rows["runs"] != 0 {
		t.Errorf("at the end there are %v", rows)
	}
}

// toBands takes the tables back to what they were before there were runs.
const toBands = `CREATE TABLE review_bands (
		project TEXT   NOT NULL,
		band    BIGINT NOT NULL,
		id      TEXT   NOT NULL
	);
	INSERT INTO review_bands (project, band, id)
		SELECT r.project, k.band, k.id FROM review_keys k JOIN review_runs r ON r.run = k.run JOIN review_items i ON i.project = r.project AND i.id = k.id WHERE i.content NOT LIKE 'untold%';
	CREATE INDEX review_bands_key ON review_bands (project, band, id);
	CREATE INDEX review_items_same ON review_items (project, sha) WHERE state = 1;
	DROP TABLE review_keys;
	DROP TABLE review_runs;
	DROP TABLE review_unkeyed;
	DELETE FROM schema_steps WHERE owner = 'review' AND step >= 5`

func TestItemsOfAnEarlierReleaseAreFoundByTheirLikes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := open(t, dir)
	ticket := func(k *desk, project, text string, told bool) *commonv1.DecisionRecord {
		r := k.ticket(text)
		if !told {
			r = k.untold(text)
			r.ContentId = "untold"
		}
		r.Decision.Project = project
		return r
	}
	before := old.apply(t, ticket(old, "p1", wave+"Bob", true), ticket(old, "p1", "secret", false), ticket(old, "p2", wave+"Bob", true), ticket(old, "p1", "secret", false), ticket(old, "p1", wave+"Eva", true))
	old.close1(t, "anna", before[3], "billing")
	old.service.Close()
	if err := old.db.Migrate(t.Context(), "back", []string{toBands}); err != nil {
		t.Fatal(err)
	}
	if err := old.db.Close(); err != nil {
		t.Fatal(err)
	}
	k := open(t, dir)
	after := k.apply(t, ticket(k, "p1", wave+"Bob", true), ticket(k, "p1", "secret", false))
	k.pass(t, 0)
	if got, want := k.similar(t, after[0]), []string{before[0], before[4]}; !slices.Equal(got, want) {
		t.Errorf("like a new item are %v, want %v", got, want)
	}
	if got, want := k.similar(t, after[1]), before[1:2]; !slices.Equal(got, want) {
		t.Errorf("equal to a new item without a text are %v, want %v", got, want)
	}
	for _, id := range []string{before[0], before[1], before[4], after[0], after[1]} {
		if _, err := k.WithdrawItem(lead(t), &reviewv1.WithdrawItemRequest{ItemId: id, Reason: "spam"}); err != nil {
			t.Fatal(err)
		}
	}
	var keys, runs, unkeyed int
	err := k.db.View(context.Background(), func(tx *db.Tx) error {
		_, err := tx.Get(`SELECT (SELECT count(*) FROM review_keys), (SELECT count(*) FROM review_runs), (SELECT count(*) FROM review_unkeyed)`, nil, &keys, &runs, &unkeyed)
		return err
	})
	if err != nil || keys != 3 || runs != 1 || unkeyed != 0 {
		t.Errorf("%d keys in %d runs and %d items without keys are left (%v), want those of the other project's item", keys, runs, unkeyed, err)
	}
}
