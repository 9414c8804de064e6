package jobs

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// Deciders are the operations that run in this process; those that do not are nil. A job decides as whoever submitted it, which no connection to
// another process can say.
type Deciders struct {
	Moderation     moderationv1.ModerationServiceClient
	Routing        routingv1.RoutingServiceClient
	Classification classificationv1.ClassificationServiceClient

	giveWay func() // between two lines: reading a frame takes as long as deciding about it
}

func (d Deciders) has(op commonv1.Operation) bool {
	switch op {
	case commonv1.Operation_OPERATION_MODERATION:
		return d.Moderation != nil
	case commonv1.Operation_OPERATION_ROUTING:
		return d.Routing != nil
	case commonv1.Operation_OPERATION_CLASSIFICATION:
		return d.Classification != nil
	case commonv1.Operation_OPERATION_UNSPECIFIED:
	}
	return false
}

// lenient reads lines that may hold more than the item, such as a label.
var lenient = protojson.UnmarshalOptions{DiscardUnknown: true}

// group collects the items of a frame that can be read, and asks about them in one call.
type group[Item, Result any] struct {
	items []*Item
	at    []int // their numbers in the frame
}

// read adds the item of a line; it returns the error of a line that is none.
func (g *group[Item, Result]) read(i int, line []byte) (*Item, *commonv1.ItemError) {
	item := new(Item)
	if err := lenient.Unmarshal(line, any(item).(proto.Message)); err != nil {
		return nil, fault.Item(fault.Malformed("line is not an item in JSON: %v", err))
	}
	g.items, g.at = append(g.items, item), append(g.at, i)
	return item, nil
}

// ask calls for the items and hands the results out.
func (g *group[Item, Result]) ask(call func(items []*Item) ([]*Result, error), put func(i int, r *Result)) error {
	if len(g.items) == 0 {
		return nil
	}
	results, err := call(g.items)
	if err != nil {
		return err
	}
	if len(results) != len(g.items) {
		return fmt.Errorf("%d results for %d items", len(results), len(g.items))
	}
	for k, r := range results {
		put(g.at[k], r)
	}
	return nil
}

// decide asks about the lines of a frame. It fails as the call does; lines that are no items have errors as their results.
func (d Deciders) decide(ctx context.Context, j *job, frame, first int64, lines [][]byte) ([]*jobsv1.JobResult, error) {
	results := make([]*jobsv1.JobResult, len(lines))
	for i := range results {
		results[i] = &jobsv1.JobResult{Index: first + int64(i)}
	}
	seeded := telemetry.WithSeed(ctx, j.seed(frame, ""))
	switch j.operation {
	case commonv1.Operation_OPERATION_MODERATION:
		return results, d.moderate(seeded, j.deployment, lines, results)
	case commonv1.Operation_OPERATION_ROUTING:
		return results, d.route(seeded, j.deployment, lines, results)
	case commonv1.Operation_OPERATION_CLASSIFICATION:
		return results, d.classify(seeded, telemetry.WithSeed(ctx, j.seed(frame, "records")), j.deployment, lines, results)
	case commonv1.Operation_OPERATION_UNSPECIFIED:
	}
	return nil, fmt.Errorf("job %s asks nothing", j.id)
}

func (d Deciders) moderate(ctx context.Context, deployment string, lines [][]byte, results []*jobsv1.JobResult) error {
	var g group[moderationv1.TextItem, moderationv1.ModerationResult]
	put := func(i int, r *moderationv1.ModerationResult) {
		results[i].Result = &jobsv1.JobResult_Moderation{Moderation: r}
	}
	for i, line := range lines {
		d.giveWay()
		item, bad := g.read(i, line)
		if bad != nil {
			put(i, &moderationv1.ModerationResult{Error: bad})
			continue
		}
		results[i].ContentId = item.GetContentId()
	}
	return g.ask(func(items []*moderationv1.TextItem) ([]*moderationv1.ModerationResult, error) {
		r, err := d.Moderation.BatchModerateText(ctx, &moderationv1.BatchModerateTextRequest{Deployment: deployment, Items: items})
		return r.GetResults(), err
	}, put)
}

