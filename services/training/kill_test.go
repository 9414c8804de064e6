package training_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/services/training"
)

const (
	helperDir  = "SWITCHYARD_TRAINING_HELPER_DIR"
	helperStop = "SWITCHYARD_TRAINING_HELPER_STOP"
)

// everyStep are all steps, in order.
var everyStep = []trainingv1.RunStep{
	trainingv1.RunStep_RUN_STEP_BUILD, trainingv1.RunStep_RUN_STEP_SPLIT, trainingv1.RunStep_RUN_STEP_INSPECT, trainingv1.RunStep_RUN_STEP_SEARCH,
	trainingv1.RunStep_RUN_STEP_TRAIN, trainingv1.RunStep_RUN_STEP_EVALUATE, trainingv1.RunStep_RUN_STEP_GATES, trainingv1.RunStep_RUN_STEP_REGISTER,
	trainingv1.RunStep_RUN_STEP_PROMOTE,
}

func searching() *trainingv1.RunSpec {
	spec := onDataset("tickets", 1)
	spec.Search = &trainingv1.SearchSpec{MaxTrials: 2, TimeBudget: durationpb.New(time.Hour)}
	return spec
}

func in(dir string) func(*app.Config) {
	return func(c *app.Config) { c.DataDir = dir }
}

// TestHelperProcess is no test: it is the process that TestARunSurvivesKill kills.
func TestHelperProcess(t *testing.T) {
	dir := os.Getenv(helperDir)
	if dir == "" {
		t.Skip("started by TestARunSurvivesKill only")
	}
	training.AtStep(func(step trainingv1.RunStep, when string) {
		if os.Getenv(helperStop) == step.String()+" "+when {
			fmt.Printf("\nreached %s %s\n", step, when)
			select {} // until the process is killed
		}
	})
	s := start(t, in(dir))
	s.add("tickets", lines(tickets(900, 1)))
	spec := searching()
	r, err := s.runs.StartRun(t.Context(), &trainingv1.StartRunRequest{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nrun %s\n", r.GetRun().GetRunId())
	s.wait(r.GetRun().GetRunId())
}

func TestARunSurvivesKillAtEveryStep(t *testing.T) {
	trains(t)
	t.Parallel()
	reference := start(t)
	reference.add("tickets", lines(tickets(900, 1)))
	want := reference.run(searching())
	if want.GetState() != trainingv1.RunState_RUN_STATE_SUCCEEDED {
		t.Fatalf("the run that nobody kills: %v", want)
	}
	reference.Stop()
	for _, step := range everyStep {
		for _, when := range []string{"begin", "end"} {
			t.Run(strings.ToLower(strings.TrimPrefix(step.String(), "RUN_STEP_"))+" "+when, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data")
				run := killAt(t, dir, step.String()+" "+when)
				s := start(t, in(dir))
				got := s.wait(run)
				if got.GetState() != trainingv1.RunState_RUN_STATE_SUCCEEDED || got.GetArtifactDigest() != want.GetArtifactDigest() {
					t.Errorf("after the kill: %s, artifact %s; without it %s", got.GetStatement(), got.GetArtifactDigest(), want.GetArtifactDigest())
				}
				if got.GetVersion() != 1 || got.GetRevision() != 1 {
					t.Errorf("version %d at revision %d: something was done twice", got.GetVersion(), got.GetRevision())
				}
				for _, st := range got.GetSteps() {
					if attempts := st.GetAttempts(); st.GetStep() == step && attempts != 2 || st.GetStep() != step && attempts != 1 {
						t.Errorf("step %s was begun %d times", st.GetStep(), attempts)
					}
				}
				d, err := s.models.GetDeployment(t.Context(), &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support"})
				if err != nil || d.GetDeployment().GetChampion().GetDigest() != want.GetArtifactDigest() {
					t.Errorf("what answers is %v (%v)", d.GetDeployment().GetChampion(), err)
				}
			})
		}
	}
}

// killAt starts a process that runs until it reaches a place, and kills it there. It returns the run.
func killAt(t *testing.T, dir, place string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestHelperProcess$", "-test.v")
	cmd.Env = append(os.Environ(), helperDir+"="+dir, helperStop+"="+place)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	run, reached := "", false
	scan := bufio.NewScanner(out)
	var said []string
	for (!reached || run == "") && scan.Scan() {
		said = append(said, scan.Text())
		if id, ok := strings.CutPrefix(scan.Text(), "run "); ok {
			run = id
		}
		reached = reached || scan.Text() == "reached "+place
	}
	_ = cmd.Process.Kill() // SIGKILL
	_ = cmd.Wait()
	if !reached || run == "" {
		t.Fatalf("the process did not reach %s:\n%s", place, strings.Join(said, "\n"))
	}
	return run
}
