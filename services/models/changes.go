package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// changesList is what page tokens of the list are bound to.
const changesList = "deployment changes"

// ListDeploymentChanges lists the entries of the ledger, newest first.
func (s *Service) ListDeploymentChanges(ctx context.Context, req *modelsv1.ListDeploymentChangesRequest) (*modelsv1.ListDeploymentChangesResponse, error) {
	owner, err := ownerOf(ctx, req.GetProject())
	if err != nil {
		return nil, err
	}
	filter, err := filterOf(req)
	if err != nil {
		return nil, err
	}
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), changesList, filter, 1)
	if err != nil {
		return nil, err
	}
	before := int64(math.MaxInt64)
	if ok {
		if before, err = strconv.ParseInt(after[0], 10, 64); err != nil {
			return nil, fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
		}
	}
	res, more := &modelsv1.ListDeploymentChangesResponse{Page: &commonv1.PageResponse{}}, false
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		res.Changes, more, err = s.store.changes(tx, owner, req, before, db.PageSize(req.GetPage().GetSize()))
		return err
	})
	if err != nil {
		return nil, err
	}
	if more {
		res.Page.NextToken = db.Token(changesList, filter, strconv.FormatInt(res.Changes[len(res.Changes)-1].GetSequence(), 10))
	}
	return res, nil
}

// filterOf is what a page token is bound to: all of the request but the page.
func filterOf(req *modelsv1.ListDeploymentChangesRequest) (string, error) {
	all := proto.CloneOf(req)
	all.Page = nil
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encode filter: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// changes reads the entries of a project before a sequence, newest first.
func (*store) changes(tx *db.Tx, project string, req *modelsv1.ListDeploymentChangesRequest, before int64, size int) (out []*modelsv1.DeploymentChange, more bool, err error) {
	from, to := bound(req.GetFrom(), 0), bound(req.GetTo(), math.MaxInt64)
	op, name, kind, model := req.GetOperation(), req.GetDeployment(), req.GetKind(), req.GetModel()
	bytes := 0
	err = tx.Each(`SELECT `+changeColumns+`, CASE WHEN kind = ? OR kind = ? THEN state END FROM deployment_ledger WHERE project = ? AND seq < ? AND (? = 0 OR operation = ?) AND (? = '' OR name = ?)
		AND (? = 0 OR kind = ?) AND (? = '' OR model = ?) AND recorded >= ? AND recorded < ? ORDER BY seq DESC LIMIT ?`,
		[]any{aliasKind, tagsKind, project, before, op, op, name, name, kind, kind, model, model, from, to, size + 1}, func(scan func(...any) error) error {
			if more {
				return nil
			}
			var noted []byte
			c, err := scanChange(scan, project, &noted)
			if err != nil {
				return err
			}
			if err := showNoted(c, noted); err != nil {
				return err
			}
			if bytes += proto.Size(c); len(out) == size || (bytes > maxPageBytes && len(out) > 0) {
				more = true
				return nil
			}
			out = append(out, c)
			return nil
		})
	return out, more, err
}

// bound returns a time of a filter, or what stands for none.
func bound(t *timestamppb.Timestamp, none int64) int64 {
	if t == nil {
		return none
	}
	return db.Micros(t.AsTime())
}
