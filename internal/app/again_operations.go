package app

import (
	"context"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
	"github.com/switchyard-ai/switchyard/services/classification"
	"github.com/switchyard-ai/switchyard/services/moderation"
	"github.com/switchyard-ai/switchyard/services/routing"
)

// recordOf returns the record of a decision, nil when there was none.
type recordOf = func(*commonv1.Decision) *commonv1.DecisionRecord

// routes is the routing service, which answers calls that were begun before as they began.
type routes struct {
	*routing.Service
	*resume
}

func (p pastDeps) routing() *routing.Service {
	return routing.New(routing.Deps{Maker: p.maker, Source: p.source})
}

// RouteInquiry implements RoutingServiceServer.
func (s routes) RouteInquiry(ctx context.Context, req *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
	if !telemetry.Begun(ctx) {
		return s.Service.RouteInquiry(ctx, req)
	}
	type call = func(context.Context, *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error)
	return again(ctx, s.resume, 0, req, s.Service.RouteInquiry, func(p pastDeps) call { return p.routing().RouteInquiry },
		func(res *routingv1.RouteInquiryResponse, of recordOf) {
			if r := of(res.GetDecision()); r != nil {
				res.Decision, res.Priority = r.GetDecision(), routingv1.Priority(r.GetAction())
			}
		})
}

// BatchRouteInquiry implements RoutingServiceServer.
func (s routes) BatchRouteInquiry(ctx context.Context, req *routingv1.BatchRouteInquiryRequest) (*routingv1.BatchRouteInquiryResponse, error) {
	if !telemetry.Begun(ctx) {
		return s.Service.BatchRouteInquiry(ctx, req)
	}
	type call = func(context.Context, *routingv1.BatchRouteInquiryRequest) (*routingv1.BatchRouteInquiryResponse, error)
	return again(ctx, s.resume, len(req.GetItems()), req, s.Service.BatchRouteInquiry, func(p pastDeps) call { return p.routing().BatchRouteInquiry },
		func(res *routingv1.BatchRouteInquiryResponse, of recordOf) {
			for _, one := range res.GetResults() {
				if r := of(one.GetDecision()); r != nil {
					one.Decision, one.Priority = r.GetDecision(), routingv1.Priority(r.GetAction())
				}
			}
		})
}

// moderates is the moderation service, which answers calls that were begun before as they began.
type moderates struct {
	*moderation.Service
	*resume
}

func (p pastDeps) moderation() *moderation.Service {
	return moderation.WithRules(moderation.Deps{Maker: p.maker, Source: p.source}, p.of, p.rules)
}

// ModerateText implements ModerationServiceServer.
func (s moderates) ModerateText(ctx context.Context, req *moderationv1.ModerateTextRequest) (*moderationv1.ModerateTextResponse, error) {
	if !telemetry.Begun(ctx) {
		return s.Service.ModerateText(ctx, req)
	}
	type call = func(context.Context, *moderationv1.ModerateTextRequest) (*moderationv1.ModerateTextResponse, error)
	return again(ctx, s.resume, 0, req, s.Service.ModerateText, func(p pastDeps) call { return p.moderation().ModerateText },
		func(res *moderationv1.ModerateTextResponse, of recordOf) {
			if r := of(res.GetDecision()); r != nil {
				res.Decision, res.Action = r.GetDecision(), moderationv1.Action(r.GetAction())
			}
		})
}

// BatchModerateText implements ModerationServiceServer.
func (s moderates) BatchModerateText(ctx context.Context, req *moderationv1.BatchModerateTextRequest) (*moderationv1.BatchModerateTextResponse, error) {
	if !telemetry.Begun(ctx) {
		return s.Service.BatchModerateText(ctx, req)
	}
	type call = func(context.Context, *moderationv1.BatchModerateTextRequest) (*moderationv1.BatchModerateTextResponse, error)
	return again(ctx, s.resume, len(req.GetItems()), req, s.Service.BatchModerateText, func(p pastDeps) call { return p.moderation().BatchModerateText },
		func(res *moderationv1.BatchModerateTextResponse, of recordOf) {
			for _, one := range res.GetResults() {
				if r := of(one.GetDecision()); r != nil {
					one.Decision, one.Action = r.GetDecision(), moderationv1.Action(r.GetAction())
				}
			}
		})
}

