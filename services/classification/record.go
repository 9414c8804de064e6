package classification

import (
	"context"

	"google.golang.org/grpc"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
)

// ClassifyRecord labels one record.
func (s *Service) ClassifyRecord(ctx context.Context, req *classificationv1.ClassifyRecordRequest) (*classificationv1.ClassifyRecordResponse, error) {
	a, err := s.one(ctx, req.GetDeployment(), fromRecordRequest(req))
	if err != nil {
		return nil, err
	}
	return &classificationv1.ClassifyRecordResponse{Decision: a.record.GetDecision(), Evidence: a.evidence}, nil
}

// BatchClassifyRecord labels the records of a batch.
func (s *Service) BatchClassifyRecord(ctx context.Context, req *classificationv1.BatchClassifyRecordRequest) (*classificationv1.BatchClassifyRecordResponse, error) {
	items := req.GetItems()
	if err := decision.CheckBatch(items, recordSize); err != nil {
		return nil, err
	}
	results, err := s.batch(ctx, req.GetDeployment(), len(items), func(i int) subject { return fromRecordItem(items[i]) })
	if err != nil {
		return nil, err
	}
	return &classificationv1.BatchClassifyRecordResponse{Results: results}, nil
}

// StreamClassifyRecord labels records as they come.
func (s *Service) StreamClassifyRecord(stream grpc.BidiStreamingServer[classificationv1.StreamClassifyRecordRequest, classificationv1.StreamClassifyRecordResponse]) error {
	return decision.Stream[classificationv1.StreamClassifyRecordRequest, classificationv1.StreamClassifyRecordResponse]{
		Maker: s.maker, Source: s.source, Operation: operation,
		Deployment: (*classificationv1.StreamClassifyRecordRequest).GetDeployment,
		Size:       func(r *classificationv1.StreamClassifyRecordRequest) int { return recordSize(r.GetItem()) },
		Answer: func(c *decision.Call, t *decision.Target, index int64, r *classificationv1.StreamClassifyRecordRequest) (*classificationv1.StreamClassifyRecordResponse, *commonv1.DecisionRecord) {
			result, record := s.result(c, t, fromRecordItem(r.GetItem()))
			return &classificationv1.StreamClassifyRecordResponse{Index: index, Result: result}, record
		},
	}.Serve(stream)
}

func recordSize(i *classificationv1.RecordItem) int { return decision.FieldsSize(i.GetRecord()) }
