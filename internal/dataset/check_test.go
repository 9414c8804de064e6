package dataset

import (
	"fmt"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// rows makes JSONL of n different texts with the labels in turn.
func rows(n int, labels ...string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"text\":\"text number %d\",\"label\":%q}\n", i, labels[i%len(labels)])
	}
	return b.String()
}

func TestFindingsSayWhatIsWrongAndWhatHelps(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, content, oos string
		severity           Severity
		code, part         string
	}{
		{"nothing", "", "", Error, NoRows, "no usable row"},
		{"only bad rows", strings.Repeat("{}\n", 30), "", Error, RejectedRows, "missing label: 30"},
		{"ten rows", rows(10, "a", "b"), "", Error, FewRows, "about 600"},
		{"two hundred rows", rows(200, "a", "b"), "", Warning, FewRows, "about 600"},
		{"one label", rows(1000, "a"), "", Error, OneLabel, `have the label "a"`},
		{"nothing in scope", rows(1000, "oos"), "oos", Error, OneLabel, "oos"},
		{"a single example", rows(1000, "a", "b") + `{"text":"lonely","label":"c"}`, "", Warning, RareLabels, "single example"},
		{"texts as labels", uniqueLabels(100), "", Error, TooManyLabels, "right one?"},
		{"out of scope", rows(1000, "a", "b", "oos"), "oos", Note, OutOfScope, "333 rows"},
		{"repeated", rows(1000, "a", "b") + rows(10, "a", "b"), "", Note, Duplicates, "10 rows repeat"},
		{"contradicting", rows(1000, "a", "b") + rows(10, "b", "a"), "", Warning, Contradictions, "20 of 1010"},
		{"mostly contradicting", rows(1000, "a", "b") + rows(1000, "b", "a"), "", Error, Contradictions, "2000 of 2000"},
		{"some bad rows", rows(1000, "a", "b") + strings.Repeat("{}\n", 30), "", Warning, RejectedRows, "30 of 1030"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			findings := Check(read(t, "a.jsonl", c.content, Options{}), c.oos)
			found := false
			for _, f := range findings {
				found = found || (f.Severity == c.severity && f.Code == c.code && strings.Contains(f.Message, c.part))
			}
			if !found {
				t.Errorf("findings %+v, want %s %s with %q", findings, c.severity, c.code, c.part)
			}
			if err := Err(findings); (err != nil) != (c.severity == Error) {
				t.Errorf("Err = %v for severity %s", err, c.severity)
			}
		})
	}
}

func uniqueLabels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"text\":\"t%d\",\"label\":\"l%d\"}\n", i, i)
	}
	return b.String()
}

func TestKeysIgnoreCaseSpacingAndComposition(t *testing.T) {
	t.Parallel()
	a, b := Row{Text: "Caf\u00e9  au\tLAIT "}, Row{Text: "cafe\u0301 au lait"}
	if a.Key() != b.Key() {
		t.Error("case, spacing and composition must not matter")
	}
	if a.Key() == (Row{Text: "cafe au lait"}).Key() {
		t.Error("an accent is part of the text")
	}
	seven, written := Row{Record: engine.Record{"n": num(7)}}, Row{Record: engine.Record{"n": txt("7")}}
	if seven.Key() == written.Key() {
		t.Error("a number and a text are different values")
	}
	if seven.Key() != (Row{Record: engine.Record{"n": num(7)}, Line: 9}).Key() {
		t.Error("equal records must have equal keys")
	}
}