func (d Deciders) route(ctx context.Context, deployment string, lines [][]byte, results []*jobsv1.JobResult) error {
	var g group[routingv1.InquiryItem, routingv1.RoutingResult]
	put := func(i int, r *routingv1.RoutingResult) { results[i].Result = &jobsv1.JobResult_Routing{Routing: r} }
	for i, line := range lines {
		d.giveWay()
		item, bad := g.read(i, line)
		if bad != nil {
			put(i, &routingv1.RoutingResult{Error: bad})
			continue
		}
		results[i].ContentId = item.GetInquiryId()
	}
	return g.ask(func(items []*routingv1.InquiryItem) ([]*routingv1.RoutingResult, error) {
		r, err := d.Routing.BatchRouteInquiry(ctx, &routingv1.BatchRouteInquiryRequest{Deployment: deployment, Items: items})
		return r.GetResults(), err
	}, put)
}

// classify asks about texts and records; a line with a member "record" is a record.
func (d Deciders) classify(textCtx, recordCtx context.Context, deployment string, lines [][]byte, results []*jobsv1.JobResult) error {
	var texts group[classificationv1.TextItem, classificationv1.ClassificationResult]
	var records group[classificationv1.RecordItem, classificationv1.ClassificationResult]
	put := func(i int, r *classificationv1.ClassificationResult) {
		results[i].Result = &jobsv1.JobResult_Classification{Classification: r}
	}
	for i, line := range lines {
		d.giveWay()
		var id string
		var bad *commonv1.ItemError
		probe := &classificationv1.RecordItem{}
		if bytes.Contains(line, []byte(`"record"`)) && lenient.Unmarshal(line, probe) == nil && len(probe.GetRecord()) > 0 {
			records.items, records.at = append(records.items, probe), append(records.at, i)
			id = probe.GetContentId()
		} else {
			var item *classificationv1.TextItem
			item, bad = texts.read(i, line)
			id = item.GetContentId()
		}
		if bad != nil {
			put(i, &classificationv1.ClassificationResult{Error: bad})
			continue
		}
		results[i].ContentId = id
	}
	err := texts.ask(func(items []*classificationv1.TextItem) ([]*classificationv1.ClassificationResult, error) {
		r, err := d.Classification.BatchClassifyText(textCtx, &classificationv1.BatchClassifyTextRequest{Deployment: deployment, Items: items})
		return r.GetResults(), err
	}, put)
	if err != nil {
		return err
	}
	return records.ask(func(items []*classificationv1.RecordItem) ([]*classificationv1.ClassificationResult, error) {
		r, err := d.Classification.BatchClassifyRecord(recordCtx, &classificationv1.BatchClassifyRecordRequest{Deployment: deployment, Items: items})
		return r.GetResults(), err
	}, put)
}

// answerOf returns the decision of a result, or why it has none.
func answerOf(r *jobsv1.JobResult) (*commonv1.Decision, *commonv1.ItemError) {
	switch r := r.GetResult().(type) {
	case *jobsv1.JobResult_Moderation:
		return r.Moderation.GetDecision(), r.Moderation.GetError()
	case *jobsv1.JobResult_Routing:
		return r.Routing.GetDecision(), r.Routing.GetError()
	case *jobsv1.JobResult_Classification:
		return r.Classification.GetDecision(), r.Classification.GetError()
	}
	return nil, nil
}

// count counts a result.
func (t *tally) count(r *jobsv1.JobResult) {
	t.decided++
	d, _ := answerOf(r)
	switch {
	case d == nil:
		t.failed++
	case d.GetOutcome() == commonv1.Outcome_OUTCOME_AUTOMATED:
		t.automated++
	default:
		t.review++
	}
	t.cost += d.GetCost().GetTotalMicros()
}
