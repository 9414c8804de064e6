package review_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/pgtest"
	"github.com/switchyard-ai/switchyard/services/review"
)

func TestErasedPeopleAreNowhereLeft(t *testing.T) {
	t.Parallel()
	k := start(t)
	mark := "Xanthippe Quell"
	waiting, answered, other := k.ticket(mark+" cannot log in"), k.ticket(mark+" has paid twice"), k.ticket("somebody else")
	other.SubjectId = "customer 8"
	ids := k.apply(t, waiting, answered, other)
	it, err := k.LeaseItem(reviewer(t, "anna"), &reviewv1.LeaseItemRequest{ItemId: ids[1]})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.SubmitVerdict(reviewer(t, "anna"), &reviewv1.SubmitVerdictRequest{
		ItemId: ids[1], LeaseId: it.GetItem().GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{"billing"}, Note: "called " + mark},
	})
	if err != nil {
		t.Fatal(err)
	}
	k.pass(t, time.Minute)
	_, err = k.SubmitFeedback(lead(t), &reviewv1.SubmitFeedbackRequest{FeedbackId: "f", DecisionId: ids[1], Labels: []string{"billing"}, Note: "refunded " + mark})
	if err != nil {
		t.Fatal(err)
	}
	gold := "0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42"
	if _, err := k.CreateGoldItem(lead(t), &reviewv1.CreateGoldItemRequest{GoldId: gold, ItemId: ids[1]}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ReopenItem(lead(t), &reviewv1.ReopenItemRequest{ItemId: ids[1], Note: mark + " disagrees"}); err != nil {
		t.Fatal(err)
	}
	if got, err := k.service.Erase(t.Context(), "p2", "customer 7"); err != nil || got != (review.Erased{}) {
		t.Errorf("another project erases %v %v", got, err)
	}
	got, err := k.service.Erase(t.Context(), "p1", "customer 7")
	if want := (review.Erased{Items: 2, Verdicts: 1, Feedback: 1, GoldItems: 1}); err != nil || got != want {
		t.Errorf("erased %v %v, want %v", got, err, want)
	}
	if got, err := k.service.Erase(t.Context(), "p1", "customer 7"); err != nil || got != (review.Erased{}) {
		t.Errorf("erased again %v %v", got, err)
	}
	if next := k.next(t, "ben"); next.GetItemId() != ids[2] || k.next(t, "ben") != nil {
		t.Errorf("waiting is %v, want only the other's", next)
	}
	if v := k.get(t, ids[1]).GetVerdicts(); len(v) != 1 || v[0].GetAnswer().GetLabels()[0] != "billing" {
		t.Errorf("the verdict did not stay: %v", v)
	}
	for column, text := range everything(t, k) {
		if strings.Contains(strings.ToLower(text), "xanthippe") {
			t.Errorf("%s still holds what was erased", column)
		}
	}
}

// everything returns what the tables of the service hold, by column.
func everything(t *testing.T, k *desk) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := k.db.View(t.Context(), func(tx *db.Tx) error {
		var columns [][2]string
		columnsOf := `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name LIKE 'review%'`
		if pgtest.Wanted() {
			columnsOf = `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name LIKE 'review%'`
		}
		err := tx.Each(columnsOf, nil,
			func(scan func(...any) error) error {
				var c [2]string
				err := scan(&c[0], &c[1])
				columns = append(columns, c)
				return err
			})
		for _, c := range columns {
			err = errors.Join(err, tx.Each(`SELECT `+c[1]+` FROM `+c[0], nil, func(scan func(...any) error) error {
				var b []byte
				err := scan(&b)
				out[c[0]+"."+c[1]] += string(b) + "\n"
				return err
			}))
		}
		return err
	})
	if err != nil || len(out) < 80 {
		t.Fatalf("%d columns: %v", len(out), err)
	}
	return out
}
