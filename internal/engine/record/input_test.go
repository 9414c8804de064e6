package record_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/record"
)

func TestRecordsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	good := shop(1, engine.Multiclass, 4)[0].Record
	good["age"] = number(30)
	cases := map[string]struct {
		change         func(r engine.Record)
		field, problem string
	}{
		"fits":                   {change: func(engine.Record) {}},
		"optional field missing": {change: func(r engine.Record) { delete(r, "age") }},
		"new value":              {change: func(r engine.Record) { r["country"] = text("xx") }},
		"empty value":            {change: func(r engine.Record) { r["country"] = text("") }},
		"large number":           {change: func(r engine.Record) { r["amount"] = number(-math.MaxFloat64) }},
		"missing field":          {change: func(r engine.Record) { delete(r, "amount") }, field: "amount", problem: "missing"},
		"unknown field":          {change: func(r engine.Record) { r["zip"] = number(1) }, field: "zip", problem: "not trained"},
		"misspelt field": {change: func(r engine.Record) {
			delete(r, "amount")
			r["amonut"] = number(1)
		}, field: "amonut", problem: "not trained"},
		"text for number":    {change: func(r engine.Record) { r["amount"] = text("12") }, field: "amount", problem: "want number, got text"},
		"boolean for text":   {change: func(r engine.Record) { r["country"] = boolean(true) }, field: "country", problem: "want text, got boolean"},
		"number for boolean": {change: func(r engine.Record) { r["new"] = number(1) }, field: "new", problem: "want boolean, got number"},
		"no type":            {change: func(r engine.Record) { r["new"] = engine.Value{} }, field: "new", problem: "unknown type 0"},
		"not a number":       {change: func(r engine.Record) { r["amount"] = number(math.NaN()) }, field: "amount", problem: "not finite"},
		"infinite":           {change: func(r engine.Record) { r["age"] = number(math.Inf(-1)) }, field: "age", problem: "not finite"},
	}
	for _, m := range []record.Method{record.Linear, record.Trees} {
		p := open(t, train(t, shop(500, engine.Multiclass, 1), shopLabels, settings(m, engine.Multiclass)))
		for name, c := range cases {
			r := maps.Clone(good)
			c.change(r)
			err := p.Predict(engine.Input{Record: r}, make([]float32, 3))
			_, explained := p.Explain(engine.Input{Record: r}, 0, 3)
			if c.field == "" {
				if err != nil || explained != nil {
					t.Errorf("%v, %s: %v, %v", m, name, err, explained)
				}
				continue
			}
			var bad *record.InputError
			if !errors.As(err, &bad) || !errors.Is(err, engine.ErrInput) || bad.Field != c.field || !strings.Contains(bad.Problem, c.problem) {
				t.Errorf("%v, %s: got %v, want field %q and %q", m, name, err, c.field, c.problem)
			}
			if fmt.Sprint(explained) != fmt.Sprint(err) {
				t.Errorf("%v, %s: Explain fails with %v, Predict with %v", m, name, explained, err)
			}
		}
		if err := p.Predict(engine.Input{Text: "hello"}, make([]float32, 3)); !errors.Is(err, engine.ErrInput) {
			t.Errorf("%v: a text gave %v", m, err)
		}
		if err := p.Predict(engine.Input{Record: good}, make([]float32, 2)); err == nil {
			t.Errorf("%v: too short an output was accepted", m)
		}
		if _, err := p.Explain(engine.Input{Record: good}, 3, 1); err == nil {
			t.Errorf("%v: a label out of range was explained", m)
		}
	}
}