// classifies is the classification service, which answers calls that were begun before as they began.
type classifies struct {
	*classification.Service
	*resume
}

func (p pastDeps) classification() *classification.Service {
	return classification.New(classification.Deps{Maker: p.maker, Source: p.source})
}

// ClassifyText implements ClassificationServiceServer.
func (s classifies) ClassifyText(ctx context.Context, req *classificationv1.ClassifyTextRequest) (*classificationv1.ClassifyTextResponse, error) {
	if !telemetry.Begun(ctx) {
		return s.Service.ClassifyText(ctx, req)
	}
	type call = func(context.Context, *classificationv1.ClassifyTextRequest) (*classificationv1.ClassifyTextResponse, error)
	return again(ctx, s.resume, 0, req, s.Service.ClassifyText, func(p pastDeps) call { return p.classification().ClassifyText },
		func(res *classificationv1.ClassifyTextResponse, of recordOf) {
			if r := of(res.GetDecision()); r != nil {
				res.Decision = r.GetDecision()
			}
		})
}

// ClassifyRecord implements ClassificationServiceServer.
func (s classifies) ClassifyRecord(ctx context.Context, req *classificationv1.ClassifyRecordRequest) (*classificationv1.ClassifyRecordResponse, error) {
	if !telemetry.Begun(ctx) {
		return s.Service.ClassifyRecord(ctx, req)
	}
	type call = func(context.Context, *classificationv1.ClassifyRecordRequest) (*classificationv1.ClassifyRecordResponse, error)
	return again(ctx, s.resume, 0, req, s.Service.ClassifyRecord, func(p pastDeps) call { return p.classification().ClassifyRecord },
		func(res *classificationv1.ClassifyRecordResponse, of recordOf) {
			if r := of(res.GetDecision()); r != nil {
				res.Decision = r.GetDecision()
			}
		})
}

// BatchClassifyText implements ClassificationServiceServer.
func (s classifies) BatchClassifyText(ctx context.Context, req *classificationv1.BatchClassifyTextRequest) (*classificationv1.BatchClassifyTextResponse, error) {
	if !telemetry.Begun(ctx) {
		return s.Service.BatchClassifyText(ctx, req)
	}
	type call = func(context.Context, *classificationv1.BatchClassifyTextRequest) (*classificationv1.BatchClassifyTextResponse, error)
	return again(ctx, s.resume, len(req.GetItems()), req, s.Service.BatchClassifyText, func(p pastDeps) call { return p.classification().BatchClassifyText },
		func(res *classificationv1.BatchClassifyTextResponse, of recordOf) { adoptAll(res.GetResults(), of) })
}

// BatchClassifyRecord implements ClassificationServiceServer.
func (s classifies) BatchClassifyRecord(ctx context.Context, req *classificationv1.BatchClassifyRecordRequest) (*classificationv1.BatchClassifyRecordResponse, error) {
	if !telemetry.Begun(ctx) {
		return s.Service.BatchClassifyRecord(ctx, req)
	}
	type call = func(context.Context, *classificationv1.BatchClassifyRecordRequest) (*classificationv1.BatchClassifyRecordResponse, error)
	return again(ctx, s.resume, len(req.GetItems()), req, s.Service.BatchClassifyRecord, func(p pastDeps) call { return p.classification().BatchClassifyRecord },
		func(res *classificationv1.BatchClassifyRecordResponse, of recordOf) { adoptAll(res.GetResults(), of) })
}

func adoptAll(results []*classificationv1.ClassificationResult, of recordOf) {
	for _, one := range results {
		if r := of(one.GetDecision()); r != nil {
			one.Decision = r.GetDecision()
		}
	}
}
