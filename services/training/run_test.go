package training_test

import (
	"strings"
	"testing"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
)

func TestARunEndsInAVersionThatAnswers(t *testing.T) {
	t.Parallel()
	s := start(t)
	d := s.add("tickets", lines(tickets(2400, 1)))
	if d.GetTrainRows() == 0 || d.GetTestRows() == 0 || d.GetReport().GetLeakingRows() != 0 {
		t.Fatalf("data set %v", d)
	}
	r := s.run(onDataset("tickets", 0))
	if r.GetState() != trainingv1.RunState_RUN_STATE_SUCCEEDED {
		t.Fatalf("run %v", r)
	}
	if len(r.GetSteps()) != 9 || r.GetVersion() != 1 || r.GetRevision() != 1 || r.GetDatasetDigest() != d.GetDigest() {
		t.Errorf("run %v", r)
	}
	got, err := s.models.GetDeployment(t.Context(), &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	c := got.GetDeployment().GetChampion()
	if c.GetDigest() != r.GetArtifactDigest() || c.GetLineage().GetDatasetSha256() == "" || !strings.Contains(r.GetStatement(), got.GetDeployment().GetStatement()) {
		t.Errorf("deployed %v after %s", c, r.GetStatement())
	}
	report, err := s.runs.GetRunReport(t.Context(), &trainingv1.GetRunReportRequest{RunId: r.GetRunId()})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"All gates passed", "dialect=north", "<svg", "Labels and groups"} {
		if !strings.Contains(report.GetHtml(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