func TestRowsThatTeachNothingAreRefused(t *testing.T) {
	t.Parallel()
	row := func(label int32, r engine.Record) record.Row { return record.Row{Record: r, Labels: []int32{label}} }
	a, b := row(0, engine.Record{"x": number(1)}), row(1, engine.Record{"x": number(2)})
	wide := engine.Record{}
	for i := range record.MaxColumns + 1 {
		wide[fmt.Sprint("f", i)] = number(1)
	}
	two := []string{"a", "b"}
	for name, c := range map[string]struct {
		rows   []record.Row
		labels []string
		change func(*record.Settings)
		want   string
	}{
		"no rows":            {rows: nil, labels: two, want: "0 training rows"},
		"one label":          {rows: []record.Row{a, a}, labels: two, want: `all 2 training rows have the label "a"`},
		"one answer":         {rows: []record.Row{a, a}, labels: two[:1], want: "at least two"},
		"unknown label":      {rows: []record.Row{a, row(2, a.Record)}, labels: two, want: "row 2 has label 2"},
		"negative label":     {rows: []record.Row{a, row(-1, a.Record)}, labels: two, want: "row 2 has label -1"},
		"two labels":         {rows: []record.Row{a, {Record: a.Record, Labels: []int32{0, 1}}}, labels: two, want: "row 2 has 2 labels, want 1"},
		"no label":           {rows: []record.Row{a, {Record: a.Record}}, labels: two, want: "row 2 has 0 labels, want 1"},
		"label twice":        {rows: []record.Row{a, b}, labels: []string{"a", "a"}, want: `label "a" stands twice`},
		"no fields":          {rows: []record.Row{row(0, engine.Record{}), row(1, nil)}, labels: two, want: "no fields"},
		"mixed type":         {rows: []record.Row{a, b, row(0, engine.Record{"x": text("1")})}, labels: two, want: `row 3: input does not fit the model: field "x": text here but number in row 1`},
		"not a number":       {rows: []record.Row{a, row(1, engine.Record{"x": number(math.NaN())})}, labels: two, want: `row 2: input does not fit the model: field "x": the number is not finite`},
		"no type":            {rows: []record.Row{a, row(1, engine.Record{"x": {}})}, labels: two, want: "unknown type 0"},
		"nameless field":     {rows: []record.Row{a, row(1, engine.Record{"": number(1)})}, labels: two, want: "name of a field"},
		"long field":         {rows: []record.Row{a, row(1, engine.Record{strings.Repeat("x", 300): number(1)})}, labels: two, want: "name of a field"},
		"too many fields":    {rows: []record.Row{row(0, wide), b}, labels: two, want: "1026 different fields, limit 1024"},
		"settings":           {rows: []record.Row{a, b}, labels: two, change: func(s *record.Settings) { s.Leaves, s.LearningRate = 1, 2 }, want: "leaves 1"},
		"labels never apply": {rows: []record.Row{{Record: a.Record}, {Record: a.Record}}, labels: two, change: func(s *record.Settings) { s.Task = engine.Multilabel }, want: "no label is present in some"},
	} {
		s := record.DefaultSettings()
		if c.change != nil {
			c.change(&s)
		}
		_, err := record.Train(context.Background(), c.rows, nil, c.labels, -1, s, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if _, err := record.Train(context.Background(), []record.Row{a, b}, nil, two, 2, record.DefaultSettings(), nil); err == nil {
		t.Error("an out-of-scope label that does not exist was accepted")
	}
}

func TestTenRowsGiveASaneModel(t *testing.T) {
	t.Parallel()
	var rows []record.Row
	for i := range 10 {
		rows = append(rows, record.Row{Record: engine.Record{"x": number(float64(i)), "c": text("abcde"[i%5 : i%5+1])}, Labels: []int32{int32(i / 5)}})
	}
	for _, m := range []record.Method{record.Auto, record.Linear, record.Trees} {
		s := record.DefaultSettings()
		s.Method = m
		p := open(t, train(t, rows, []string{"low", "high"}, s))
		probs := make([]float32, 2)
		for _, r := range rows {
			if err := p.Predict(engine.Input{Record: r.Record}, probs); err != nil {
				t.Fatal(err)
			}
			if probs[r.Labels[0]] <= 0.5 {
				t.Errorf("%v: row %v has probability %g", m, r, probs[r.Labels[0]])
			}
		}
		if err := p.Predict(engine.Input{Record: engine.Record{"x": number(1e300), "c": text("new")}}, probs); err != nil || !(probs[1] > 0.5) {
			t.Errorf("%v: a high number gives %v, %v", m, probs, err)
		}
	}
}

func TestFieldsThatTeachNothingAreNoted(t *testing.T) {
	t.Parallel()
	rows := shop(400, engine.Multiclass, 1)
	valid := shop(50, engine.Multiclass, 2)
	for i := range rows {
		rows[i].Record["city"] = text(fmt.Sprint("city ", i%300))
		rows[i].Record["essay"] = text(strings.Repeat("long ", 100))
	}
	for i := range valid {
		valid[i].Record["city"] = text("city 1")
		valid[i].Record["essay"] = text("short")
	}
	valid[3].Record["late"] = number(3)
	for _, method := range []record.Method{record.Linear, record.Trees} {
		s := settings(method, engine.Multiclass)
		s.MinCategoryRows = 2
		m, err := record.Train(context.Background(), rows, valid, shopLabels, -1, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		notes := map[string]string{}
		for _, n := range m.Notes() {
			notes[n.Field] = n.Text
		}
		for field, want := range map[string]string{
			"note": "identifier or free text", "shop": "the same value in every training row", "late": "no value in any training row",
			"city": `the 200 rarest are treated as one, "other"`, "essay": "the same value",
		} {
			if !strings.Contains(notes[field], want) {
				t.Errorf("%v: note on %s is %q, want %q", method, field, notes[field], want)
			}
		}
		if len(notes) != 5 {
			t.Errorf("%v: notes %v", method, notes)
		}
		p := open(t, m)
		r := maps.Clone(rows[0].Record)
		r["late"] = number(-4)
		r["shop"] = text("kiosk")
		if err := p.Predict(engine.Input{Record: r}, make([]float32, 3)); err != nil {
			t.Errorf("%v: fields that taught nothing must still be accepted: %v", method, err)
		}
	}
}

func TestOnlyFieldsThatTeachNothing(t *testing.T) {
	t.Parallel()
	var rows []record.Row
	for i := range 200 {
		rows = append(rows, record.Row{Record: engine.Record{"shop": text("web"), "id": text(fmt.Sprint(i))}, Labels: []int32{int32(i % 4 / 3)}})
	}
	for _, m := range []record.Method{record.Auto, record.Linear, record.Trees} {
		s := record.DefaultSettings()
		s.Method = m
		p := open(t, train(t, rows, []string{"a", "b"}, s))
		probs := make([]float32, 2)
		if err := p.Predict(engine.Input{Record: rows[0].Record}, probs); err != nil || math.Abs(float64(probs[1])-0.25) > 0.02 {
			t.Errorf("%v: want the shares of the labels, got %v, %v", m, probs, err)
		}
	}
}

func TestFieldsOfFurtherRecordsAreAccepted(t *testing.T) {
	t.Parallel()
	rows := shop(300, engine.Multiclass, 1)
	s := settings(record.Trees, engine.Multiclass)
	rare := maps.Clone(rows[0].Record)
	delete(rare, "amount")
	rare["coupon"] = text("spring")
	s.Accept = []engine.Record{rare}
	p := open(t, train(t, rows, shopLabels, s))
	for _, r := range []engine.Record{rare, rows[0].Record} {
		if err := p.Predict(engine.Input{Record: r}, make([]float32, 3)); err != nil {
			t.Error(err)
		}
	}
	s.Accept = []engine.Record{{"amount": text("ten")}}
	if _, err := record.Train(context.Background(), rows, nil, shopLabels, -1, s, nil); err == nil || !strings.Contains(err.Error(), `row 301`) {
		t.Errorf("a further record of another type: %v", err)
	}
}
