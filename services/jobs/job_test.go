package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// product is the whole product with jobs in it: jobs ask real operations.
type product struct {
	jobsv1.JobServiceClient
	system *testkit.System
	tb     testing.TB
}

func begin(tb testing.TB, options ...testkit.Option) *product {
	tb.Helper()
	s := testkit.Start(tb, options...)
	conn := s.Dial(s.Key)
	testkit.Deploy(tb, conn, "support", testkit.Support, true)
	testkit.Deploy(tb, conn, "comments", testkit.Comments, true)
	testkit.Deploy(tb, conn, "topics", testkit.Topics, true)
	testkit.Deploy(tb, conn, "expenses", testkit.Expenses, true)
	return &product{jobsv1.NewJobServiceClient(conn), s, tb}
}

func (p *product) submit(spec *jobsv1.JobSpec, pieces ...string) (*jobsv1.Job, error) {
	stream, err := p.SubmitBatch(context.Background())
	if err != nil {
		return nil, err
	}
	_ = stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Spec{Spec: spec}})
	for _, piece := range pieces {
		if stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Lines{Lines: []byte(piece)}}) != nil {
			break // CloseAndRecv says why
		}
	}
	r, err := stream.CloseAndRecv()
	return r.GetJob(), err
}

func (p *product) mustSubmit(spec *jobsv1.JobSpec, pieces ...string) *jobsv1.Job {
	p.tb.Helper()
	j, err := p.submit(spec, pieces...)
	must(p.tb, err)
	return j
}

func (p *product) waitFor(id string, state jobsv1.JobState) *jobsv1.Job {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := p.WatchJob(ctx, &jobsv1.WatchJobRequest{JobId: id})
	must(p.tb, err)
	var last *jobsv1.Job
	for {
		m, err := stream.Recv()
		if err != nil {
			p.tb.Fatalf("watch ended with %v; the job was %v", err, last)
		}
		if last = m.GetJob(); last.GetState() == state {
			return last
		}
	}
}

func (p *product) results(req *jobsv1.StreamResultsRequest) []*jobsv1.JobResult {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := p.StreamResults(ctx, req)
	must(p.tb, err)
	var out []*jobsv1.JobResult
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		must(p.tb, err)
		out = append(out, m.GetResults()...)
	}
}

func (p *product) download(id string, format jobsv1.ResultFormat) []byte {
	p.tb.Helper()
	stream, err := p.DownloadResults(context.Background(), &jobsv1.DownloadResultsRequest{JobId: id, Format: format})
	must(p.tb, err)
	var out []byte
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		must(p.tb, err)
		out = append(out, m.GetData()...)
	}
}

