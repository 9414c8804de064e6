package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// check asks again what is open and compares what callers were told with what is there.
func (b *book) check(t *testing.T, s *process.Server, dir string, kills, early int) {
	t.Helper()
	conn := dial(t, s, s.Key)
	p := partsOf(conn)
	repeated := b.settle(t, p)
	for _, what := range b.changed {
		t.Errorf("a repeated call was answered otherwise: %s", what)
	}
	byJobs := b.checkJobs(t, p)
	items := b.checkItems(t, p)
	b.checkVerdicts(t, p)
	b.checkRecords(t, decisionsv1.NewDecisionServiceClient(conn))
	b.checkTasks(t, p)

	// Every decision belongs to somebody who was told of it, or to a job: one more would be one that was made twice.
	decisions := map[string]int{}
	for id := range b.decisions {
		decisions[id] = 1
	}
	for id := range byJobs {
		decisions[id] = 1
	}
	verdicts, feedback := map[string]int{}, map[string]int{}
	for _, id := range b.verdicts {
		verdicts[id] = 1
	}
	for id := range b.feedback {
		feedback[id] = 1
	}
	missing := sameRows(t, dir, "decisions", "decision_id", decisions)
	missing += sameRows(t, dir, "verdicts", "verdict_id", verdicts)
	missing += sameRows(t, dir, "feedback", "feedback_id", feedback)
	stop(t, s)
	for _, args := range [][]string{{"lake", "verify"}, {"ledger", "verify"}} {
		if out, err := exec.CommandContext(t.Context(), binary, append(args, "--data-dir", dir)...).CombinedOutput(); err != nil {
			t.Errorf("switchyard %s %s: %v\n%s", args[0], args[1], err, out)
		}
	}
	published, acked := b.tasks.counts()
	t.Logf("%d kills, %d of them during a start: %d acknowledged decisions, %d of jobs (%d jobs), %d review items, %d verdicts, %d feedback, %d tasks (%d done), %d repeated after a kill; %d missing or twice",
		kills, early, len(b.decisions), len(byJobs), len(b.jobs), items, len(b.verdicts), len(b.feedback), published, acked, repeated, missing)
	if len(b.verdicts) == 0 || len(b.feedback) == 0 || acked == 0 || repeated == 0 {
		t.Error("parts of the load did not happen: this proves nothing")
	}
}

// settle asks again until everything is answered.
func (b *book) settle(t *testing.T, p *parts) (repeated int) {
	t.Helper()
	questions, judgements, jobs := b.open()
	for _, q := range questions {
		err := b.ask(t.Context(), p, q)
		for tries := 0; err != nil && tries < 10; tries++ { // under its key it may be asked as often as a busy machine needs
			time.Sleep(100 * time.Millisecond)
			err = b.ask(t.Context(), p, q)
		}
		if err != nil {
			t.Errorf("ask again for %s: %v", q.key, err)
		}
	}
	for _, j := range judgements {
		if err := b.judge(t.Context(), p, j); err != nil {
			t.Errorf("judge %s again: %v", j.req.GetItemId(), err)
		}
	}
	for _, id := range jobs {
		if err := b.submit(t.Context(), p, id); err != nil {
			t.Errorf("submit %s again: %v", id, err)
		}
	}
	sent := maps.Clone(b.sent)
	for id, decision := range sent {
		if err := b.tell(t.Context(), p, id, decision); err != nil {
			t.Errorf("send %s again: %v", id, err)
		}
	}
	return len(questions) + len(judgements) + len(jobs) + len(sent)
}

// checkJobs waits for all jobs and returns their decisions: one for each item.
func (b *book) checkJobs(t *testing.T, p *parts) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for name := range b.jobs {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		stream, err := p.jobs.StreamResults(ctx, &jobsv1.StreamResultsRequest{JobId: name})
		next := int64(0)
		for err == nil {
			var m *jobsv1.StreamResultsResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			for _, r := range m.GetResults() {
				d := r.GetRouting().GetDecision()
				if r.GetIndex() != next || r.GetContentId() != fmt.Sprintf("%s/%d", name, next) || d == nil || ids[d.GetDecisionId()] {
					t.Errorf("result %d of %s is %v", next, name, r)
				}
				next++
				ids[d.GetDecisionId()] = true
			}
		}
		cancel()
		got, jobErr := p.jobs.GetJob(t.Context(), &jobsv1.GetJobRequest{JobId: name})
		if !errors.Is(err, io.EOF) || jobErr != nil || next != jobItems || got.GetJob().GetState() != jobsv1.JobState_JOB_STATE_DONE || got.GetJob().GetDecided() != jobItems {
			t.Errorf("%s has %d results (%v) and is %v (%v)", name, next, err, got.GetJob(), jobErr)
		}
	}
	return ids
}

// checkItems waits until every decision that needs a person is an item, exactly one, and nothing else is. It returns how many there are.
func (b *book) checkItems(t *testing.T, p *parts) int {
	t.Helper()
	want := 0
	for _, d := range b.decisions {
		if needsPerson(d) {
			want++
		}
	}
	want += len(b.jobs) * jobItems // jobs ask the deployment that leaves all to people
	found := map[string]int{}
	for deadline, n := time.Now().Add(20*time.Second), 0; n != want && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		n = 0
		for _, deployment := range []string{"support", "desk"} {
			q, err := p.review.GetQueue(t.Context(), &reviewv1.GetQueueRequest{Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: deployment})
			if err != nil {
				t.Fatal(err)
			}
			c := q.GetQueue().GetCounts()
			n += int(c.GetOpen() + c.GetLeased() + c.GetDecided() + c.GetClosed() + c.GetWithdrawn())
		}
	}
	for _, deployment := range []string{"support", "desk"} {
		req := &reviewv1.ListItemsRequest{Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: deployment, Page: &commonv1.PageRequest{Size: 500}}
		for {
			r, err := p.review.ListItems(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range r.GetItems() {
				found[it.GetItemId()]++
			}
			if req.Page.Token = r.GetPage().GetNextToken(); req.Page.Token == "" {
				break
			}
		}
	}
	for id, d := range b.decisions {
		if n := found[id]; n > 1 || (n == 1) != needsPerson(d) {
			t.Errorf("decision %s, %v, audit %v, has %d items", id, d.GetOutcome(), d.GetAudit().GetSelected(), n)
		}
	}
	if len(found) != want {
		t.Errorf("the queues hold %d items, %d decisions need a person", len(found), want)
	}
	return len(found)
}

