package training_test

import (
	"strings"
	"testing"
	"time"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

func building(name string) *trainingv1.RunSpec {
	spec := onDataset("", 0)
	spec.Data = &trainingv1.RunSpec_Build{Build: &trainingv1.BuildDatasetRequest{
		Name: name, Query: &trainingv1.DatasetQuery{Operation: routing, Deployment: "support"},
	}}
	return spec
}

// startedBy waits for the first run that a schedule starts.
func (s *system) startedBy(name string) *trainingv1.Run {
	s.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		r, err := s.runs.ListSchedules(s.t.Context(), &trainingv1.ListSchedulesRequest{})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, c := range r.GetSchedules() {
			if c.GetName() == name && c.GetLastRunId() != "" {
				return s.wait(c.GetLastRunId())
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("nothing was started: %v", r.GetSchedules())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (s *system) runsOf() []*trainingv1.Run {
	s.t.Helper()
	r, err := s.runs.ListRuns(s.t.Context(), &trainingv1.ListRunsRequest{Deployment: "support"})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.GetRuns()
}

func (s *system) put(c *trainingv1.Schedule) (*trainingv1.Schedule, error) {
	r, err := s.runs.PutSchedule(s.t.Context(), &trainingv1.PutScheduleRequest{Schedule: c})
	return r.GetSchedule(), err
}

func TestNewLabelsStartARun(t *testing.T) {
	t.Parallel()
	s := start(t)
	testkit.Deploy(t, s.conn, "support", testkit.Support, true)
	if _, err := s.put(&trainingv1.Schedule{Name: "labels", Spec: building("support"), NewLabels: 60}); err != nil {
		t.Fatal(err)
	}
	rows := tickets(70, 1)
	s.route(rows[:50])
	if r := s.runsOf(); len(r) != 0 {
		t.Errorf("a run began with too few labels: %v", r)
	}
	s.route(rows[50:])
	run := s.startedBy("labels")
	if !strings.HasPrefix(run.GetCause(), "labels labels: ") || run.GetDataset().GetName() != "support" {
		t.Errorf("run %v", run)
	}
}

func TestALostCertificateStartsARunOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	testkit.Deploy(t, s.conn, "support", testkit.Support, false) // nothing is certified
	one := tickets(100, 1)
	for i := range one {
		one[i].Label = "access"
	}
	s.add("hopeless", lines(one))
	if _, err := s.put(&trainingv1.Schedule{Name: "halt", Spec: onDataset("hopeless", 0), OnHalt: true}); err != nil {
		t.Fatal(err)
	}
	if run := s.startedBy("halt"); run.GetCause() != "halt halt" || run.GetState() != trainingv1.RunState_RUN_STATE_FAILED {
		t.Errorf("run %v", run)
	}
	// It looks every half second here, and does not try the same again.
	time.Sleep(1500 * time.Millisecond)
	if n := len(s.runsOf()); n != 1 {
		t.Errorf("%d runs", n)
	}
}

func TestASchedulesTimeIsKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	if _, err := s.put(&trainingv1.Schedule{Name: "weekly", Spec: building("x"), Cron: "0 0 31 2 *"}); reason(err) != "INVALID_ARGUMENT" {
		t.Errorf("a day that never comes: %v", err)
	}
	c, err := s.put(&trainingv1.Schedule{Name: "weekly", Spec: building("x"), Cron: "0 3 * * 1"})
	if err != nil || c.GetNextTime().AsTime().Weekday() != time.Monday || c.GetNextTime().AsTime().Hour() != 3 {
		t.Errorf("%v %v", c, err)
	}
	if c, err = s.put(&trainingv1.Schedule{Name: "weekly", Spec: building("x"), Cron: "0 3 * * 1", Paused: true}); err != nil || c.GetNextTime() != nil {
		t.Errorf("paused: %v %v", c, err)
	}
	if _, err := s.runs.DeleteSchedule(t.Context(), &trainingv1.DeleteScheduleRequest{Name: "weekly"}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.runs.ListSchedules(t.Context(), &trainingv1.ListSchedulesRequest{}); err != nil || len(r.GetSchedules()) != 0 {
		t.Errorf("%v %v", r, err)
	}
}
