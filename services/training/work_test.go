package training_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/db/pgtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/training"
)

const (
	inspect = trainingv1.RunStep_RUN_STEP_INSPECT
	train   = trainingv1.RunStep_RUN_STEP_TRAIN
)

// executed says who trains. Leases last longer than a slow machine takes for a few calls.
func executed(t *testing.T, by string) func(*app.Config) {
	return func(c *app.Config) {
		c.Training.Execution, c.Training.MaxDeliveries, c.Training.Lease = by, 2, time.Minute
		if pgtest.Wanted() {
			c.DB.URL = pgtest.Schema(t)
		}
	}
}

// brief lets leases end while the test waits.
func brief(c *app.Config) { c.Training.Lease = 3 * time.Second }

// hand is a worker that the test plays.
type hand struct {
	trainingv1.WorkerServiceClient
	t    *testing.T
	conn *grpc.ClientConn
}

// hand returns a worker with a key that holds some scopes, platform:train when none are named.
func (s *system) hand(scopes ...string) *hand {
	s.t.Helper()
	if len(scopes) == 0 {
		scopes = []string{"platform:train"}
	}
	r, err := identityv1.NewIdentityServiceClient(s.conn).CreateKey(s.t.Context(), &identityv1.CreateKeyRequest{Name: "worker", Scopes: scopes})
	if err != nil {
		s.t.Fatal(err)
	}
	conn := s.Dial(r.GetSecret())
	return &hand{trainingv1.NewWorkerServiceClient(conn), s.t, conn}
}

// lease waits for work.
func (h *hand) lease(steps ...trainingv1.RunStep) *trainingv1.Work {
	h.t.Helper()
	for range 5 {
		r, err := h.LeaseWork(h.t.Context(), &trainingv1.LeaseWorkRequest{Worker: "hand", Steps: steps, Wait: durationpb.New(2 * time.Second)})
		if err != nil {
			h.t.Fatal(err)
		}
		if r.GetWork() != nil {
			return r.GetWork()
		}
	}
	h.t.Fatal("there is no work")
	return nil
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).ReasonName()
}

// starts starts a run and does not wait for it.
func (s *system) starts(spec *trainingv1.RunSpec) string {
	s.t.Helper()
	r, err := s.runs.StartRun(s.t.Context(), &trainingv1.StartRunRequest{Spec: spec})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.GetRun().GetRunId()
}

// calls makes every call that a lease allows, and returns the reasons that they fail with.
func (h *hand) calls(w *trainingv1.Work) map[string]string {
	ctx, id, out := h.t.Context(), w.GetLeaseId(), map[string]string{}
	_, err := h.ExtendWork(ctx, &trainingv1.ExtendWorkRequest{LeaseId: id})
	out["ExtendWork"] = reasonOf(err)
	_, err = h.CompleteStep(ctx, &trainingv1.CompleteStepRequest{LeaseId: id, OutputJson: `{"Noise": {}}`})
	out["CompleteStep"] = reasonOf(err)
	_, err = h.FailStep(ctx, &trainingv1.FailStepRequest{LeaseId: id, GiveBack: true})
	out["FailStep"] = reasonOf(err)
	_, err = h.read(id, "dataset")
	out["ReadInput"] = reasonOf(err)
	out["WriteOutput"] = reasonOf(h.write(id, []byte("late"), []byte("late")))
	return out
}

