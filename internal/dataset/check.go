package dataset

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Severity says what a finding means for training.
type Severity string

// The severities: with an Error no model is trained, a Warning deserves a look, a Note is for the record.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Codes of findings.
const (
	NoRows         = "no-rows"
	FewRows        = "few-rows"
	OneLabel       = "one-label"
	RareLabels     = "rare-labels"
	TooManyLabels  = "too-many-labels"
	RejectedRows   = "rejected-rows"
	Contradictions = "contradictions"
	Duplicates     = "duplicates"
	OutOfScope     = "out-of-scope"
	IgnoredColumns = "ignored-columns"
)

// Finding is one thing that a person should know about a data set before or after training on it.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`    // one of the constants
	Message  string   `json:"message"` // what is wrong and what would help
	Count    int      `json:"count"`   // rows or labels concerned
	Examples []string `json:"examples,omitempty"`
}

// Bounds of Check.
const (
	// LeastRows is the number of rows below which nothing can be learned, let alone held out.
	LeastRows = 20
	// ComfortableRows is the number from which a tenth, held out, can certify an error rate of 5 % with 95 % confidence (59 items
	// without an error).
	ComfortableRows = 600
	// MostLabels is the number of labels above which the label column is surely the wrong one.
	MostLabels = 20_000
	examples   = 5
)

// Check looks at a set that is to be trained on. outOfScope is the label of rows that lie outside of all others, "" for none.
func Check(s *Set, outOfScope string) []Finding {
	var out []Finding
	add := func(sev Severity, code string, count int, ex []string, format string, args ...any) {
		out = append(out, Finding{Severity: sev, Code: code, Message: fmt.Sprintf(format, args...), Count: count, Examples: ex})
	}
	rejected := s.RejectedRows()
	if rejected > 0 {
		sev := Warning
		if rejected*2 > rejected+len(s.Rows) {
			sev = Error
		}
		ex := make([]string, 0, examples)
		for _, r := range s.Rejected[:min(examples, len(s.Rejected))] {
			ex = append(ex, r.String())
		}
		add(sev, RejectedRows, rejected, ex, "%d of %d rows cannot be used (%s)", rejected, rejected+len(s.Rows), reasons(s.RejectedByReason))
	}
	if len(s.Rows) == 0 {
		add(Error, NoRows, 0, nil, "there is no usable row; one object a line is expected, {\"text\": …, \"label\": …} or {\"record\": {…}, \"label\": …}; other columns can be named")
		return out
	}
	if n := len(s.Ignored); n > 0 {
		add(Warning, IgnoredColumns, n, nil, "columns that hold lists, groups or decimals are not used: %s", list(s.Ignored))
	}
	counts := labelCounts(s)
	switch {
	case len(s.Rows) < LeastRows:
		add(Error, FewRows, len(s.Rows), nil, "%d rows are too few: %d is the least to train on, and about %d let a tenth of them, held out, certify an error rate of 5 %% with 95 %% confidence",
			len(s.Rows), LeastRows, ComfortableRows)
	case len(s.Rows) < ComfortableRows:
		add(Warning, FewRows, len(s.Rows), nil, "%d rows can train a model but hardly certify one: about %d let a tenth of them, held out, certify an error rate of 5 %% with 95 %% confidence",
			len(s.Rows), ComfortableRows)
	}
	checkLabels(s, counts, outOfScope, add)
	checkRepetitions(s, add)
	return out
}

type adder func(sev Severity, code string, count int, ex []string, format string, args ...any)

