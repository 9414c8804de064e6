package jobs_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
)

// bury publishes a task and gives it up for a reason.
func (q *queue) bury(id, reason string, headers map[string]string) {
	q.tb.Helper()
	_, err := q.PublishTask(q.ctx, &jobsv1.PublishTaskRequest{Queue: "work", TaskId: id, Body: []byte("body of " + id), Headers: headers})
	must(q.tb, err)
	got := q.pull(1)
	if len(got) != 1 || got[0].GetTaskId() != id {
		q.tb.Fatalf("pulled %v, want %s", got, id)
	}
	_, err = q.RejectTask(q.ctx, &jobsv1.RejectTaskRequest{Queue: "work", TaskId: id, LeaseId: got[0].GetLeaseId(), Reason: reason})
	must(q.tb, err)
}

// deadIDs lists dead tasks page by page; between is called after each page.
func (q *queue) deadIDs(req *jobsv1.ListDeadTasksRequest, between func()) (ids []string) {
	q.tb.Helper()
	req.Queue = "work"
	for range 1000 {
		r, err := q.ListDeadTasks(q.ctx, req)
		must(q.tb, err)
		for _, t := range r.GetTasks() {
			ids = append(ids, t.GetTaskId())
		}
		token := r.GetPage().GetNextToken()
		if token == "" {
			return ids
		}
		if req.Page == nil {
			req.Page = &commonv1.PageRequest{}
		}
		req.Page.Token = token
		if between != nil {
			between()
		}
	}
	q.tb.Fatal("the list has no end")
	return nil
}

