package classification

import (
	"context"

	"google.golang.org/grpc"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
)

// ClassifyText labels one text.
func (s *Service) ClassifyText(ctx context.Context, req *classificationv1.ClassifyTextRequest) (*classificationv1.ClassifyTextResponse, error) {
	a, err := s.one(ctx, req.GetDeployment(), fromTextRequest(req))
	if err != nil {
		return nil, err
	}
	return &classificationv1.ClassifyTextResponse{Decision: a.record.GetDecision(), Evidence: a.evidence}, nil
}

// BatchClassifyText labels the texts of a batch.
func (s *Service) BatchClassifyText(ctx context.Context, req *classificationv1.BatchClassifyTextRequest) (*classificationv1.BatchClassifyTextResponse, error) {
	items := req.GetItems()
	if err := decision.CheckBatch(items, textSize); err != nil {
		return nil, err
	}
	results, err := s.batch(ctx, req.GetDeployment(), len(items), func(i int) subject { return fromTextItem(items[i]) })
	if err != nil {
		return nil, err
	}
	return &classificationv1.BatchClassifyTextResponse{Results: results}, nil
}

// StreamClassifyText labels texts as they come.
func (s *Service) StreamClassifyText(stream grpc.BidiStreamingServer[classificationv1.StreamClassifyTextRequest, classificationv1.StreamClassifyTextResponse]) error {
	return decision.Stream[classificationv1.StreamClassifyTextRequest, classificationv1.StreamClassifyTextResponse]{
		Maker: s.maker, Source: s.source, Operation: operation,
		Deployment: (*classificationv1.StreamClassifyTextRequest).GetDeployment,
		Size:       func(r *classificationv1.StreamClassifyTextRequest) int { return textSize(r.GetItem()) },
		Answer: func(c *decision.Call, t *decision.Target, index int64, r *classificationv1.StreamClassifyTextRequest) (*classificationv1.StreamClassifyTextResponse, *commonv1.DecisionRecord) {
			result, record := s.result(c, t, fromTextItem(r.GetItem()))
			return &classificationv1.StreamClassifyTextResponse{Index: index, Result: result}, record
		},
	}.Serve(stream)
}

func textSize(i *classificationv1.TextItem) int { return len(i.GetText()) }
