package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// smallDisk mounts a file system of its own for a test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	mount := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", mount).CombinedOutput(); err != nil {
		t.Skipf("no small file system can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = syscall.Unmount(mount, syscall.MNT_DETACH) })
	return mount
}

// refusal returns the typed reason of an error, "" for nil.
func refusal(err error) string {
	if err == nil {
		return ""
	}
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return status.Code(err).String() + " " + info.GetReason()
		}
	}
	return err.Error()
}

const (
	diskFull = "ResourceExhausted STORAGE_FULL"
	timedOut = "DeadlineExceeded DEADLINE_EXCEEDED"
)

// TestEverythingThatIsAcknowledgedOnADiskThatIsFull fills the disk under a server that takes decisions, verdicts, feedback, tasks and jobs, and runs one. Every write is
// either done or refused with STORAGE_FULL; a deployment whose policy says so decides all the same; at most 5 s after the room returns everything works
// again, by itself; and what was acknowledged is there, once, also in the lake.
func TestEverythingThatIsAcknowledgedOnADiskThatIsFull(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs with the measurements")
	}
	t.Parallel()
	mount := smallDisk(t, "768m") // more than what is written meanwhile
	dir := filepath.Join(mount, "data")
	s := startWith(t, process.Options{
		DataDir: dir, KeyFile: filepath.Join(t.TempDir(), "key"), Args: []string{"--socket", "none"},
		Env: []string{"SWITCHYARD_LAKE_FLUSH=200ms", "SWITCHYARD_JOURNAL_ASYNC_BYTES=33554432"},
	})
	p := partsOf(dial(t, s, s.Key))
	prepare(t, p)
	loose(t, p)
	b := newBook()
	writes := b.writes(t, p)
	for _, w := range writes {
		if err := w.do(t.Context()); err != nil {
			t.Fatalf("%s before the disk is full: %v", w.name, err)
		}
	}
	running := &jobsv1.JobSpec{JobId: "running", Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support"}
	var lines strings.Builder
	for i := range 15_000 {
		fmt.Fprintf(&lines, `{"body":"printer %d"}`+"\n", i)
	}
	submitJob(t, p.jobs, running, lines.String())

	filler := filepath.Join(mount, "filler")
	var mu sync.Mutex
	seen := map[string]map[string]int{}
	for _, w := range writes {
		seen[w.name] = map[string]int{}
	}
	until := time.Now().Add(4 * time.Second) // much longer would fill it with what is written
	var writers sync.WaitGroup
	for _, w := range writes {
		writers.Go(func() {
			for time.Now().Before(until) {
				err := w.do(t.Context())
				mu.Lock()
				seen[w.name][refusal(err)]++
				mu.Unlock()
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for time.Now().Before(until) {
		fill(t, filler) // again and again: the server gives back room while it tries
		time.Sleep(2 * time.Millisecond)
	}
	writers.Wait()
	for _, w := range writes {
		for reason, n := range seen[w.name] {
			// A busy machine may take longer than the caller waits: then nothing was acknowledged.
			if reason != "" && reason != timedOut && (reason != diskFull || w.mayNotFail) {
				t.Errorf("%s on a full disk: %d times %s", w.name, n, reason)
			}
		}
		if !w.mayNotFail && seen[w.name][diskFull] == 0 {
			t.Errorf("%s never met the full disk: %v", w.name, seen[w.name])
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	for _, w := range writes {
		for {
			err := w.do(t.Context())
			if err == nil {
				break
			}
			if time.Since(back) > 5*time.Second {
				t.Errorf("%s is refused 5 s after the room has returned: %v", w.name, err)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	t.Logf("everything is written again after %v; answers while the disk was full: %v", time.Since(back).Round(time.Millisecond), seen)
	ids := map[string]bool{}
	checkRunning(t, p, ids, 15_000)
	b.checkFull(t, p, dir, ids)
	stop(t, s)
}

// write is one thing that is written again and again.
type write struct {
	name       string
	mayNotFail bool // by the policy of its deployment
	do         func(ctx context.Context) error
}

// loose makes a deployment that decides without waiting for the record.
func loose(t *testing.T, p *parts) {
	t.Helper()
	const op = commonv1.Operation_OPERATION_ROUTING
	r, err := p.models.GetDeployment(t.Context(), &modelsv1.GetDeploymentRequest{Operation: op, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	champion := r.GetDeployment().GetChampion()
	if _, err := p.models.Deploy(t.Context(), &modelsv1.DeployRequest{
		Operation: op, Deployment: "loose", Model: champion.GetModel(), Version: champion.GetVersion(),
		Policy: &modelsv1.Policy{Uncertified: modelsv1.Uncertified_UNCERTIFIED_AUTOMATE, Record: modelsv1.RecordMode_RECORD_MODE_ASYNC},
	}); err != nil {
		t.Fatal(err)
	}
}

// writes are all kinds of calls that are durable before they are answered, and one that is not.
func (b *book) writes(t *testing.T, p *parts) []write {
	t.Helper()
	// Items to judge are leased before: what is looked at is the verdict.
	for range 400 {
		if err := b.ask(t.Context(), p, question{b.name("support"), "support", 1}); err != nil {
			t.Fatal(err)
		}
	}
	held := make(chan *reviewv1.ReviewItem, 1000)
	eventually(t, "items are leased", 30*time.Second, func() bool {
		r, err := p.review.LeaseItems(t.Context(), &reviewv1.LeaseItemsRequest{Reviewer: "ann", MaxItems: 20, Lease: durationpb.New(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range r.GetItems() {
			held <- it
		}
		return len(held) >= 300
	})
	padding := strings.Repeat("x", 2000)
	_, known, _ := b.any()
	return []write{
		{name: "decision", do: func(ctx context.Context) error { return b.ask(ctx, p, question{b.name("support"), "support", 1}) }},
		{name: "decision without a record", mayNotFail: true, do: func(ctx context.Context) error {
			_, err := p.routing.RouteInquiry(ctx, looseInquiry)
			return err
		}},
		{name: "verdict", do: func(ctx context.Context) error {
			it := <-held
			err := b.judge(ctx, p, judgement{b.name("verdict"), &reviewv1.SubmitVerdictRequest{
				ItemId: it.GetItemId(), Reviewer: "ann", LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: it.GetSuggestedLabels(), Note: padding},
			}})
			if err != nil {
				held <- it
			}
			return err
		}},
		{name: "feedback", do: func(ctx context.Context) error { return b.tell(ctx, p, b.name("feedback"), known) }},
		{name: "task", do: func(ctx context.Context) error {
			id := b.name("task")
			_, err := p.tasks.PublishTask(ctx, &jobsv1.PublishTaskRequest{Queue: "work", TaskId: id, Body: []byte(padding)})
			if err == nil {
				b.tasks.mu.Lock()
				b.tasks.published[id] = true
				b.tasks.mu.Unlock()
			}
			return err
		}},
		{name: "job", do: func(ctx context.Context) error { return b.submit(ctx, p, b.name("job")) }},
	}
}

var looseInquiry = &routingv1.RouteInquiryRequest{Deployment: "loose", Body: "my printer does not work"}

// checkRunning waits for the job that ran when the disk was full, and notes its decisions. Nobody has resumed it.
func checkRunning(t *testing.T, p *parts, ids map[string]bool, items int64) {
	t.Helper()
	eventually(t, "the job that ran is done", 90*time.Second, func() bool {
		j, err := p.jobs.GetJob(t.Context(), &jobsv1.GetJobRequest{JobId: "running"})
		if err == nil && j.GetJob().GetState() == jobsv1.JobState_JOB_STATE_PAUSED {
			t.Fatalf("the job is paused: %v", j.GetJob().GetProblem())
		}
		return err == nil && j.GetJob().GetState() == jobsv1.JobState_JOB_STATE_DONE && j.GetJob().GetDecided() == items && j.GetJob().GetFailed() == 0
	})
	stream, err := p.jobs.StreamResults(t.Context(), &jobsv1.StreamResultsRequest{JobId: "running"})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range m.GetResults() {
			ids[r.GetRouting().GetDecision().GetDecisionId()] = true
		}
	}
	if len(ids) != int(items) {
		t.Errorf("%d results have %d decisions", items, len(ids))
	}
}

// checkFull looks for everything that was acknowledged; ids are decisions beside those of the book.
func (b *book) checkFull(t *testing.T, p *parts, dir string, ids map[string]bool) {
	t.Helper()
	b.settle(t, p)
	for id := range b.checkJobs(t, p) {
		ids[id] = true
	}
	b.checkVerdicts(t, p)
	b.checkTasks(t, p)
	for id := range b.decisions {
		ids[id] = true
	}
	for _, table := range []struct {
		name, key string
		want      map[string]bool
	}{{"decisions", "decision_id", ids}, {"verdicts", "verdict_id", valuesOf(b.verdicts)}, {"feedback", "feedback_id", keysOf(b.feedback)}} {
		wrong := 0
		rows := rowsOf(t, dir, table.name, table.key, len(table.want))
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); rows = rowsOf(t, dir, table.name, table.key, len(table.want)) {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(table.want)), func(id string) bool { return rows[id] == 0 }) {
				break
			}
		}
		for id := range table.want {
			if rows[id] != 1 {
				wrong++
			}
		}
		t.Logf("lake/%s: %d acknowledged, %d of them missing or twice", table.name, len(table.want), wrong)
		if wrong > 0 {
			t.Fail()
		}
	}
}

func valuesOf(m map[string]string) map[string]bool {
	out := map[string]bool{}
	for _, v := range m {
		out[v] = true
	}
	return out
}

func keysOf(m map[string]string) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}