// inquiries are lines of a routing job.
func inquiries(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"body":"my printer number %d does not print","inquiryId":"i-%d"}`+"\n", i, i)
	}
	return b.String()
}

func routingSpec(id string) *jobsv1.JobSpec {
	return &jobsv1.JobSpec{JobId: id, Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support"}
}

func TestAJobDecidesAboutEachItemAndSaysWhatItCannot(t *testing.T) {
	t.Parallel()
	p := begin(t)
	text := inquiries(700) + "\n\n" + `this is no JSON` + "\n" + `{"body":""}` + "\n" + `{"body":"a last line without an end","label":"ignored"}`
	var pieces []string // that end anywhere
	for len(text) > 0 {
		n := min(len(text), 997)
		pieces, text = append(pieces, text[:n]), text[n:]
	}
	j := p.mustSubmit(routingSpec(""), pieces...)
	if j.GetItems() != 703 || j.GetState() != jobsv1.JobState_JOB_STATE_RUNNING || j.GetEstimate() == nil || j.GetJobId() == "" {
		t.Errorf("submitted %v", j)
	}
	results := p.results(&jobsv1.StreamResultsRequest{JobId: j.GetJobId()}) // follows the job
	if len(results) != 703 {
		t.Fatalf("%d results", len(results))
	}
	ids := map[string]bool{}
	for i, r := range results {
		if r.GetIndex() != int64(i) {
			t.Fatalf("result %d has index %d", i, r.GetIndex())
		}
		failed := i == 700 || i == 701
		if d := r.GetRouting().GetDecision(); (d == nil) != failed || (r.GetRouting().GetError() != nil) != failed {
			t.Errorf("item %d: %v", i, r)
		} else if d != nil {
			ids[d.GetDecisionId()] = true
		}
		if i < 700 && r.GetContentId() != fmt.Sprintf("i-%d", i) {
			t.Errorf("item %d has content id %q", i, r.GetContentId())
		}
	}
	if len(ids) != 701 {
		t.Errorf("%d ids of 701 decisions", len(ids))
	}
	done := p.waitFor(j.GetJobId(), jobsv1.JobState_JOB_STATE_DONE)
	if done.GetDecided() != 703 || done.GetFailed() != 2 || done.GetAutomated()+done.GetReview() != 701 || done.GetEndTime() == nil {
		t.Errorf("done: %v", done)
	}
	if got := p.results(&jobsv1.StreamResultsRequest{JobId: j.GetJobId(), First: 699}); len(got) != 4 || got[0].GetIndex() != 699 {
		t.Errorf("from 699 on: %v", got)
	}
	if got := p.results(&jobsv1.StreamResultsRequest{JobId: j.GetJobId(), ErrorsOnly: true}); len(got) != 2 || got[0].GetRouting().GetError().GetReason() != "MALFORMED_REQUEST" {
		t.Errorf("errors: %v", got)
	}
	if got := bytes.Count(p.download(j.GetJobId(), jobsv1.ResultFormat_RESULT_FORMAT_JSONL), []byte("\n")); got != 703 {
		t.Errorf("%d lines of JSON", got)
	}
	table := p.download(j.GetJobId(), jobsv1.ResultFormat_RESULT_FORMAT_PARQUET)
	f, err := parquet.OpenFile(bytes.NewReader(table), int64(len(table)))
	must(t, err)
	if f.NumRows() != 703 {
		t.Errorf("%d rows of Parquet", f.NumRows())
	}
	again := p.mustSubmit(&jobsv1.JobSpec{Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Paused: true}, inquiries(1000))
	if e := again.GetEstimate(); e.GetBasis() != 703 || e.GetDuration().AsDuration() <= 0 {
		t.Errorf("the estimate of a second job is %v, want one by the first job's items", e)
	}
}

func TestJobsAskEveryOperation(t *testing.T) {
	t.Parallel()
	p := begin(t)
	for name, c := range map[string]struct {
		operation  commonv1.Operation
		deployment string
		lines      string
	}{
		"moderation":     {commonv1.Operation_OPERATION_MODERATION, "comments", `{"text":"what a lovely day"}`},
		"classification": {commonv1.Operation_OPERATION_CLASSIFICATION, "topics", `{"text":"the match ended in a draw"}`},
	} {
		j := p.mustSubmit(&jobsv1.JobSpec{Operation: c.operation, Deployment: c.deployment}, c.lines)
		r := p.results(&jobsv1.StreamResultsRequest{JobId: j.GetJobId()})
		if len(r) != 1 || r[0].GetModeration().GetDecision() == nil && r[0].GetClassification().GetDecision() == nil {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestSubmittingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	p := begin(t)
	first := p.mustSubmit(routingSpec("mine"), inquiries(10))
	p.waitFor("mine", jobsv1.JobState_JOB_STATE_DONE)
	again := p.mustSubmit(routingSpec("mine"), inquiries(10)[:50], inquiries(10)[50:])
	if again.GetState() != jobsv1.JobState_JOB_STATE_DONE || !again.GetCreateTime().AsTime().Equal(first.GetCreateTime().AsTime()) {
		t.Errorf("again: %v, first %v", again, first)
	}
	_, err := p.submit(routingSpec("mine"), inquiries(11))
	wantReason(t, "another content", err, "ALREADY_EXISTS")
	list, err := p.ListJobs(t.Context(), &jobsv1.ListJobsRequest{})
	if err != nil || len(list.GetJobs()) != 1 {
		t.Errorf("list: %v %v", list, err)
	}
}

func TestBadJobsAreRefused(t *testing.T) {
	t.Parallel()
	p := begin(t)
	_, err := p.submit(routingSpec(""))
	wantReason(t, "no items", err, "INVALID_ARGUMENT")
	_, err = p.submit(routingSpec(""), strings.Repeat("x", 1<<20)+"y\n")
	wantReason(t, "a long line", err, "INVALID_ARGUMENT")
	_, err = p.submit(nil, "{}")
	wantReason(t, "no specification", err, "INVALID_ARGUMENT")
	narrow, _ := testkit.NewKey(t, p.system.Dial(p.system.Key), "narrow", 0, "jobs:submit", "moderation:decide")
	other := &product{jobsv1.NewJobServiceClient(p.system.Dial(narrow)), p.system, t}
	_, err = other.submit(routingSpec(""), inquiries(1))
	wantReason(t, "a key without the scope of the operation", err, "SCOPE_MISSING")
	stranger := jobsv1.NewJobServiceClient(p.system.Dial(testkit.NewProject(t, p.system.Dial(p.system.Key), "other")))
	p.mustSubmit(routingSpec("mine"), inquiries(1))
	_, err = stranger.CancelJob(t.Context(), &jobsv1.CancelJobRequest{JobId: "mine"})
	wantReason(t, "another project's job", err, "NOT_FOUND")
}

func TestAJobThatCannotGoOnIsPausedAndSaysWhy(t *testing.T) {
	t.Parallel()
	p := begin(t)
	spec := routingSpec("early")
	spec.Deployment = "later"
	p.mustSubmit(spec, inquiries(5))
	paused := p.waitFor("early", jobsv1.JobState_JOB_STATE_PAUSED)
	if paused.GetProblem().GetReason() != "DEPLOYMENT_NOT_FOUND" {
		t.Errorf("problem: %v", paused.GetProblem())
	}
	testkit.Deploy(t, p.system.Dial(p.system.Key), "later", testkit.Support, true)
	_, err := p.ResumeJob(t.Context(), &jobsv1.ResumeJobRequest{JobId: "early"})
	must(t, err)
	if done := p.waitFor("early", jobsv1.JobState_JOB_STATE_DONE); done.GetFailed() != 0 || done.GetProblem() != nil {
		t.Errorf("done: %v", done)
	}
}

func TestAJobCanBePausedResumedAndCancelled(t *testing.T) {
	t.Parallel()
	p := begin(t)
	spec := routingSpec("slow")
	spec.Paused = true
	p.mustSubmit(spec, inquiries(20_000))
	if got, err := p.GetJob(t.Context(), &jobsv1.GetJobRequest{JobId: "slow"}); err != nil || got.GetJob().GetDecided() != 0 {
		t.Errorf("a job that was submitted paused: %v %v", got, err)
	}
	_, err := p.ResumeJob(t.Context(), &jobsv1.ResumeJobRequest{JobId: "slow"})
	must(t, err)
	_, err = p.PauseJob(t.Context(), &jobsv1.PauseJobRequest{JobId: "slow"})
	must(t, err)
	p.waitFor("slow", jobsv1.JobState_JOB_STATE_PAUSED)
	_, err = p.ResumeJob(t.Context(), &jobsv1.ResumeJobRequest{JobId: "slow"})
	must(t, err)
	cancelled, err := p.CancelJob(t.Context(), &jobsv1.CancelJobRequest{JobId: "slow"})
	if err != nil || cancelled.GetJob().GetState() != jobsv1.JobState_JOB_STATE_CANCELLED {
		t.Fatalf("cancel: %v %v", cancelled, err)
	}
	_, err = p.ResumeJob(t.Context(), &jobsv1.ResumeJobRequest{JobId: "slow"})
	must(t, err) // does nothing
	if got := p.waitFor("slow", jobsv1.JobState_JOB_STATE_CANCELLED); got.GetDecided() == got.GetItems() {
		t.Errorf("it ran to its end: %v", got)
	}
	p.results(&jobsv1.StreamResultsRequest{JobId: "slow"}) // ends
}

func TestTwoProjectsTakeTurns(t *testing.T) {
	t.Parallel()
	p := begin(t, shortSlices)
	conn := p.system.Dial(testkit.NewProject(t, p.system.Dial(p.system.Key), "other"))
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	second := &product{jobsv1.NewJobServiceClient(conn), p.system, t}
	p.mustSubmit(routingSpec("large"), inquiries(40_000))
	second.mustSubmit(routingSpec("small"), inquiries(500))
	second.waitFor("small", jobsv1.JobState_JOB_STATE_DONE)
	if got, err := p.GetJob(t.Context(), &jobsv1.GetJobRequest{JobId: "large"}); err != nil || got.GetJob().GetState() == jobsv1.JobState_JOB_STATE_DONE {
		t.Errorf("the small job waited for the large one: %v %v", got, err)
	}
	_, err := p.CancelJob(t.Context(), &jobsv1.CancelJobRequest{JobId: "large"})
	must(t, err)
}

func TestAJobWhoseFilesAreDamagedHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := begin(t, keepIn(dir))
	spec := routingSpec("bad")
	spec.Paused = true
	p.mustSubmit(spec, inquiries(600))
	files, err := filepath.Glob(filepath.Join(dir, "jobs", "*", "items"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	must(t, err)
	data[len(data)-10] ^= 1
	must(t, os.WriteFile(files[0], data, 0o600))
	_, err = p.ResumeJob(t.Context(), &jobsv1.ResumeJobRequest{JobId: "bad"})
	must(t, err)
	got := p.waitFor("bad", jobsv1.JobState_JOB_STATE_PAUSED)
	if got.GetDecided() == 0 || got.GetProblem() == nil {
		t.Errorf("a flipped bit in the last frame: %v", got)
	}
	p.mustSubmit(routingSpec("good"), inquiries(10))
	p.waitFor("good", jobsv1.JobState_JOB_STATE_DONE)
}

func shortSlices(c *app.Config) { c.Jobs.Batches.Slice = 10 * time.Millisecond }

func keepIn(dir string) testkit.Option { return func(c *app.Config) { c.DataDir = dir } }