func (h *hand) read(lease, name string) (data []byte, err error) {
	stream, err := h.ReadInput(h.t.Context(), &trainingv1.ReadInputRequest{LeaseId: lease, Name: name})
	for err == nil {
		var m *trainingv1.ReadInputResponse
		if m, err = stream.Recv(); err == nil {
			data = append(data, m.GetChunk()...)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data, err
}

// write stores bytes under the digest of announced.
func (h *hand) write(lease string, announced, data []byte) error {
	sum := sha256.Sum256(announced)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	stream, err := h.WriteOutput(h.t.Context())
	if err != nil {
		return err
	}
	_ = stream.Send(&trainingv1.WriteOutputRequest{Part: &trainingv1.WriteOutputRequest_Spec{Spec: &trainingv1.BlobSpec{LeaseId: lease, Digest: digest}}})
	_ = stream.Send(&trainingv1.WriteOutputRequest{Part: &trainingv1.WriteOutputRequest_Chunk{Chunk: data}})
	_, err = stream.CloseAndRecv()
	return err
}

func TestAWorkerWhoseLeaseEndedWritesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, executed(t, training.External), brief)
	s.add("tickets", lines(tickets(300, 1)))
	run := s.starts(onDataset("tickets", 1))
	h := s.hand()
	old := h.lease()
	if old.GetStep() != inspect || old.GetRunId() != run || old.GetAttempt() != 1 {
		t.Fatalf("leased %v", old)
	}
	if data, err := h.read(old.GetLeaseId(), "dataset"); err != nil || len(data) != int(old.GetInputs()[0].GetSizeBytes()) {
		t.Fatalf("read %d bytes: %v", len(data), err)
	}
	next := h.lease() // waits until the lease has ended
	if next.GetRunId() != run || next.GetStep() != inspect || next.GetLeaseId() == old.GetLeaseId() || next.GetAttempt() != 2 {
		t.Fatalf("leased after the end: %v", next)
	}
	for call, reason := range h.calls(old) {
		if reason != "LEASE_LOST" {
			t.Errorf("%s under the old lease: %q", call, reason)
		}
	}
	if _, err := h.CompleteStep(t.Context(), &trainingv1.CompleteStepRequest{LeaseId: next.GetLeaseId(), OutputJson: `{"Noise": {}}`, Summary: "by the second"}); err != nil {
		t.Fatal(err)
	}
	for call, reason := range h.calls(next) {
		if reason != "LEASE_LOST" {
			t.Errorf("%s after the step: %q", call, reason)
		}
	}
	if w := h.lease(); w.GetStep() != trainingv1.RunStep_RUN_STEP_SEARCH || w.GetAttempt() != 1 {
		t.Errorf("the next step is %v", w)
	}
	r, err := s.runs.GetRun(t.Context(), &trainingv1.GetRunRequest{RunId: run})
	if err != nil || r.GetRun().GetSteps()[2].GetSummary() != "by the second" {
		t.Errorf("%v: %v", err, r)
	}
}

func TestARunThatCostsWorkersFailsAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := start(t, executed(t, training.External), brief)
	s.add("tickets", lines(tickets(300, 1)))
	poison, other := s.starts(onDataset("tickets", 1)), s.starts(onDataset("tickets", 1))
	h := s.hand()
	meanwhile := 0
	for {
		r, err := s.runs.GetRun(t.Context(), &trainingv1.GetRunRequest{RunId: poison})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.GetRun(); got.GetEndTime() != nil {
			if got.GetState() != trainingv1.RunState_RUN_STATE_FAILED || got.GetProblem().GetReason() != "WORKERS_LOST" || !strings.Contains(got.GetStatement(), "2 workers were lost in step inspect") {
				t.Errorf("the run that costs workers: %v", got)
			}
			break
		}
		// Whoever has the first run is not heard of again; the second one is given back each time, which costs it nothing.
		leased, err := h.LeaseWork(t.Context(), &trainingv1.LeaseWorkRequest{Worker: "hand", Wait: durationpb.New(200 * time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		if w := leased.GetWork(); w.GetRunId() == other {
			meanwhile++
			if _, err := h.FailStep(t.Context(), &trainingv1.FailStepRequest{LeaseId: w.GetLeaseId(), GiveBack: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	if w := h.lease(); w.GetRunId() != other || meanwhile < 2 {
		t.Errorf("leased %v; the other run was leased %d times beside the one that costs workers", w, meanwhile)
	}
}

func TestAWorkersKeyOpensNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t, executed(t, training.External))
	s.add("tickets", lines(tickets(300, 1)))
	run := s.starts(onDataset("tickets", 1))
	h := s.hand()
	w := h.lease()
	ctx := t.Context()
	runs, models := trainingv1.NewRunServiceClient(h.conn), modelsv1.NewModelServiceClient(h.conn)
	for what, call := range map[string]func() error{
		"GetRun":         func() error { _, err := runs.GetRun(ctx, &trainingv1.GetRunRequest{RunId: run}); return err },
		"CancelRun":      func() error { _, err := runs.CancelRun(ctx, &trainingv1.CancelRunRequest{RunId: run}); return err },
		"ListModels":     func() error { _, err := models.ListModels(ctx, &modelsv1.ListModelsRequest{}); return err },
		"another lease":  func() error { _, err := h.read("0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42", "dataset"); return err },
		"another input":  func() error { _, err := h.read(w.GetLeaseId(), "champion"); return err },
		"a wrong digest": func() error { return h.write(w.GetLeaseId(), []byte("one"), []byte("two")) },
		"ExportDataset": func() error {
			stream, err := trainingv1.NewDatasetServiceClient(h.conn).ExportDataset(ctx, &trainingv1.ExportDatasetRequest{Name: "tickets", Version: 1})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		want := map[string]string{"another lease": "NOT_FOUND", "another input": "NOT_FOUND", "a wrong digest": "INVALID_ARGUMENT"}[what]
		if want == "" {
			want = "SCOPE_MISSING"
		}
		if got := reasonOf(call()); got != want {
			t.Errorf("%s: %q, want %s", what, got, want)
		}
	}
	for _, scope := range []string{"training:write", "models:write", "platform:serve"} {
		_, err := s.hand(scope).LeaseWork(ctx, &trainingv1.LeaseWorkRequest{Worker: "x"})
		if got := reasonOf(err); got != "SCOPE_MISSING" {
			t.Errorf("a key with %s leases work: %q", scope, got)
		}
	}
}

// sibling makes another project and returns a system that calls as it.
func (s *system) sibling(name string) *system {
	s.t.Helper()
	r, err := identityv1.NewIdentityServiceClient(s.conn).CreateProject(s.t.Context(), &identityv1.CreateProjectRequest{Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	conn := s.Dial(r.GetSecret())
	return &system{s.System, s.t, conn, trainingv1.NewDatasetServiceClient(conn), trainingv1.NewRunServiceClient(conn), modelsv1.NewModelServiceClient(conn)}
}

func TestAWorkersKeyOpensTheWorkOfItsOwnProjectOnly(t *testing.T) {
	t.Parallel()
	a := start(t, executed(t, training.External))
	b := a.sibling("tenant-b")
	projects := []*system{a, b}
	workers, runs, works := make([]*hand, 2), make([]string, 2), make([]*trainingv1.Work, 2)
	for i, s := range projects {
		s.add("tickets", lines(tickets(300, 1)))
		runs[i], workers[i] = s.starts(onDataset("tickets", 1)), s.hand("training:work")
	}
	for i, h := range workers {
		works[i] = h.lease()
		if works[i].GetRunId() != runs[i] {
			t.Fatalf("project %d: leased run %s, want its own %s", i, works[i].GetRunId(), runs[i])
		}
		if w, err := h.LeaseWork(t.Context(), &trainingv1.LeaseWorkRequest{Worker: "hand", Wait: durationpb.New(300 * time.Millisecond)}); err != nil || w.GetWork() != nil {
			t.Errorf("project %d: leased %v beside its only run: %v", i, w.GetWork(), err)
		}
	}
	made := runs[0] + "." + strings.Repeat("A", 26) // of a run that is there, and a lease that never was
	for i, h := range workers {
		for call, reason := range h.calls(works[1-i]) {
			if reason != "NOT_FOUND" {
				t.Errorf("%s under a lease of the other project: %q", call, reason)
			}
		}
		if _, err := h.ExtendWork(t.Context(), &trainingv1.ExtendWorkRequest{LeaseId: works[i].GetLeaseId()}); err != nil {
			t.Errorf("project %d: its own lease: %v", i, err)
		}
	}
	if _, err := workers[1].read(made, "dataset"); reasonOf(err) != "NOT_FOUND" {
		t.Errorf("a made-up lease of the other project's run: %v", err)
	}
	// What the other project tried changed nothing; the steps go on under a key of the project or of the installation.
	for i, h := range workers {
		if _, err := h.CompleteStep(t.Context(), &trainingv1.CompleteStepRequest{LeaseId: works[i].GetLeaseId(), OutputJson: `{"Noise": {}}`}); err != nil {
			t.Fatal(err)
		}
		for call, reason := range h.calls(works[i]) {
			if reason != "LEASE_LOST" {
				t.Errorf("%s after the step: %q", call, reason)
			}
		}
	}
	everywhere, seen := a.hand("platform:train"), map[string]bool{}
	for range 2 {
		w := everywhere.lease()
		if seen[w.GetRunId()] = true; w.GetStep() != trainingv1.RunStep_RUN_STEP_SEARCH {
			t.Errorf("leased %v", w)
		}
	}
	if !seen[runs[0]] || !seen[runs[1]] {
		t.Errorf("a key of the installation leased %v, want both of %v", seen, runs)
	}
	if got := reasonOf(func() error {
		_, err := identityv1.NewIdentityServiceClient(b.conn).CreateKey(t.Context(), &identityv1.CreateKeyRequest{Name: "x", Scopes: []string{"platform:train"}})
		return err
	}()); got != "SCOPE_MISSING" {
		t.Errorf("a project makes a key for the whole installation: %q", got)
	}
}

func TestAWorkerOfAProjectHearsOfWorkWhileItWaits(t *testing.T) {
	t.Parallel()
	s := start(t, executed(t, training.External))
	s.add("tickets", lines(tickets(300, 1)))
	for _, scope := range []string{"training:work", "platform:train"} {
		h, got := s.hand(scope), make(chan *trainingv1.Work, 1)
		go func() {
			r, err := h.LeaseWork(t.Context(), &trainingv1.LeaseWorkRequest{Worker: "hand", Wait: durationpb.New(20 * time.Second)})
			if err != nil {
				t.Error(err)
			}
			got <- r.GetWork()
		}()
		time.Sleep(300 * time.Millisecond) // so that it has looked in vain
		run := s.starts(onDataset("tickets", 1))
		if w := <-got; w.GetRunId() != run {
			t.Errorf("%s: one call that waited leased %v, want run %s", scope, w, run)
		}
	}
}

// TestWorkersOfProjectsCarryOutWholeRuns has two workers, each of one project, beside each other.
func TestWorkersOfProjectsCarryOutWholeRuns(t *testing.T) {
	t.Parallel()
	a := start(t, executed(t, training.External))
	b := a.sibling("tenant-b")
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer running.Wait()
	defer stop()
	var ids []string
	for i, s := range []*system{a, b} {
		s.add("tickets", lines(tickets(300, 1)))
		worker := training.NewWorker(training.WorkerDeps{Client: s.hand("training:work"), Name: fmt.Sprintf("worker-%d", i)})
		running.Go(func() {
			if err := worker.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		ids = append(ids, s.starts(onDataset("tickets", 1)))
	}
	for i, s := range []*system{a, b} {
		r := s.wait(ids[i])
		if r.GetArtifactDigest() == "" {
			t.Fatalf("run of project %d: %v", i, r)
		}
		stream, err := s.runs.WatchRun(t.Context(), &trainingv1.WatchRunRequest{RunId: ids[i]})
		if err != nil {
			t.Fatal(err)
		}
		var log []string
		for m, err := stream.Recv(); err == nil; m, err = stream.Recv() {
			for _, l := range m.GetLines() {
				log = append(log, l.GetMessage())
			}
		}
		for _, step := range []string{"inspect", "search", "train", "evaluate"} {
			want := fmt.Sprintf("step %s is carried out by worker worker-%d", step, i)
			if !slices.Contains(log, want) {
				t.Errorf("the log of project %d does not say %q: %q", i, want, log)
			}
		}
	}
}

func TestWhatIsNoOutputIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, executed(t, training.External))
	s.add("tickets", lines(tickets(300, 1)))
	s.starts(onDataset("tickets", 1))
	h := s.hand()
	for w := h.lease(); ; w = h.lease() {
		bad := []string{`{"Nois": 1}`, `[]`, `{} {}`, `not JSON`}
		if w.GetStep() == train {
			bad = append(bad, `{}`, `{"Artifact": "../../x", "Result": "x"}`, `{"Artifact": "sha256:`+strings.Repeat("0", 64)+`", "Result": "sha256:`+strings.Repeat("0", 64)+`"}`)
		}
		for _, text := range bad {
			_, err := h.CompleteStep(t.Context(), &trainingv1.CompleteStepRequest{LeaseId: w.GetLeaseId(), OutputJson: text})
			if got := reasonOf(err); got != "INVALID_ARGUMENT" {
				t.Errorf("%s completes step %s: %q", text, w.GetStep(), got)
			}
		}
		if w.GetStep() == train {
			break
		}
		good := map[trainingv1.RunStep]string{inspect: `{"Noise": {}}`}[w.GetStep()]
		if good == "" {
			good = `{}`
		}
		if _, err := h.CompleteStep(t.Context(), &trainingv1.CompleteStepRequest{LeaseId: w.GetLeaseId(), OutputJson: good}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWorkerHearsThatItsRunWasCancelled(t *testing.T) {
	t.Parallel()
	s := start(t, executed(t, training.External))
	s.add("tickets", lines(tickets(300, 1)))
	run := s.starts(onDataset("tickets", 1))
	h := s.hand()
	w := h.lease()
	if _, err := s.runs.CancelRun(t.Context(), &trainingv1.CancelRunRequest{RunId: run}); err != nil {
		t.Fatal(err)
	}
	for call, reason := range h.calls(w) {
		if reason != "LEASE_LOST" {
			t.Errorf("%s after the end: %q", call, reason)
		}
	}
}

func TestWhatPassesIsTriedAgainAndWhatDoesNotEndsTheRun(t *testing.T) {
	t.Parallel()
	s := start(t, executed(t, training.External))
	s.add("tickets", lines(tickets(300, 1)))
	run := s.starts(onDataset("tickets", 1))
	h := s.hand()
	fail := func(w *trainingv1.Work, reason string) {
		t.Helper()
		if _, err := h.FailStep(t.Context(), &trainingv1.FailStepRequest{LeaseId: w.GetLeaseId(), Problem: &commonv1.ItemError{Reason: reason, Message: "says the worker"}}); err != nil {
			t.Fatal(err)
		}
	}
	fail(h.lease(), "STORAGE_FULL")
	again := h.lease() // after a pause
	if again.GetAttempt() != 2 {
		t.Errorf("attempt %d", again.GetAttempt())
	}
	fail(again, "INVALID_ARGUMENT")
	if got := s.wait(run); got.GetState() != trainingv1.RunState_RUN_STATE_FAILED || got.GetProblem().GetReason() != "INVALID_ARGUMENT" || got.GetProblem().GetMessage() != "says the worker" {
		t.Errorf("%v", got)
	}
}

func TestWorkersTakeOnlyWhatTheyCanDo(t *testing.T) {
	t.Parallel()
	s := start(t, executed(t, training.External))
	s.add("tickets", lines(tickets(300, 1)))
	s.starts(onDataset("tickets", 1))
	h := s.hand()
	first := h.lease()
	if _, err := h.FailStep(t.Context(), &trainingv1.FailStepRequest{LeaseId: first.GetLeaseId(), GiveBack: true}); err != nil {
		t.Fatal(err)
	}
	for _, req := range []*trainingv1.LeaseWorkRequest{
		{Worker: "x", Steps: []trainingv1.RunStep{train}, Wait: durationpb.New(300 * time.Millisecond)},
		{Worker: "x", Operations: []commonv1.Operation{commonv1.Operation_OPERATION_MODERATION}, Wait: durationpb.New(300 * time.Millisecond)},
	} {
		if r, err := h.LeaseWork(t.Context(), req); err != nil || r.GetWork() != nil {
			t.Errorf("%v: leased %v: %v", req, r.GetWork(), err)
		}
	}
	if w := h.lease(inspect); w.GetAttempt() != 2 {
		t.Errorf("leased %v", w)
	}
	if _, err := h.LeaseWork(t.Context(), &trainingv1.LeaseWorkRequest{Worker: "x", Steps: []trainingv1.RunStep{trainingv1.RunStep_RUN_STEP_PROMOTE}}); reasonOf(err) != "INVALID_ARGUMENT" {
		t.Errorf("a worker wants to promote: %v", err)
	}
}

func TestAServerThatTrainsItselfGivesNoWork(t *testing.T) {
	t.Parallel()
	s := start(t)
	if _, err := s.hand().LeaseWork(t.Context(), &trainingv1.LeaseWorkRequest{Worker: "x"}); reasonOf(err) != "UNIMPLEMENTED" {
		t.Errorf("%v", err)
	}
}

// TestWhoeverCarriesOutAStepComesToTheSameBytes runs the same two specifications, the second one beside a version that answers, in the server, by workers, and by the server for want of workers.
func TestWhoeverCarriesOutAStepComesToTheSameBytes(t *testing.T) {
	trains(t)
	t.Parallel()
	var want []*trainingv1.Run
	for _, by := range []string{training.InProcess, training.External, training.Both} {
		s := start(t, executed(t, by))
		s.add("tickets", lines(tickets(900, 1)))
		s.add("more", lines(tickets(1200, 2)))
		if by == training.External {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			worker := training.NewWorker(training.WorkerDeps{Client: s.hand(), Name: "worker-1", Slots: 2})
			go func() { ended <- worker.Run(ctx) }()
			defer func() {
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}()
		}
		second := onDataset("more", 1)
		second.Evaluation, second.Golden = &trainingv1.DatasetRef{Name: "tickets"}, &trainingv1.DatasetRef{Name: "more"}
		second.Gates = &trainingv1.GatePolicy{MinGolden: 0.5}
		got := []*trainingv1.Run{s.run(searching()), s.run(second)}
		if want == nil {
			want = got
		}
		for i, r := range got {
			w := want[i]
			if r.GetState() != w.GetState() || r.GetArtifactDigest() != w.GetArtifactDigest() || r.GetArtifactDigest() == "" || r.GetChampionVersion() != w.GetChampionVersion() || r.GetStatement() != w.GetStatement() {
				t.Errorf("%s, run %d: %v\nin the server: %v", by, i, r, w)
			}
			said := func(a, b *trainingv1.StepStatus) bool {
				return a.GetSummary() == b.GetSummary() && b.GetAttempts() == 1
			}
			if !slices.EqualFunc(w.GetSteps(), r.GetSteps(), said) {
				t.Errorf("%s, run %d, steps: %v\nin the server: %v", by, i, r.GetSteps(), w.GetSteps())
			}
		}
		s.Stop()
	}
	if want[1].GetChampionVersion() == 0 {
		t.Error("the second run had no champion to be compared with")
	}
}
