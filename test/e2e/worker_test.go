package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// shop is a server that gives its training to workers, with what the tests ask of it.
type shop struct {
	*process.Server
	t    *testing.T
	runs trainingv1.RunServiceClient
	key  string // file with the key of the workers
}

// training are the variables of a server that trains by others.
func training(execution, lease string) []string {
	return []string{
		"SWITCHYARD_TRAINING_EXECUTION=" + execution, "SWITCHYARD_TRAINING_LEASE=" + lease, "SWITCHYARD_TRAINING_MAX_DELIVERIES=2",
		"SWITCHYARD_TRAINING_POLL_INTERVAL=100ms",
	}
}

// openShop starts a server on a folder, with a data set where it has none yet.
func openShop(t *testing.T, dir string, env []string, args ...string) *shop {
	t.Helper()
	s := &shop{Server: startWith(t, process.Options{DataDir: dir, Args: append([]string{"--socket", "none", "--no-starter"}, args...), Env: env}), t: t, key: dir + ".worker.key"}
	s.runs = trainingv1.NewRunServiceClient(dial(t, s.Server, s.Key))
	if _, err := os.Stat(s.key); err == nil {
		return s
	}
	key, _, err := s.Command(t.Context(), binary, "keys", "create", "workers", "--scope", "training:work")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.key, key, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(dir), "tickets.jsonl")
	// A third of the labels are turned, so that there is something to search for and candidates differ.
	lines := bytes.Split(bytes.TrimSpace(tickets(1500)), []byte("\n"))
	for i := 0; i < len(lines); i += 7 {
		lines[i] = bytes.ReplaceAll(lines[i], []byte(`"label":"hardware"`), []byte(`"label":"billing"`))
	}
	if err := os.WriteFile(file, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Command(t.Context(), binary, "datasets", "import", "tickets", file, "--operation", "routing", "--deployment", "helpdesk"); err != nil {
		t.Fatal(err)
	}
	return s
}

