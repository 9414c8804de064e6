package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// The person that is erased, and what is said of her; somebody else stays.
const (
	erasedID   = "customer-7f3a91"
	erasedText = "Wilhelmine Trampeltier"
	otherID    = "customer-55b2c8"
	otherText  = "Balthasar Knurrhahn"
)

// TestAnErasedPersonIsNowhereInTheDataFolder lets data of two persons come to wherever the product keeps data, and erases one of them. Afterwards no file holds a byte of
// her, while the server runs and when it is stopped; the other's data are where they were.
func TestAnErasedPersonIsNowhereInTheDataFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := startWith(t, process.Options{DataDir: dir, Args: []string{"--socket", "none"}, Env: append([]string{"SWITCHYARD_LAKE_FLUSH=200ms"}, loopback...)})
	conn := dial(t, s, s.Key)
	p := partsOf(conn)
	prepare(t, p)
	// Nobody listens there: deliveries wait.
	post(t, s, "/v1/webhooks", object{"spec": object{"url": "http://127.0.0.1:9/", "filter": object{"kinds": []string{"decisions", "verdicts"}}}})
	for _, id := range []string{erasedID, otherID} {
		live(t, p, id, map[string]string{erasedID: erasedText, otherID: otherText}[id])
	}
	c := decisionsv1.NewDecisionServiceClient(conn)
	eventually(t, "the lake has the decisions", 30*time.Second, func() bool {
		r, err := c.ListDecisions(t.Context(), &decisionsv1.ListDecisionsRequest{SubjectId: erasedID})
		return err == nil && len(r.GetRecords()) >= 5
	})
	before := foundIn(t, dir, erasedID, erasedText)
	for _, place := range []string{"switchyard.db", "events/", "journal/"} {
		if !strings.Contains(strings.Join(before, "\n"), place) {
			t.Errorf("before the erasure nothing of the person is in %s, but in %v: this proves nothing", place, before)
		}
	}

	r, err := c.EraseSubject(t.Context(), &decisionsv1.EraseSubjectRequest{SubjectId: erasedID})
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]int64{}
	for _, p := range r.GetPlaces() {
		places[p.GetPlace()] = p.GetRecords()
	}
	for _, place := range []string{"jobs", "tasks", "review/items", "review/verdicts", "review/feedback", "lake/decisions", "lake/verdicts", "lake/feedback", "stream", "webhooks", "answers"} {
		if places[place] == 0 {
			t.Errorf("nothing was erased from %s, but %v", place, places)
		}
	}
	t.Logf("erased: %v", places)
	if found := foundIn(t, dir, erasedID, erasedText); len(found) > 0 {
		t.Errorf("while the server runs the person is found in %v", found)
	}
	checkErased(t, p, c)
	if err := s.Kill(); err != nil { // nothing may depend on an orderly end
		t.Fatal(err)
	}
	if found := foundIn(t, dir, erasedID, erasedText); len(found) > 0 {
		t.Errorf("after the server was killed the person is found in %v", found)
	}
	for _, line := range lakeLines(t, "cat", "decisions", "--data-dir", dir) {
		if bytes.Contains(line, []byte(erasedID)) || bytes.Contains(line, []byte(erasedText)) {
			t.Errorf("the lake holds %s", line)
		}
	}
	if len(foundIn(t, dir, otherID, otherText)) == 0 {
		t.Error("the other person's data are gone too")
	}
}