func TestDeadTasksAreListedWithWhyAndWhen(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	q.bury("a", "Connection refused", map[string]string{"type": "Mail", "to": "ann"})
	q.clock.advance(time.Hour)
	q.bury("b", "timeout after 3 s", map[string]string{"type": "Sms"})
	q.clock.advance(time.Hour)
	q.bury("c", "Timeout after 9 s", map[string]string{"type": "Mail"})
	q.publish("waits", "x")
	r, err := q.ListDeadTasks(q.ctx, &jobsv1.ListDeadTasksRequest{Queue: "work"})
	must(t, err)
	if n := len(r.GetTasks()); n != 3 || r.GetPage().GetNextToken() != "" {
		t.Fatalf("%d dead tasks: %v", n, r)
	}
	first := r.GetTasks()[2]
	if first.GetReason() != "Connection refused" || first.GetAttempt() != 1 || first.GetHeaders()["to"] != "ann" || len(first.GetBody()) > 0 {
		t.Errorf("the oldest is %v", first)
	}
	if died := q.clock.now().Add(-2 * time.Hour); !first.GetDeadTime().AsTime().Equal(died) || !first.GetForgetTime().AsTime().Equal(died.Add(14*24*time.Hour)) {
		t.Errorf("it was given up at %v and is forgotten at %v", first.GetDeadTime().AsTime(), first.GetForgetTime().AsTime())
	}
	hour := func(n int) *timestamppb.Timestamp {
		return timestamppb.New(q.clock.now().Add(time.Duration(n) * time.Hour))
	}
	for name, c := range map[string]struct {
		req  *jobsv1.ListDeadTasksRequest
		want []string
	}{
		"all":             {&jobsv1.ListDeadTasksRequest{}, []string{"c", "b", "a"}},
		"reason":          {&jobsv1.ListDeadTasksRequest{Reason: "TIMEOUT"}, []string{"c", "b"}},
		"header":          {&jobsv1.ListDeadTasksRequest{Header: "type=Mail"}, []string{"c", "a"}},
		"a header's name": {&jobsv1.ListDeadTasksRequest{Header: "to"}, []string{"a"}},
		"both":            {&jobsv1.ListDeadTasksRequest{Header: "type=Mail", Reason: "timeout"}, []string{"c"}},
		"from":            {&jobsv1.ListDeadTasksRequest{From: hour(-1)}, []string{"c", "b"}},
		"to":              {&jobsv1.ListDeadTasksRequest{To: hour(-1)}, []string{"a"}},
		"from and to":     {&jobsv1.ListDeadTasksRequest{From: hour(-1), To: hour(0)}, []string{"b"}},
		"page by page":    {&jobsv1.ListDeadTasksRequest{Page: &commonv1.PageRequest{Size: 1}}, []string{"c", "b", "a"}},
	} {
		if got := q.deadIDs(c.req, nil); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	r, err = q.ListDeadTasks(q.ctx, &jobsv1.ListDeadTasksRequest{Queue: "work", WithBody: true, Page: &commonv1.PageRequest{Size: 1}})
	must(t, err)
	if got := string(r.GetTasks()[0].GetBody()); got != "body of c" {
		t.Errorf("body %q", got)
	}
	_, err = q.ListDeadTasks(q.ctx, &jobsv1.ListDeadTasksRequest{Queue: "work", Reason: "other", Page: &commonv1.PageRequest{Token: r.GetPage().GetNextToken()}})
	wantReason(t, "a token of another list", err, "INVALID_ARGUMENT")
	if r, err := q.ListDeadTasks(as("other"), &jobsv1.ListDeadTasksRequest{Queue: "work"}); err != nil || len(r.GetTasks()) > 0 {
		t.Errorf("another project sees %v, %v", r, err)
	}
	q.clock.advance(14 * 24 * time.Hour)
	if got := q.deadIDs(&jobsv1.ListDeadTasksRequest{}, nil); len(got) > 0 {
		t.Errorf("after 14 days: %v", got)
	}
}

// TestPagesOfDeadTasksNeitherRepeatNorLeaveOut changes the list between its pages: new tasks die, listed and unlisted ones are retried.
func TestPagesOfDeadTasksNeitherRepeatNorLeaveOut(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	var want []string
	for i := range 40 {
		id := fmt.Sprint("old-", i)
		q.bury(id, "x", nil) // all of them at the same time
		if i%10 != 3 {
			want = append(want, id)
		}
	}
	slices.Reverse(want)
	n := 0
	got := q.deadIDs(&jobsv1.ListDeadTasksRequest{Page: &commonv1.PageRequest{Size: 3}}, func() {
		q.clock.advance(time.Second)
		if n++; n == 1 {
			for i := 3; i < 40; i += 10 { // among those that come, and among those that were
				_, err := q.RetryDeadTask(q.ctx, &jobsv1.RetryDeadTaskRequest{Queue: "work", TaskId: fmt.Sprint("old-", i), Delay: durationpb.New(time.Hour)})
				must(t, err)
			}
		}
		q.bury(fmt.Sprint("new-", n), "y", nil)
	})
	if !slices.Equal(got, want) {
		t.Errorf("listed %v\nwant %v", got, want)
	}
}

func TestARetriedTaskIsAsNew(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	retry := func(id string, delay time.Duration) (bool, error) {
		r, err := q.RetryDeadTask(q.ctx, &jobsv1.RetryDeadTaskRequest{Queue: "work", TaskId: id, Delay: durationpb.New(delay)})
		return r.GetRetried(), err
	}
	q.bury("a", "x", map[string]string{"h": "1"})
	q.bury("b", "x", nil)
	if done, err := retry("a", 0); err != nil || !done {
		t.Fatalf("retried %v, %v", done, err)
	}
	if done, err := retry("a", 0); err != nil || done {
		t.Errorf("retried again: %v, %v", done, err)
	}
	if done, err := retry("b", time.Minute); err != nil || !done {
		t.Fatalf("retried %v, %v", done, err)
	}
	q.wantCounts("retried", [4]int64{1, 1, 0, 0})
	got := q.pull(10)
	if len(got) != 1 || string(got[0].GetBody()) != "body of a" || got[0].GetHeaders()["h"] != "1" || got[0].GetAttempt() != 1 {
		t.Fatalf("pulled %v", got)
	}
	must(t, q.ack(got[0]))
	_, err := retry("a", 0)
	wantReason(t, "a task that is done", err, "NOT_FOUND")
	_, err = retry("never", 0)
	wantReason(t, "a task that never was", err, "NOT_FOUND")
	q.clock.advance(time.Minute)
	if got := q.pullIDs(1); !slices.Equal(got, []string{"b"}) {
		t.Errorf("after its delay: %v", got)
	}
}

func TestADeletedTaskIsForgottenWithItsID(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	del := func(id string) bool {
		t.Helper()
		r, err := q.DeleteDeadTask(q.ctx, &jobsv1.DeleteDeadTaskRequest{Queue: "work", TaskId: id})
		must(t, err)
		return r.GetDeleted()
	}
	q.bury("a", "x", nil)
	q.publish("waits", "x")
	if del("waits") || del("never") {
		t.Error("something was deleted that is not dead")
	}
	if !del("a") || del("a") {
		t.Error("a dead task is deleted once")
	}
	q.wantCounts("deleted", [4]int64{1, 0, 0, 0})
	q.publish("a", "something else") // its id is free
	if r, err := q.DeleteDeadTask(as("other"), &jobsv1.DeleteDeadTaskRequest{Queue: "work", TaskId: "a"}); err != nil || r.GetDeleted() {
		t.Errorf("another project deleted it: %v, %v", r, err)
	}
}

func TestAnErasedTaskCannotBeRetried(t *testing.T) {
	t.Parallel()
	q := open(t, false)
	_, err := q.PublishTask(q.ctx, &jobsv1.PublishTaskRequest{Queue: "work", TaskId: "a", Body: []byte(`{"customer":"ann"}`)})
	must(t, err)
	if n, err := q.Erase(t.Context(), "acme", "ann"); n != 1 || err != nil {
		t.Fatalf("erased %d, %v", n, err)
	}
	r, err := q.ListDeadTasks(q.ctx, &jobsv1.ListDeadTasksRequest{Queue: "work", WithBody: true})
	if err != nil || len(r.GetTasks()) != 1 || r.GetTasks()[0].GetReason() != "erased" || len(r.GetTasks()[0].GetBody()) > 0 {
		t.Errorf("listed %v, %v", r, err)
	}
	_, err = q.RetryDeadTask(q.ctx, &jobsv1.RetryDeadTaskRequest{Queue: "work", TaskId: "a"})
	wantReason(t, "retry", err, "INVALID_ARGUMENT")
}