// begin starts a run that searches for a while.
func (s *shop) begin(trials int32) string {
	s.t.Helper()
	r, err := s.runs.StartRun(s.t.Context(), &trainingv1.StartRunRequest{Spec: &trainingv1.RunSpec{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "helpdesk", RegisterOnly: true, Training: &trainingv1.TrainingSpec{Buckets: 1 << 14},
		Data:   &trainingv1.RunSpec_Dataset{Dataset: &trainingv1.DatasetRef{Name: "tickets"}},
		Search: &trainingv1.SearchSpec{MaxTrials: trials, TimeBudget: durationpb.New(time.Hour)},
		Gates:  &trainingv1.GatePolicy{MaxLabelNoise: 0.9},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.GetRun().GetRunId()
}

// watch follows a run until its log has a line, or until it ends when that is empty. It returns the run and its log so far.
func (s *shop) watch(run, until string) (*trainingv1.Run, []string) {
	s.t.Helper()
	stream, err := s.runs.WatchRun(s.t.Context(), &trainingv1.WatchRunRequest{RunId: run})
	if err != nil {
		s.t.Fatal(err)
	}
	var last *trainingv1.Run
	var log []string
	for {
		m, err := stream.Recv()
		if err != nil {
			break
		}
		last = m.GetRun()
		for _, l := range m.GetLines() {
			if log = append(log, l.GetMessage()); until != "" && strings.Contains(l.GetMessage(), until) {
				return last, log
			}
		}
	}
	if until != "" {
		s.t.Fatalf("run %s ended before %q: %v\n%s", run, until, last, strings.Join(log, "\n"))
	}
	return last, log
}

// worker starts a worker process.
func (s *shop) worker(name string) *process.Background {
	s.t.Helper()
	w, err := process.Spawn(s.t.Context(), binary, "worker", "--server", s.GRPC, "--key-file", s.key, "--name", name)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		w.Kill()
		if s.t.Failed() {
			s.t.Logf("log of worker %s:\n%s", name, last(w.Stderr(), 4000))
		}
	})
	return w
}

// succeeded checks the end of a run and how often its search was begun.
func succeeded(t *testing.T, r *trainingv1.Run, searches int32) {
	t.Helper()
	if r.GetState() != trainingv1.RunState_RUN_STATE_SUCCEEDED || r.GetArtifactDigest() == "" {
		t.Fatalf("the run ended so: %v", r)
	}
	for _, st := range r.GetSteps() {
		want := int32(1)
		if st.GetStep() == trainingv1.RunStep_RUN_STEP_SEARCH {
			want = searches
		}
		if st.GetAttempts() != want {
			t.Errorf("step %s was begun %d times, want %d", st.GetStep(), st.GetAttempts(), want)
		}
	}
}

// trialsOf counts the lines about measured candidates: one that was measured before a crash is not measured again.
func trialsOf(log []string) (n int) {
	for _, l := range log {
		if strings.HasPrefix(l, "candidate ") && strings.Contains(l, "accuracy") {
			n++
		}
	}
	return n
}

const trials = 6

// TestWorkersComeAndGo trains once in the server. Then workers do it: one is killed in its work and another goes on; one is told to stop; one is frozen until its lease has ended; and
// the server is killed beside one. Each time the same bytes come out.
func TestWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := openShop(t, dir, training("in-process", "15s"))
	want, _ := s.watch(s.begin(trials), "")
	succeeded(t, want, 1)
	stop(t, s.Server)
	same := func(got *trainingv1.Run) {
		t.Helper()
		if got.GetArtifactDigest() != want.GetArtifactDigest() {
			t.Errorf("artifact %s, in the server %s", got.GetArtifactDigest(), want.GetArtifactDigest())
		}
	}

	// Killed: the lease has to end.
	s = openShop(t, dir, training("external", "2s"))
	a, run := s.worker("a"), s.begin(trials)
	s.watch(run, "candidate 2: ")
	a.Kill()
	b := s.worker("b")
	got, log := s.watch(run, "")
	succeeded(t, got, 2)
	same(got)
	if n := trialsOf(log); n < trials || n > trials+1 {
		t.Errorf("%d candidates were measured, want %d and at most the one that was lost", n, trials)
	}
	for _, who := range []string{"step search is carried out by worker a", "step search is carried out by worker b", "step evaluate is carried out by worker b"} {
		if !slices.Contains(log, who) {
			t.Errorf("the log does not say %q:\n%s", who, strings.Join(log, "\n"))
		}
	}

	// Frozen: another one has it when the worker wakes up, and what it did does not count.
	run = s.begin(trials)
	s.watch(run, "candidate 2: ")
	if err := b.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c := s.worker("c")
	s.watch(run, "step search is carried out by worker c")
	if err := b.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	got, _ = s.watch(run, "")
	succeeded(t, got, 2)
	same(got)
	eventually(t, "the worker that woke up knows that its work does not count", 20*time.Second, func() bool { return strings.Contains(b.Stderr(), "not this worker's any more") })
	for _, w := range []*process.Background{b, c} { // idle ones end at once
		ends(t, w)
	}
	grpc := s.GRPC
	stop(t, s.Server)

	// Told to stop: nobody waits for the end of the lease, which is minutes away.
	s = openShop(t, dir, training("external", "5m"), "--grpc", grpc)
	d := s.worker("d")
	run = s.begin(trials)
	s.watch(run, "candidate 2: ")
	ends(t, d)
	e := s.worker("e")
	s.watch(run, "candidate 4: ")

	// The server is killed: the worker goes on with what it has.
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	s = openShop(t, dir, training("external", "5m"), "--grpc", grpc)
	got, log = s.watch(run, "")
	succeeded(t, got, 2)
	same(got)
	if !slices.Contains(log, "given back: the worker stops") {
		t.Errorf("the log does not say that the step was given back:\n%s", strings.Join(log, "\n"))
	}
	ends(t, e)
}

// ends tells a worker to stop, which it does in order and soon.
func ends(t *testing.T, w *process.Background) {
	t.Helper()
	if err := w.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := w.Wait(10 * time.Second); err != nil {
		t.Errorf("a worker that was told to stop: %v\n%s", err, w.Stderr())
	}
}

// TestARunThatKillsItsWorkersFailsAndHoldsUpNobody kills each worker that takes the first run, as a run does that needs more memory than there is.
func TestARunThatKillsItsWorkersFailsAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := openShop(t, filepath.Join(t.TempDir(), "data"), training("external", "1s"))
	poison := s.begin(100)
	for i := range 2 {
		name := fmt.Sprintf("victim-%d", i)
		w := s.worker(name)
		s.watch(poison, "step search is carried out by worker "+name)
		w.Kill()
	}
	good := s.begin(1)
	s.worker("survivor")
	got, _ := s.watch(poison, "")
	if got.GetState() != trainingv1.RunState_RUN_STATE_FAILED || got.GetProblem().GetReason() != "WORKERS_LOST" {
		t.Errorf("the run that kills its workers ended so: %v", got)
	}
	other, _ := s.watch(good, "")
	succeeded(t, other, 1)
}

func TestAServerTakesOverFromItsWorkersWhereItMay(t *testing.T) {
	t.Parallel()
	s := openShop(t, filepath.Join(t.TempDir(), "data"), training("both", "1s"))
	w := s.worker("a")
	eventually(t, "the worker is there", 20*time.Second, func() bool { return strings.Contains(w.Stderr(), "worker started") })
	run := s.begin(trials)
	s.watch(run, "step search is carried out by worker a")
	w.Kill()
	got, log := s.watch(run, "")
	succeeded(t, got, 2)
	if n := trialsOf(log); n < trials || n > trials+1 {
		t.Errorf("%d candidates were measured, want %d and at most the one that was lost", n, trials)
	}
}
