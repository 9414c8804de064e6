package routing

import (
	"context"

	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const operation = commonv1.Operation_OPERATION_ROUTING

// RouteInquiry finds the queue for one inquiry.
func (s *Service) RouteInquiry(ctx context.Context, req *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
	call, err := s.maker.Begin(ctx, operation)
	if err != nil {
		return nil, err
	}
	target, err := s.source.Acquire(call.Project, operation, req.GetDeployment())
	if err != nil {
		return nil, err
	}
	defer target.Release()
	q := fromRequest(req)
	a, err := s.route(&call, &target, &q)
	if err != nil {
		return nil, err
	}
	if err := s.maker.Record(ctx, &target, a.record); err != nil {
		return nil, err
	}
	return &routingv1.RouteInquiryResponse{
		Decision: a.record.GetDecision(), Queue: a.queue, Alternatives: a.alternatives, OutOfScope: a.outOfScope,
		Priority: a.priority, Language: a.language,
	}, nil
}

// BatchRouteInquiry routes the inquiries of a batch on the available cores and records them with one wait.
func (s *Service) BatchRouteInquiry(ctx context.Context, req *routingv1.BatchRouteInquiryRequest) (*routingv1.BatchRouteInquiryResponse, error) {
	call, err := s.maker.Begin(ctx, operation)
	if err != nil {
		return nil, err
	}
	items := req.GetItems()
	if err := decision.CheckBatch(items, itemSize); err != nil {
		return nil, err
	}
	target, err := s.source.Acquire(call.Project, operation, req.GetDeployment())
	if err != nil {
		return nil, err
	}
	defer target.Release()
	results := make([]*routingv1.RoutingResult, len(items))
	if err := s.maker.Many(ctx, &target, len(items), func(i int) (record *commonv1.DecisionRecord) {
		results[i], record = s.result(&call, &target, items[i])
		return record
	}); err != nil {
		return nil, err
	}
	return &routingv1.BatchRouteInquiryResponse{Results: results}, nil
}

// StreamRouteInquiry routes inquiries as they come.
func (s *Service) StreamRouteInquiry(stream grpc.BidiStreamingServer[routingv1.StreamRouteInquiryRequest, routingv1.StreamRouteInquiryResponse]) error {
	return decision.Stream[routingv1.StreamRouteInquiryRequest, routingv1.StreamRouteInquiryResponse]{
		Maker: s.maker, Source: s.source, Operation: operation,
		Deployment: (*routingv1.StreamRouteInquiryRequest).GetDeployment,
		Size:       func(r *routingv1.StreamRouteInquiryRequest) int { return itemSize(r.GetItem()) },
		Answer: func(c *decision.Call, t *decision.Target, index int64, r *routingv1.StreamRouteInquiryRequest) (*routingv1.StreamRouteInquiryResponse, *commonv1.DecisionRecord) {
			result, record := s.result(c, t, r.GetItem())
			return &routingv1.StreamRouteInquiryResponse{Index: index, Result: result}, record
		},
	}.Serve(stream)
}

func itemSize(i *routingv1.InquiryItem) int {
	q := fromItem(i)
	return q.size()
}

// result is the answer to one item: with a record, or with an error in-band and without.
func (s *Service) result(c *decision.Call, t *decision.Target, item *routingv1.InquiryItem) (*routingv1.RoutingResult, *commonv1.DecisionRecord) {
	q := fromItem(item)
	a, err := s.route(c, t, &q)
	if err != nil {
		return &routingv1.RoutingResult{Error: s.maker.ItemError(c, err)}, nil
	}
	return &routingv1.RoutingResult{
		Decision: a.record.GetDecision(), Queue: a.queue, Alternatives: a.alternatives, OutOfScope: a.outOfScope,
		Priority: a.priority, Language: a.language,
	}, a.record
}

// answer is what is known of an inquiry.
type answer struct {
	record       *commonv1.DecisionRecord
	queue        string
	alternatives []*routingv1.QueueProbability
	outOfScope   bool
	priority     routingv1.Priority
	language     *routingv1.Language
}

// route decides about one inquiry. It does no I/O.
func (s *Service) route(call *decision.Call, t *decision.Target, q *inquiry) (answer, error) {
	if err := q.check(); err != nil {
		return answer{}, err
	}
	if t.Predictor == nil {
		return answer{}, fault.ModelNotDeployed(operation, t.Deployment.GetName())
	}
	t = t.For(q.customerID, q.inquiryID, q.input)
	begin := s.maker.Now()
	in := engine.Input{Text: q.text()}
	scores, err := t.Score(in)
	if err != nil {
		return answer{}, err
	}
	defer scores.Free()
	var r reading
	r.read(q.subject)
	r.read(q.body)
	info := t.Predictor.Info()
	c := choose(info, scores.P, t)
	a := answer{
		queue: c.queue, outOfScope: c.outOfScope, alternatives: ranking(info, scores.P, &c),
		priority: priority(r.urgency, q.channel, q.attributes), language: languageOf(q.locale, &r.language),
	}
	a.record = s.maker.Make(call, t, &decision.Answer{
		Verdict: c.Verdict, Input: q.input(), Labels: info.Labels, Probabilities: scores.P, Chosen: c.Chosen,
		Action: int32(a.priority), SubjectID: q.customerID, ContentID: q.inquiryID, Compute: s.maker.Now().Sub(begin),
		Scored: decision.Scored{Input: in, Took: scores.Took, Judge: decision.JudgeByChoice},
	})
	return a, nil
}

func ranking(info *engine.Info, p []float32, c *choice) []*routingv1.QueueProbability {
	values := make([]routingv1.QueueProbability, c.ranked)
	out := make([]*routingv1.QueueProbability, c.ranked)
	for k, i := range c.alternatives[:c.ranked] {
		values[k].Queue, values[k].Probability = info.Labels[i], float64(p[i])
		out[k] = &values[k]
	}
	return out
}
