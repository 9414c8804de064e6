package decisions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// listName is what page tokens of this list are bound to.
const listName = "decisions"

// ListDecisions returns a page of the caller's decisions.
func (s *Service) ListDecisions(ctx context.Context, req *decisionsv1.ListDecisionsRequest) (*decisionsv1.ListDecisionsResponse, error) {
	caller := auth.FromContext(ctx)
	if caller == nil || caller.Project == "" {
		return nil, fault.KeyMissing()
	}
	filter, err := filterOf(req)
	if err != nil {
		return nil, err
	}
	after, _, err := db.ParseToken(req.GetPage().GetToken(), listName, filter, 1)
	if err != nil {
		return nil, err
	}
	before := ""
	if len(after) > 0 {
		before = after[0]
	}
	records, next, err := s.list.List(ctx, caller.Project, req, before, db.PageSize(req.GetPage().GetSize()))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fault.Unavailable("record of decisions").Cause(err)
	}
	res := &decisionsv1.ListDecisionsResponse{Records: records, Page: &commonv1.PageResponse{}}
	if next != "" {
		res.Page.NextToken = db.Token(listName, filter, next)
	}
	return res, nil
}

// filterOf is what a page token is bound to beside the list: all of the request but the page.
func filterOf(req *decisionsv1.ListDecisionsRequest) (string, error) {
	all := proto.Clone(req).(*decisionsv1.ListDecisionsRequest)
	all.Page = nil
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(all)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}