// live lets a person's data come everywhere.
func live(t *testing.T, p *parts, id, text string) {
	t.Helper()
	body := "my name is " + text + " and my printer does not work"
	var decisions []string
	for i := range 4 {
		r, err := p.routing.RouteInquiry(withKey(t.Context(), fmt.Sprint("call-", id, i)), &routingv1.RouteInquiryRequest{
			Deployment: []string{"support", "desk"}[i%2], Body: fmt.Sprint(body, " ", i), CustomerId: id, InquiryId: fmt.Sprint("inquiry of ", id),
		})
		if err != nil {
			t.Fatal(err)
		}
		decisions = append(decisions, r.GetDecision().GetDecisionId())
	}
	judge := func(item string) {
		eventually(t, "decision "+item+" can be judged", 20*time.Second, func() bool {
			it, err := p.review.LeaseItem(t.Context(), &reviewv1.LeaseItemRequest{ItemId: item, Reviewer: "ann"})
			if err != nil {
				return false
			}
			_, err = p.review.SubmitVerdict(t.Context(), &reviewv1.SubmitVerdictRequest{
				ItemId: item, Reviewer: "ann", LeaseId: it.GetItem().GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: it.GetItem().GetSuggestedLabels(), Note: "I know " + text},
			})
			return err == nil
		})
	}
	judge(decisions[0])
	if _, err := p.review.CreateGoldItem(t.Context(), &reviewv1.CreateGoldItemRequest{GoldId: decision.NewID(), ItemId: decisions[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.review.SubmitFeedback(t.Context(), &reviewv1.SubmitFeedbackRequest{FeedbackId: "f-" + decisions[2], DecisionId: decisions[2], OutOfScope: true, Note: text + " called"}); err != nil {
		t.Fatal(err)
	}
	lines := fmt.Sprintf(`{"body":"%s","customerId":"%s","inquiryId":"of %s"}`+"\n"+`{"body":"a screen is dark"}`+"\n", body, id, id)
	for _, paused := range []bool{false, true} {
		name := "job-of-" + id[9:] + map[bool]string{true: "-paused"}[paused]
		submitJob(t, p.jobs, &jobsv1.JobSpec{JobId: name, Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Paused: paused}, lines)
		eventually(t, name+" is done, or waits", 20*time.Second, func() bool {
			j, err := p.jobs.GetJob(t.Context(), &jobsv1.GetJobRequest{JobId: name})
			return err == nil && (paused || j.GetJob().GetState() == jobsv1.JobState_JOB_STATE_DONE)
		})
	}
	for i, task := range []*jobsv1.PublishTaskRequest{
		{Body: fmt.Appendf(nil, `{"customer":"%s","name":"%s"}`, id, text)},
		{Body: []byte("a letter to " + text), Headers: map[string]string{"subject-id": id}},
	} {
		task.Queue, task.TaskId, task.Delay = "letters", fmt.Sprint("letter-", i, "-", id[9:]), durationpb.New(time.Hour)
		if _, err := p.tasks.PublishTask(t.Context(), task); err != nil {
			t.Fatal(err)
		}
	}
}

// checkErased looks at what is left through the API.
func checkErased(t *testing.T, p *parts, c decisionsv1.DecisionServiceClient) {
	t.Helper()
	of := func(id string) int {
		r, err := c.ListDecisions(t.Context(), &decisionsv1.ListDecisionsRequest{SubjectId: id})
		if err != nil {
			t.Fatal(err)
		}
		return len(r.GetRecords())
	}
	if n := of(erasedID); n > 0 {
		t.Errorf("of the person there are %d decisions", n)
	}
	// The last ones of the other person may have been on their way to the lake.
	eventually(t, "the other person's decisions are listed", 20*time.Second, func() bool { return of(otherID) >= 5 })
	// The job that waited goes on: the item that is gone has an error, the other one its decision.
	if _, err := p.jobs.ResumeJob(t.Context(), &jobsv1.ResumeJobRequest{JobId: "job-of-" + erasedID[9:] + "-paused"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job is done", 20*time.Second, func() bool {
		j, err := p.jobs.GetJob(t.Context(), &jobsv1.GetJobRequest{JobId: "job-of-" + erasedID[9:] + "-paused"})
		return err == nil && j.GetJob().GetState() == jobsv1.JobState_JOB_STATE_DONE && j.GetJob().GetFailed() == 1 && j.GetJob().GetDecided() == 2
	})
	// The one that was done has its decisions still, without whose they are.
	stream, err := p.jobs.StreamResults(t.Context(), &jobsv1.StreamResultsRequest{JobId: "job-of-" + erasedID[9:]})
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.Recv()
	if err != nil || len(m.GetResults()) != 2 || m.GetResults()[0].GetRouting().GetDecision().GetDecisionId() == "" || m.GetResults()[0].GetContentId() != "" {
		t.Errorf("the results after the erasure: %v (%v)", m, err)
	}
	q, err := p.tasks.GetQueue(t.Context(), &jobsv1.GetQueueRequest{Queue: "letters"})
	if err != nil || q.GetDead() != 2 || q.GetDelayed() != 2 {
		t.Errorf("the queue of letters: %v (%v)", q, err)
	}
}

// foundIn returns the files below a folder that hold one of the texts.
func foundIn(t *testing.T, dir string, texts ...string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // temporary
		}
		for _, text := range texts {
			if at := bytes.Index(data, []byte(text)); at >= 0 {
				name, _ := filepath.Rel(dir, path)
				files = append(files, fmt.Sprintf("%s at %d (%s)", name, at, text))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestAnErasureReachesTheProcessesOfOtherParts erases in the process that reads decisions what the process of the review queue, which also decides, keeps.
func TestAnErasureReachesTheProcessesOfOtherParts(t *testing.T) {
	t.Parallel()
	nats := os.Getenv("SWITCHYARD_TEST_NATS_SERVER")
	if nats == "" {
		t.Skip("SWITCHYARD_TEST_NATS_SERVER does not name a nats-server: make test-engines installs one")
	}
	dir := t.TempDir()
	port := freePort(t)
	config := file(t, "nats.conf", fmt.Appendf(nil, "listen: \"127.0.0.1:%s\"\nmax_payload: %d\njetstream { store_dir: %q }\n", port, bus.Default().MessageBytes, filepath.Join(dir, "nats")))
	server := exec.CommandContext(t.Context(), nats, "-c", config)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	url := "SWITCHYARD_BUS_URL=nats://127.0.0.1:" + port
	back := startWith(t, process.Options{
		DataDir: filepath.Join(dir, "back"), Args: []string{"--socket", "none", "--target", "models,identity,routing,review"}, Env: []string{url},
	})
	peers := "SWITCHYARD_PEERS="
	for _, service := range []string{"models", "identity", "routing", "review"} {
		peers += service + "=" + back.GRPC + ","
	}
	front := startWith(t, process.Options{
		DataDir: filepath.Join(dir, "front"), KeyFile: back.KeyFile, Args: []string{"--socket", "none", "--target", "decisions,events,jobs,moderation,classification,monitoring,gateway"},
		Env: []string{url, strings.TrimSuffix(peers, ","), "SWITCHYARD_PEER_KEY_FILE=" + back.KeyFile, "SWITCHYARD_LAKE_FLUSH=200ms"},
	})
	p := partsOf(dial(t, back, back.Key))
	c := decisionsv1.NewDecisionServiceClient(dial(t, front, back.Key))
	r, err := p.routing.RouteInquiry(withKey(t.Context(), "one"), &routingv1.RouteInquiryRequest{Deployment: "support", Body: "I am " + erasedText, CustomerId: erasedID})
	if err != nil {
		t.Fatal(err)
	}
	id := r.GetDecision().GetDecisionId()
	eventually(t, "the decision is an item and in the lake", 30*time.Second, func() bool {
		_, item := p.review.GetItem(t.Context(), &reviewv1.GetItemRequest{ItemId: id})
		list, err := c.ListDecisions(t.Context(), &decisionsv1.ListDecisionsRequest{SubjectId: erasedID})
		return item == nil && err == nil && len(list.GetRecords()) == 1
	})
	if len(foundIn(t, filepath.Join(dir, "back"), erasedID, erasedText)) == 0 {
		t.Fatal("the other process holds nothing of the person: this proves nothing")
	}
	erased, err := c.EraseSubject(t.Context(), &decisionsv1.EraseSubjectRequest{SubjectId: erasedID})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("erased: %v", erased.GetPlaces())
	if found := foundIn(t, dir, erasedID, erasedText); len(found) > 0 {
		t.Errorf("the person is found in %v", found)
	}
	if it, err := p.review.GetItem(t.Context(), &reviewv1.GetItemRequest{ItemId: id}); err != nil || it.GetItem().GetState() != reviewv1.ItemState_ITEM_STATE_WITHDRAWN {
		t.Errorf("the item after the erasure: %v (%v)", it, err)
	}
	// Without the other process nothing is said to be erased.
	if err := back.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.EraseSubject(t.Context(), &decisionsv1.EraseSubjectRequest{SubjectId: otherID}); err == nil {
		t.Error("an erasure that could not reach a process was reported as done")
	}
}
