package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// TestDeadTasksAreWorkedOffByCommand gives tasks up, looks at them, retries some and deletes the rest.
func TestDeadTasksAreWorkedOffByCommand(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(s.Key), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		root.SetArgs(append(args, "--server", s.Addresses.GRPC, "--key-file", keyFile))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out.String()
	}
	tasks := jobsv1.NewTaskServiceClient(s.Dial(s.Key))
	bury := func(id, reason string) {
		t.Helper()
		_, err := tasks.PublishTask(t.Context(), &jobsv1.PublishTaskRequest{Queue: "mail", TaskId: id, Body: []byte("x"), Headers: map[string]string{"type": `App\Mail`}})
		if err != nil {
			t.Fatal(err)
		}
		giveUp(t, tasks, id, reason)
	}
	bury("a", "timeout after 3 s")
	bury("b", "timeout after 5 s")
	bury("c", "address unknown\nand more")
	if got := run("tasks", "dead", "mail"); !strings.Contains(got, "address unknown\n") || strings.Count(got, `App\Mail`) != 3 || strings.Index(got, "\nc ") > strings.Index(got, "\nb ") {
		t.Errorf("listed:\n%s", got)
	}
	if got := run("tasks", "dead", "mail", "--reason", "TIMEOUT", "--json"); strings.Count(got, `"body": "eA=="`) != 2 {
		t.Errorf("as JSON:\n%s", got)
	}
	if got := run("tasks", "retry", "mail", "--all", "--reason", "timeout", "--delay", "1h"); got != "2 of 2 tasks retried\n" {
		t.Errorf("retried: %s", got)
	}
	if got := run("tasks", "retry", "mail", "a", "b"); got != "0 of 2 tasks retried\n" {
		t.Errorf("retried again: %s", got)
	}

	// A repeated call with an idempotency key is one call, also when the task died again in between.
	keyed := metadata.AppendToOutgoingContext(t.Context(), "idempotency-key", "once")
	for i := range 2 {
		r, err := tasks.RetryDeadTask(keyed, &jobsv1.RetryDeadTaskRequest{Queue: "mail", TaskId: "c"})
		if err != nil || !r.GetRetried() {
			t.Fatalf("call %d: %v, %v", i, r, err)
		}
		if i == 0 {
			giveUp(t, tasks, "c", "address still unknown")
		}
	}
	if q, err := tasks.GetQueue(t.Context(), &jobsv1.GetQueueRequest{Queue: "mail"}); err != nil || q.GetDead() != 1 || q.GetDelayed() != 2 || q.GetDue() != 0 {
		t.Errorf("the queue counts %v (%v)", q, err)
	}
	if got := run("tasks", "delete", "mail", "--all"); got != "1 of 1 tasks deleted\n" {
		t.Errorf("deleted: %s", got)
	}
	if got := run("tasks", "dead", "mail"); strings.Contains(got, "Mail") {
		t.Errorf("left:\n%s", got)
	}
	root := newRoot()
	root.SetArgs([]string{"tasks", "retry", "mail"})
	if err := root.ExecuteContext(t.Context()); exitCode(err) != 2 {
		t.Errorf("nothing named: %v", err)
	}
}

func giveUp(t *testing.T, tasks jobsv1.TaskServiceClient, id, reason string) {
	t.Helper()
	r, err := tasks.PullTasks(t.Context(), &jobsv1.PullTasksRequest{Queue: "mail"})
	if err != nil || len(r.GetTasks()) != 1 || r.GetTasks()[0].GetTaskId() != id {
		t.Fatalf("pulled %v (%v), want %s", r, err, id)
	}
	_, err = tasks.RejectTask(t.Context(), &jobsv1.RejectTaskRequest{Queue: "mail", TaskId: id, LeaseId: r.GetTasks()[0].GetLeaseId(), Reason: reason})
	if err != nil {
		t.Fatal(err)
	}
}