func needsPerson(d *commonv1.Decision) bool {
	return d.GetOutcome() == commonv1.Outcome_OUTCOME_REVIEW || d.GetAudit().GetSelected()
}

// checkVerdicts looks for each verdict, which must be the only one on its item.
func (b *book) checkVerdicts(t *testing.T, p *parts) {
	t.Helper()
	told := map[string][]string{}
	for id, decision := range b.feedback {
		told[decision] = append(told[decision], id)
	}
	for item, verdict := range b.verdicts {
		r, err := p.review.GetItem(t.Context(), &reviewv1.GetItemRequest{ItemId: item})
		if err != nil || r.GetItem().GetState() != reviewv1.ItemState_ITEM_STATE_CLOSED || r.GetItem().GetVerdict().GetVerdictId() != verdict || len(r.GetVerdicts()) != 1 {
			t.Errorf("the verdict %s on %s: %v (%v)", verdict, item, r, err)
		}
	}
	for decision, ids := range told {
		r, err := p.review.ListFeedback(t.Context(), &reviewv1.ListFeedbackRequest{DecisionId: decision, Page: &commonv1.PageRequest{Size: 500}})
		if err != nil {
			t.Fatal(err)
		}
		times := map[string]int{}
		for _, f := range r.GetFeedback() {
			times[f.GetFeedbackId()]++
		}
		for _, id := range ids {
			if times[id] != 1 {
				t.Errorf("feedback %s on %s is there %d times", id, decision, times[id])
			}
		}
	}
}

// checkRecords reads every decision back. Its record has to say what the caller was told, also where the answer is that of a repetition.
func (b *book) checkRecords(t *testing.T, c decisionsv1.DecisionServiceClient) {
	t.Helper()
	all := make(chan *commonv1.Decision)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for d := range all {
				r, err := c.GetDecision(t.Context(), &decisionsv1.GetDecisionRequest{DecisionId: d.GetDecisionId()})
				for tries := 1; status.Code(err) == codes.DeadlineExceeded && tries < 5; tries++ { // on a machine with much else to do
					r, err = c.GetDecision(t.Context(), &decisionsv1.GetDecisionRequest{DecisionId: d.GetDecisionId()})
				}
				got := r.GetRecord().GetDecision()
				if err != nil || got.GetOutcome() != d.GetOutcome() || got.GetAudit().GetSelected() != d.GetAudit().GetSelected() {
					t.Errorf("decision %v is recorded as %v (%v)", d, got, err)
				}
			}
		})
	}
	for _, d := range b.decisions {
		all <- d
	}
	close(all)
	readers.Wait()
}

// checkTasks works until nothing is left. Every task that was published must have been delivered, and none comes back after it was acknowledged.
func (b *book) checkTasks(t *testing.T, p *parts) {
	t.Helper()
	for empty := 0; empty < 2; { // a wait of a whole lease that finds nothing, twice
		n, err := b.tasks.work(t.Context(), p.tasks, 2500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if empty++; n > 0 {
			empty = 0
		}
	}
	for id := range b.tasks.published {
		if !b.tasks.acked[id] && !b.tasks.unsure[id] {
			t.Errorf("task %s was published and never delivered", id)
		}
	}
	if len(b.tasks.returned) > 0 {
		t.Errorf("tasks that came back after they were acknowledged: %v", b.tasks.returned)
	}
}

// sameRows waits until a table of the lake has as many rows as were acknowledged, and returns how many are missing, there more than once, or nobody's.
func sameRows(t *testing.T, dir, table, key string, want map[string]int) (wrong int) {
	t.Helper()
	rows := rowsOf(t, dir, table, key, len(want))
	for id := range want {
		if rows[id] != 1 {
			t.Errorf("%s has %s %d times", table, id, rows[id])
			wrong++
		}
	}
	for id := range rows {
		if want[id] == 0 {
			t.Errorf("%s has %s, of which nobody was told", table, id)
			wrong++
		}
	}
	return wrong
}

// rowsOf waits until a table of the lake has so many rows, and returns how often it has each key.
func rowsOf(t *testing.T, dir, table, key string, want int) map[string]int {
	t.Helper()
	rows := map[string]int{}
	deadline := time.Now().Add(time.Minute)
	for n := 0; n < want && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		n = 0
		for _, line := range lakeLines(t, "ls", table, "--json", "--data-dir", dir) {
			var file struct{ Rows int }
			if err := json.Unmarshal(line, &file); err != nil {
				t.Fatal(err)
			}
			n += file.Rows
		}
	}
	for _, line := range lakeLines(t, "cat", table, "--data-dir", dir) {
		var row map[string]any
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		id, _ := row[key].(string)
		rows[id]++
	}
	return rows
}

func lakeLines(t *testing.T, args ...string) (lines [][]byte) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, append([]string{"lake"}, args...)...).Output()
	if err != nil {
		t.Fatalf("switchyard lake %v: %v", args, err)
	}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		lines = append(lines, bytes.Clone(s.Bytes()))
	}
	return lines
}
