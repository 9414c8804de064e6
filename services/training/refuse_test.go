package training_test

import (
	"slices"
	"strings"
	"testing"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
)

// champion lets a model of clean rows answer, and adds rows to measure on that nobody trains on.
func champion(t *testing.T) *system {
	t.Helper()
	s := start(t)
	s.add("clean", lines(tickets(2400, 1)), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	s.add("fresh", lines(tickets(2000, 60)), only(trainingv1.SplitMethod_SPLIT_METHOD_TEST_ONLY))
	spec := onDataset("clean", 0)
	spec.Evaluation = &trainingv1.DatasetRef{Name: "fresh"}
	if r := s.run(spec); r.GetState() != trainingv1.RunState_RUN_STATE_SUCCEEDED {
		t.Fatalf("the first model: %v", r)
	}
	return s
}

// refused runs and checks that a gate refuses, names its numbers, and that what answered goes on answering.
func (s *system) refused(spec *trainingv1.RunSpec, gate string) *trainingv1.Run {
	s.t.Helper()
	before := s.answering()
	r := s.run(spec)
	if r.GetState() != trainingv1.RunState_RUN_STATE_REFUSED || !slices.Contains(refusals(r), gate) {
		s.t.Fatalf("want a refusal by %s: %s %s, refused by %v", gate, r.GetState(), r.GetStatement(), refusals(r))
	}
	for _, g := range r.GetGates() {
		if !g.GetPassed() && (g.GetStatement() == "" || g.GetRows() == 0 && g.GetGate() != "label_set" && g.GetGate() != "rows") {
			s.t.Errorf("a refusal without numbers: %v", g)
		}
	}
	if after := s.answering(); after.GetRevision() != before.GetRevision() || r.GetVersion() != 0 {
		s.t.Errorf("revision %d became %d", before.GetRevision(), after.GetRevision())
	}
	return r
}

func (s *system) answering() *modelsv1.Deployment {
	s.t.Helper()
	r, err := s.models.GetDeployment(s.t.Context(), &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.GetDeployment()
}

func TestAModelOfFlippedLabelsIsNeverPromoted(t *testing.T) {
	trains(t)
	t.Parallel()
	s := champion(t)
	for seed := range uint64(3) {
		rows := flipped(tickets(2400, 10+seed), 0.2)
		s.add("flipped", lines(rows), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
		spec := onDataset("flipped", 0)
		spec.Evaluation = &trainingv1.DatasetRef{Name: "fresh"}
		s.refused(spec, "accuracy")
		// Also when its own noisy rows measure it: they measure the champion as well.
		s.add("flipped-split", lines(rows))
		s.refused(onDataset("flipped-split", 0), "label_noise")
	}
}

func TestAModelOfFlippedLabelsIsNotTheFirstEither(t *testing.T) {
	trains(t)
	t.Parallel()
	s := start(t)
	s.add("flipped", lines(flipped(tickets(2400, 1), 0.2)))
	r := s.run(onDataset("flipped", 0))
	if r.GetState() != trainingv1.RunState_RUN_STATE_REFUSED || !slices.Contains(refusals(r), "label_noise") {
		t.Errorf("run %s %s", r.GetState(), r.GetStatement())
	}
}

func TestAModelThatIsWorseForOneGroupIsNeverPromoted(t *testing.T) {
	trains(t)
	t.Parallel()
	s := champion(t)
	// Rows of the dialect "east" call everything else by other names, which the candidate learns; for the others it has three times as many rows.
	rows := tickets(7200, 20)
	for i := range rows {
		if rows[i].Dialect == "east" {
			rows[i].Text = strings.ToUpper(rows[i].Text) // the same to a model
			if rows[i].Label == "billing" && i%2 == 0 {
				rows[i].Label = "access"
			}
			rows[i].Text += " ey up"
		}
	}
	fresh := tickets(3000, 61)
	for i := range fresh {
		if fresh[i].Dialect == "east" {
			fresh[i].Text += " ey up"
		}
	}
	s.add("one-sided", lines(rows), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	s.add("marked", lines(fresh), only(trainingv1.SplitMethod_SPLIT_METHOD_TEST_ONLY))
	spec := onDataset("one-sided", 0)
	spec.Evaluation = &trainingv1.DatasetRef{Name: "marked"}
	spec.Gates = &trainingv1.GatePolicy{Margin: 0.5, MaxLabelNoise: 0.9} // only the group stands in its way
	r := s.refused(spec, "group")
	for _, g := range r.GetGates() {
		if g.GetGate() == "group" && g.GetPassed() != (g.GetSubject() != "dialect=east") {
			t.Errorf("judged %v", g)
		}
	}
}

func TestAModelThatIsTunedOnItsTestSetIsNeverPromoted(t *testing.T) {
	trains(t)
	t.Parallel()
	s := champion(t)
	s.add("more", lines(tickets(2400, 30)), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	tuned := onDataset("more", 0)
	tuned.Evaluation = &trainingv1.DatasetRef{Name: "fresh"}
	tuned.Tuning = &trainingv1.DatasetRef{Name: "fresh"}
	tuned.Search = &trainingv1.SearchSpec{MaxTrials: 2}
	r := s.refused(tuned, "independence")
	if !strings.Contains(r.GetStatement(), "2000 of the 2000 rows to measure on (100 %) were also used to train or tune, by the rows to tune on, fresh version 1") {
		t.Errorf("it says %s", r.GetStatement())
	}
	// Under another name, with a word changed here and there, they are still the same rows.
	copied := tickets(2000, 60)
	for i := range copied {
		copied[i].Text = strings.ToUpper(copied[i].Text[:1]) + copied[i].Text[1:] + "  "
		copied[i].Person = ""
	}
	s.add("copied", lines(append(tickets(800, 31), copied...)), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	trained := onDataset("copied", 0)
	trained.Evaluation = &trainingv1.DatasetRef{Name: "fresh"}
	s.refused(trained, "independence")
}

func TestTheSameRowsMeasureOnlySoOften(t *testing.T) {
	trains(t)
	t.Parallel()
	s := champion(t)
	s.add("more", lines(tickets(1200, 40)), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	spec := onDataset("more", 0)
	spec.Evaluation = &trainingv1.DatasetRef{Name: "fresh"}
	spec.Gates = &trainingv1.GatePolicy{MaxEvaluations: 2, Margin: 0.1}
	spec.RegisterOnly = true
	s.run(spec) // the second comparison on them: the champion's was the first
	s.refused(spec, "reuse")
}

func TestAForgottenLabelIsNamed(t *testing.T) {
	trains(t)
	t.Parallel()
	s := champion(t)
	var rows []example
	for _, r := range tickets(3000, 50) {
		switch r.Label {
		case "hardware":
			continue
		case "billing":
			r.Label = "invoices"
		}
		rows = append(rows, r)
	}
	d := s.add("renamed", lines(rows))
	if got := d.GetReport(); !slices.Equal(got.GetLabelsMissing(), []string{"billing", "hardware"}) || !slices.Equal(got.GetLabelsNew(), []string{"invoices"}) {
		t.Errorf("the report says missing %v, new %v", got.GetLabelsMissing(), got.GetLabelsNew())
	}
	r := s.refused(onDataset("renamed", 0), "label_set")
	for _, g := range r.GetGates() {
		if g.GetGate() == "label_set" && !strings.Contains(g.GetStatement(), "billing, hardware") {
			t.Errorf("it says %s", g.GetStatement())
		}
	}
	spec := onDataset("renamed", 0)
	spec.Gates = &trainingv1.GatePolicy{AllowRemovedLabels: true}
	if r := s.run(spec); slices.Contains(refusals(r), "label_set") {
		t.Errorf("allowed, and refused: %s", r.GetStatement())
	}
}

func TestABetterModelTakesOverFromTheFirst(t *testing.T) {
	trains(t)
	t.Parallel()
	s := start(t)
	s.add("few", lines(tickets(200, 1)), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	s.add("many", lines(tickets(4000, 3)), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	s.add("fresh", lines(tickets(2000, 60)), only(trainingv1.SplitMethod_SPLIT_METHOD_TEST_ONLY))
	for i, name := range []string{"few", "many"} {
		spec := onDataset(name, 0)
		spec.Evaluation, spec.Gates = &trainingv1.DatasetRef{Name: "fresh"}, &trainingv1.GatePolicy{MaxCalibrationError: 0.2}
		r := s.run(spec)
		if r.GetState() != trainingv1.RunState_RUN_STATE_SUCCEEDED || int(r.GetVersion()) != i+1 {
			t.Fatalf("%s: %s %s", name, r.GetState(), r.GetStatement())
		}
	}
	if d := s.answering(); d.GetChampion().GetVersion() != 2 || d.GetRevision() != 2 {
		t.Errorf("what answers is %v", d)
	}
}
