package training

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
)

// count fills in how many rows there are of what, and when they were.
func count(d *trainingv1.Dataset, rows []snapshot.Row) {
	labels := map[string]*trainingv1.LabelCount{}
	var first, last time.Time
	for _, r := range rows {
		switch r.Side {
		case dataset.Train:
			d.TrainRows++
		case dataset.Test:
			d.TestRows++
		case dataset.Purged:
			d.PurgedRows++
		}
		for _, name := range r.Labels {
			l := labels[name]
			if l == nil {
				l = &trainingv1.LabelCount{Label: name}
				labels[name] = l
			}
			l.Rows++
			switch r.Side {
			case dataset.Train:
				l.TrainRows++
			case dataset.Test:
				l.TestRows++
			case dataset.Purged:
			}
		}
		if r.Time.IsZero() {
			continue
		}
		if first.IsZero() || r.Time.Before(first) {
			first = r.Time
		}
		if r.Time.After(last) {
			last = r.Time
		}
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		d.Labels = append(d.Labels, labels[name])
	}
	if !first.IsZero() {
		d.FirstTime, d.LastTime = timestamppb.New(first), timestamppb.New(last)
	}
}

// inform says what is remarkable about rows that were grouped and divided.
func inform(set *dataset.Set, rows []snapshot.Row, found dataset.Alikeness, known *known) *trainingv1.DatasetReport {
	r := &trainingv1.DatasetReport{
		NearDuplicates: int64(found.NearDuplicates), Subjects: int64(found.Persons), RejectedRows: int64(set.RejectedRows()),
	}
	var train, test []dataset.Row
	labels := map[string]int{}
	for _, row := range rows {
		switch row.Side {
		case dataset.Train:
			train = append(train, row.Row)
		case dataset.Test:
			test = append(test, row.Row)
		case dataset.Purged:
		}
		for _, l := range row.Labels {
			labels[l]++
		}
	}
	r.LeakingRows = int64(dataset.Leaks(train, test))
	counts := slices.Sorted(maps.Values(labels))
	if len(counts) > 1 {
		r.Imbalance = float64(counts[len(counts)-1]) / float64(counts[0])
	}
	for _, f := range dataset.Check(set, outOfScope) {
		switch f.Code {
		case dataset.Duplicates:
			r.Duplicates = int64(f.Count)
		case dataset.Contradictions:
			r.Contradictions = int64(f.Count)
		}
		r.Findings = append(r.Findings, findingOf(f))
	}
	compareLabels(r, labels, known)
	tellSampling(r, rows)
	checkSides(r, set, train, test)
	if r.GetLeakingRows() > 0 {
		add(r, trainingv1.Severity_SEVERITY_ERROR, "leak", r.GetLeakingRows(), nil, "%d rows to test on have a copy, near copy or person among those to train on", r.GetLeakingRows())
	}
	slices.SortStableFunc(r.Findings, func(a, b *trainingv1.Finding) int { return cmp.Compare(b.GetSeverity(), a.GetSeverity()) })
	return r
}

func findingOf(f dataset.Finding) *trainingv1.Finding {
	severity := trainingv1.Severity_SEVERITY_NOTE
	switch f.Severity {
	case dataset.Error:
		severity = trainingv1.Severity_SEVERITY_ERROR
	case dataset.Warning:
		severity = trainingv1.Severity_SEVERITY_WARNING
	case dataset.Note:
	}
	return &trainingv1.Finding{Severity: severity, Code: f.Code, Message: f.Message, Count: int64(f.Count), Examples: f.Examples}
}

