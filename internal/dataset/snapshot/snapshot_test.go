package snapshot_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

func rows() []snapshot.Row {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	return []snapshot.Row{
		{
			Row:  dataset.Row{Line: 1, Text: "déjà vu\nagain", Labels: []string{"a", "b"}, Person: "p", Time: at, Group: "g", Attributes: map[string]string{"locale": "de", "channel": "mail"}},
			Side: dataset.Train, Source: snapshot.Verdict, DecisionID: "d1", Probability: 0.05, Least: 0.01,
		},
		{
			Row: dataset.Row{Line: 2, Labels: []string{}, Record: engine.Record{
				"amount": {Kind: engine.Number, Number: 1.5}, "paid": {Kind: engine.Bool, Bool: true}, "shop": {Kind: engine.Text, Text: "x"},
			}},
			Side: dataset.Test, Source: snapshot.Import, Probability: 1, Least: 1,
		},
	}
}

func TestWhatIsStoredComesBack(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if err := snapshot.Encode(&file, rows()); err != nil {
		t.Fatal(err)
	}
	got, err := snapshot.Decode(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.Digest(got) != snapshot.Digest(rows()) {
		t.Errorf("the digest changed: %s", cmp.Diff(rows(), got))
	}
	var again bytes.Buffer
	if err := snapshot.Encode(&again, got); err != nil || !bytes.Equal(again.Bytes(), file.Bytes()) {
		t.Errorf("the file changed (%v)", err)
	}
	for at := 4; at < file.Len(); at += file.Len() / 7 {
		damaged := bytes.Clone(file.Bytes())[:at]
		if _, err := snapshot.Decode(damaged); !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("cut at %d: %v", at, err)
		}
	}
}

func TestOnlyVerdictsAreReviewed(t *testing.T) {
	t.Parallel()
	all := rows()
	for _, source := range []string{snapshot.Feedback, snapshot.Import} {
		r := all[0]
		r.Line, r.Source = len(all)+1, source
		all = append(all, r)
	}
	for _, r := range snapshot.Set("s", all, "").Rows {
		if r.Reviewed != (r.Line == 1) {
			t.Errorf("row %d, a %s: reviewed %v", r.Line, all[r.Line-1].Source, r.Reviewed)
		}
	}
}

func TestEveryPartOfARowIsInTheDigest(t *testing.T) {
	t.Parallel()
	seen := map[string]string{snapshot.Digest(rows()): "nothing"}
	for name, change := range map[string]func(r []snapshot.Row){
		"text":        func(r []snapshot.Row) { r[0].Text += "." },
		"label":       func(r []snapshot.Row) { r[0].Labels = []string{"a"} },
		"labels cut":  func(r []snapshot.Row) { r[0].Labels = []string{"ab"} },
		"side":        func(r []snapshot.Row) { r[0].Side = dataset.Test },
		"group":       func(r []snapshot.Row) { r[0].Group = "h" },
		"person":      func(r []snapshot.Row) { r[0].Person = "q" },
		"time":        func(r []snapshot.Row) { r[0].Time = r[0].Time.Add(time.Microsecond) },
		"attribute":   func(r []snapshot.Row) { r[0].Attributes["locale"] = "fr" },
		"probability": func(r []snapshot.Row) { r[0].Probability = 0.5 },
		"least":       func(r []snapshot.Row) { r[0].Least = 0.02 },
		"decision":    func(r []snapshot.Row) { r[0].DecisionID = "d2" },
		"number":      func(r []snapshot.Row) { r[1].Record["amount"] = engine.Value{Kind: engine.Number, Number: 2} },
		"boolean":     func(r []snapshot.Row) { r[1].Record["paid"] = engine.Value{Kind: engine.Bool} },
		"order":       func(r []snapshot.Row) { r[0], r[1] = r[1], r[0] },
	} {
		changed := rows()
		change(changed)
		d := snapshot.Digest(changed)
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[d] = name
	}
}