func checkLabels(s *Set, counts map[string]int, outOfScope string, add adder) {
	names := slices.Sorted(maps.Keys(counts))
	inScope := len(names)
	if n, ok := counts[outOfScope]; ok && outOfScope != "" {
		inScope--
		add(Note, OutOfScope, n, nil, "%d rows labelled %q teach what lies outside of all other labels; such an answer always goes to a person", n, outOfScope)
	}
	// A list-labelled set may have a single label: has it or has it not.
	bare := slices.ContainsFunc(s.Rows, func(r Row) bool { return len(r.Labels) == 0 })
	switch {
	case len(names) == 0:
		add(Error, OneLabel, 0, nil, "no row has a label")
	case len(names) == 1 && !bare:
		add(Error, OneLabel, 1, names, "all %d rows have the label %q: a model needs rows of at least two labels to tell apart", len(s.Rows), names[0])
	case inScope == 0:
		add(Error, OneLabel, 0, nil, "besides %q no label is left to answer with", outOfScope)
	case len(names) > MostLabels:
		add(Error, TooManyLabels, len(names), nil, "%d different labels, limit %d: is the label's column the right one?", len(names), MostLabels)
	}
	var rare, single []string
	for _, name := range names {
		switch counts[name] {
		case 1:
			single = append(single, name)
			fallthrough
		case 2, 3, 4:
			rare = append(rare, name)
		}
	}
	if len(single) > 0 {
		if len(single)*2 > len(names) && len(names) > 20 {
			add(Error, TooManyLabels, len(single), nil, "%d of %d labels stand on one row only: is the label's column the right one?", len(single), len(names))
			return
		}
		add(Warning, RareLabels, len(single), head(single), "%d labels have a single example, which can be learned from or measured on, not both: add examples or merge the labels", len(single))
	} else if len(rare) > 0 {
		add(Warning, RareLabels, len(rare), head(rare), "%d labels have fewer than 5 examples: expect them to be found rarely", len(rare))
	}
}

// seen is the first row with a key.
type seen struct {
	line          int
	labels        string
	contradicting bool
	rows          int
}

func checkRepetitions(s *Set, add adder) {
	first := make(map[Key]*seen, len(s.Rows))
	duplicates := 0
	var clashes, repeats []string
	for _, row := range s.Rows {
		key, labels := row.Key(), labelSet(row.Labels)
		f, ok := first[key]
		if !ok {
			first[key] = &seen{line: row.Line, labels: labels, rows: 1}
			continue
		}
		f.rows++
		if f.labels == labels {
			duplicates++
			if len(repeats) < examples {
				repeats = append(repeats, fmt.Sprintf("lines %d and %d", f.line, row.Line))
			}
			continue
		}
		if f.contradicting = true; len(clashes) < examples {
			clashes = append(clashes, fmt.Sprintf("line %d says %q, line %d says %q", f.line, f.labels, row.Line, labels))
		}
	}
	contradicting := 0
	for _, f := range first {
		if f.contradicting {
			contradicting += f.rows
		}
	}
	what := "text"
	if s.Kind == Record {
		what = "record"
	}
	if duplicates > 0 {
		add(Note, Duplicates, duplicates, repeats, "%d rows repeat an earlier %s with the same label; they are kept, on one side of the split", duplicates, what)
	}
	switch {
	case contradicting*2 > len(s.Rows):
		add(Error, Contradictions, contradicting, clashes, "%d of %d rows contradict each other: the same %s with different labels; no model can learn from them. Is the label's column the right one?",
			contradicting, len(s.Rows), what)
	case contradicting > 0:
		add(Warning, Contradictions, contradicting, clashes, "%d of %d rows contradict each other: the same %s with different labels. They are kept, and bound what any model can reach; decide each and remove the others",
			contradicting, len(s.Rows), what)
	}
}

// Err joins the findings of severity Error into one error, nil when there is none.
func Err(findings []Finding) error {
	var errs []error
	for _, f := range findings {
		if f.Severity != Error {
			continue
		}
		message := f.Message
		if len(f.Examples) > 0 {
			message += "; for example " + strings.Join(f.Examples[:min(3, len(f.Examples))], "; ")
		}
		errs = append(errs, errors.New(message))
	}
	return errors.Join(errs...)
}

func labelCounts(s *Set) map[string]int {
	counts := map[string]int{}
	for _, row := range s.Rows {
		for _, l := range row.Labels {
			counts[l]++
		}
	}
	return counts
}

// labelSet writes a set of labels in one way.
func labelSet(labels []string) string {
	if len(labels) == 1 {
		return labels[0]
	}
	sorted := slices.Sorted(slices.Values(labels))
	return strings.Join(sorted, ", ")
}

func head(names []string) []string { return names[:min(examples, len(names))] }

// reasons lists the reasons by count.
func reasons(by map[string]int) string {
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		if by[a] != by[b] {
			return by[b] - by[a]
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("%s: %d", n, by[n])
	}
	return strings.Join(parts, ", ")
}