// checkSides looks at what each side lacks.
func checkSides(r *trainingv1.DatasetReport, set *dataset.Set, train, test []dataset.Row) {
	trained := map[string]bool{}
	for _, row := range train {
		for _, l := range row.Labels {
			trained[l] = true
		}
	}
	untrained := map[string]bool{}
	for _, row := range test {
		for _, l := range row.Labels {
			if !trained[l] {
				untrained[l] = true
			}
		}
	}
	if len(train) > 0 && len(untrained) > 0 {
		names := slices.Sorted(maps.Keys(untrained))
		add(r, trainingv1.Severity_SEVERITY_WARNING, "test-only-labels", int64(len(names)), head(names), "%d labels stand on rows to test on only, where every answer to them will be wrong (%s)", len(names), some(names))
	}
	// Alike is not all of a kind: with many kinds of rows the split hides what the whole shows.
	if len(train) > 0 && len(train) < len(set.Rows) {
		if part := dataset.Check(&dataset.Set{Rows: train, Kind: set.Kind, Lists: set.Lists, RejectedByReason: map[string]int{}}, outOfScope); dataset.Err(part) != nil {
			for _, f := range part {
				if f.Severity == dataset.Error && !has(r, f.Code) {
					finding := findingOf(f)
					finding.Message = "of the rows to train on: " + finding.GetMessage()
					r.Findings = append(r.Findings, finding)
				}
			}
		}
	}
}

// tellSampling says how many rows were chosen to be labelled.
func tellSampling(r *trainingv1.DatasetReport, rows []snapshot.Row) {
	chosen, unknown, stand := 0, 0, 0.0
	for _, row := range rows {
		switch {
		case row.Probability == 0:
			unknown++
			continue
		case row.Probability < 1:
			chosen++
		}
		stand += 1 / row.Probability
	}
	if chosen > 0 {
		add(r, trainingv1.Severity_SEVERITY_NOTE, "sampled", int64(chosen), nil,
			"%d rows were chosen to be labelled with a probability below 1, such as audits: what is measured is weighted, and %d rows stand for about %.0f decisions", chosen, len(rows)-unknown, stand)
	}
	if unknown > 0 {
		add(r, trainingv1.Severity_SEVERITY_NOTE, "unmeasured", int64(unknown), nil,
			"%d rows are labelled for reasons that nobody knows, such as complaints about automated decisions: they teach, and neither certify nor measure", unknown)
	}
}

// compareLabels holds the labels of the rows against those of the champion.
func compareLabels(r *trainingv1.DatasetReport, labels map[string]int, known *known) {
	if len(known.all) == 0 {
		return
	}
	for _, l := range known.all {
		if labels[l] == 0 {
			r.LabelsMissing = append(r.LabelsMissing, l)
		}
	}
	for _, l := range slices.Sorted(maps.Keys(labels)) {
		if !slices.Contains(known.all, l) {
			r.LabelsNew = append(r.LabelsNew, l)
		}
	}
	if n := len(r.GetLabelsMissing()); n > 0 {
		add(r, trainingv1.Severity_SEVERITY_WARNING, "labels-missing", int64(n), head(r.GetLabelsMissing()),
			"the deployment's model answers with %d labels that no row has (%s): a model of these rows would forget them, and its gate refuses it unless allow_removed_labels is set", n, some(r.GetLabelsMissing()))
	}
	if n := len(r.GetLabelsNew()); n > 0 {
		add(r, trainingv1.Severity_SEVERITY_NOTE, "labels-new", int64(n), head(r.GetLabelsNew()), "%d labels are new to the deployment's model (%s)", n, some(r.GetLabelsNew()))
	}
}

func add(r *trainingv1.DatasetReport, severity trainingv1.Severity, code string, n int64, examples []string, format string, args ...any) {
	r.Findings = append(r.Findings, &trainingv1.Finding{Severity: severity, Code: code, Message: fmt.Sprintf(format, args...), Count: n, Examples: examples})
}

func has(r *trainingv1.DatasetReport, code string) bool {
	return slices.ContainsFunc(r.GetFindings(), func(f *trainingv1.Finding) bool { return f.GetCode() == code })
}

func head(names []string) []string { return names[:min(5, len(names))] }

// some lists at most five names.
func some(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}

// why says in brackets why labelled decisions are no rows, "" when none was there.
func why(rejected map[string]int) string {
	if len(rejected) == 0 {
		return ""
	}
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(rejected)) {
		parts = append(parts, fmt.Sprintf("%d: %s", rejected[reason], reason))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
