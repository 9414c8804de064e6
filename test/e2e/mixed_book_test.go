package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
)

// parts are the services that the mixed load asks.
type parts struct {
	routing routingv1.RoutingServiceClient
	review  reviewv1.ReviewServiceClient
	jobs    jobsv1.JobServiceClient
	tasks   jobsv1.TaskServiceClient
	models  modelsv1.ModelServiceClient
}

func partsOf(conn grpc.ClientConnInterface) *parts {
	return &parts{
		routingv1.NewRoutingServiceClient(conn), reviewv1.NewReviewServiceClient(conn), jobsv1.NewJobServiceClient(conn),
		jobsv1.NewTaskServiceClient(conn), modelsv1.NewModelServiceClient(conn),
	}
}

func withKey(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "idempotency-key", key)
}

// question is a call for decisions, which is repeated under its key until it is answered.
type question struct {
	key, deployment string
	items           int // 1 is a call for one decision, more a batch
}

// judgement is a verdict that is repeated under its key until it is answered.
type judgement struct {
	key string
	req *reviewv1.SubmitVerdictRequest
}

// book is what callers were told, and what they have asked without an answer.
type book struct {
	mu        sync.Mutex
	decisions map[string]*commonv1.Decision // by id
	answers   map[string][]string           // ids by the key of a question
	asked     map[string]question           // without an answer
	verdicts  map[string]string             // ids by item
	judged    map[string]judgement          // without an answer
	feedback  map[string]string             // decisions by id of the feedback
	sent      map[string]string             // likewise, without an answer
	jobs      map[string]bool               // whether the submission was answered
	tasks     taskBook
	changed   []string // what a repetition was answered otherwise

	number atomic.Int64
}

func newBook() *book {
	return &book{
		decisions: map[string]*commonv1.Decision{}, answers: map[string][]string{}, asked: map[string]question{}, verdicts: map[string]string{},
		judged: map[string]judgement{}, feedback: map[string]string{}, sent: map[string]string{}, jobs: map[string]bool{},
		tasks: taskBook{published: map[string]bool{}, acked: map[string]bool{}, unsure: map[string]bool{}},
	}
}

func (b *book) name(kind string) string { return fmt.Sprintf("%s-%d", kind, b.number.Add(1)) }

// ask asks for decisions and writes down the answer.
func (b *book) ask(ctx context.Context, p *parts, q question) error {
	b.mu.Lock()
	if b.answers[q.key] == nil {
		b.asked[q.key] = q
	}
	b.mu.Unlock()
	var got []*commonv1.Decision
	body := "my printer does not work: " + q.key
	if q.items == 1 {
		r, err := p.routing.RouteInquiry(withKey(ctx, q.key), &routingv1.RouteInquiryRequest{Deployment: q.deployment, Body: body})
		if err != nil {
			return err
		}
		got = append(got, r.GetDecision())
	} else {
		req := &routingv1.BatchRouteInquiryRequest{Deployment: q.deployment}
		for i := range q.items {
			req.Items = append(req.Items, &routingv1.InquiryItem{Body: fmt.Sprint(body, " ", i)})
		}
		r, err := p.routing.BatchRouteInquiry(withKey(ctx, q.key), req)
		if err != nil {
			return err
		}
		for _, result := range r.GetResults() {
			got = append(got, result.GetDecision())
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for _, d := range got {
		ids = append(ids, d.GetDecisionId())
		b.decisions[d.GetDecisionId()] = d
	}
	if before := b.answers[q.key]; before != nil && strings.Join(before, " ") != strings.Join(ids, " ") {
		b.changed = append(b.changed, fmt.Sprintf("%s was %v and is %v", q.key, before, ids))
	}
	b.answers[q.key] = ids
	delete(b.asked, q.key)
	return nil
}

// judge submits a verdict and writes down the answer.
func (b *book) judge(ctx context.Context, p *parts, j judgement) error {
	b.mu.Lock()
	b.judged[j.key] = j
	b.mu.Unlock()
	v, err := p.review.SubmitVerdict(withKey(ctx, j.key), j.req)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	id := j.req.GetItemId()
	if before := b.verdicts[id]; before != "" && before != v.GetVerdict().GetVerdictId() {
		b.changed = append(b.changed, fmt.Sprintf("the verdict on %s was %s and is %s", id, before, v.GetVerdict().GetVerdictId()))
	}
	b.verdicts[id] = v.GetVerdict().GetVerdictId()
	delete(b.judged, j.key)
	return nil
}

// tell sends the truth about a decision, as an application does that has learned it.
func (b *book) tell(ctx context.Context, p *parts, id, decision string) error {
	b.mu.Lock()
	b.sent[id] = decision
	b.mu.Unlock()
	if _, err := p.review.SubmitFeedback(ctx, &reviewv1.SubmitFeedbackRequest{FeedbackId: id, DecisionId: decision, OutOfScope: true}); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.feedback[id] = decision
	delete(b.sent, id)
	return nil
}

// submit submits a job of as many items as jobItems says.
func (b *book) submit(ctx context.Context, p *parts, id string) error {
	b.mu.Lock()
	if !b.jobs[id] {
		b.jobs[id] = false // asked, and not answered yet
	}
	b.mu.Unlock()
	stream, err := p.jobs.SubmitBatch(ctx)
	if err != nil {
		return err
	}
	// A server that has died is told by CloseAndRecv, with the reason.
	_ = stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Spec{Spec: &jobsv1.JobSpec{
		JobId: id, Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support",
	}}})
	var lines strings.Builder
	for i := range jobItems {
		fmt.Fprintf(&lines, `{"body":"the printer of %s does not work","inquiryId":"%s/%d"}`+"\n", id, id, i)
	}
	_ = stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Lines{Lines: []byte(lines.String())}})
	if _, err := stream.CloseAndRecv(); err != nil {
		return err
	}
	b.mu.Lock()
	b.jobs[id] = true
	b.mu.Unlock()
	return nil
}

// open returns what was asked and not answered.
func (b *book) open() (questions []question, judgements []judgement, jobs []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range b.asked {
		questions = append(questions, q)
	}
	for _, j := range b.judged {
		judgements = append(judgements, j)
	}
	for id, answered := range b.jobs {
		if !answered {
			jobs = append(jobs, id)
		}
	}
	return questions, judgements, jobs
}

// any returns one of the questions that were answered.
func (b *book) any() (question, string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, ids := range b.answers {
		return question{key, deploymentOf(key), len(ids)}, ids[0], true
	}
	return question{}, "", false
}

// deploymentOf is told by the key, so that a question can be repeated from it.
func deploymentOf(key string) string {
	kind, _, _ := strings.Cut(key, "-")
	if kind == "batch" {
		return "desk"
	}
	return kind
}
