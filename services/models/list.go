package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// chunkBytes is the size of the pieces of a downloaded artifact.
const chunkBytes = 256 << 10

// ListModels lists the models of the project by name.
func (s *Service) ListModels(ctx context.Context, req *modelsv1.ListModelsRequest) (*modelsv1.ListModelsResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	after, _, err := db.ParseToken(req.GetPage().GetToken(), "models", "", 1)
	if err != nil {
		return nil, err
	}
	res, more := &modelsv1.ListModelsResponse{Page: &commonv1.PageResponse{}}, false
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		if res.Models, more, err = s.store.models(tx, project, first(after), db.PageSize(req.GetPage().GetSize())); err != nil || len(res.Models) == 0 {
			return err
		}
		aliases, err := s.store.aliases(tx, project, res.Models[0].GetName(), res.Models[len(res.Models)-1].GetName())
		for _, m := range res.Models {
			for len(aliases) > 0 && aliases[0].GetModel() == m.GetName() {
				m.Aliases, aliases = append(m.Aliases, aliases[0]), aliases[1:]
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if n := fitting(res.Models); n < len(res.Models) {
		res.Models, more = res.Models[:n], true
	}
	if more {
		res.Page.NextToken = db.Token("models", "", res.Models[len(res.Models)-1].GetName())
	}
	return res, nil
}

// ListVersions lists the versions of a model, newest first.
func (s *Service) ListVersions(ctx context.Context, req *modelsv1.ListVersionsRequest) (*modelsv1.ListVersionsResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	tags, err := tagFilters(req.GetTags())
	if err != nil {
		return nil, err
	}
	filter := fmt.Sprintf("%q %q", req.GetModel(), req.GetTags())
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), "versions", filter, 1)
	if err != nil {
		return nil, err
	}
	before := int64(math.MaxInt64)
	if ok {
		if before, err = strconv.ParseInt(after[0], 10, 64); err != nil {
			return nil, fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
		}
	}
	res, more := &modelsv1.ListVersionsResponse{Page: &commonv1.PageResponse{}}, false
	err = s.store.db.View(ctx, func(tx *db.Tx) error {
		m, err := s.store.model(tx, project, req.GetModel())
		if err != nil {
			return err
		}
		if m == nil {
			return fault.ModelNotFound(req.GetModel())
		}
		res.Versions, more, err = s.store.versions(tx, project, req.GetModel(), tags, before, db.PageSize(req.GetPage().GetSize()))
		if err != nil {
			return err
		}
		return s.store.annotate(tx, project, res.Versions...)
	})
	if err != nil {
		return nil, err
	}
	if n := fitting(res.Versions); n < len(res.Versions) {
		res.Versions, more = res.Versions[:n], true
	}
	if more {
		last := res.Versions[len(res.Versions)-1].GetVersion()
		res.Page.NextToken = db.Token("versions", filter, strconv.FormatInt(int64(last), 10))
	}
	return res, nil
}

// ListDeployments lists the deployments of the project by operation and name.
func (s *Service) ListDeployments(ctx context.Context, req *modelsv1.ListDeploymentsRequest) (*modelsv1.ListDeploymentsResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	filter := strconv.Itoa(int(req.GetOperation()))
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), "deployments", filter, 2)
	if err != nil {
		return nil, err
	}
	afterOp, afterName := int64(0), ""
	if ok {
		if afterOp, err = strconv.ParseInt(after[0], 10, 64); err != nil {
			return nil, fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
		}
		afterName = after[1]
	}
	res, more := &modelsv1.ListDeploymentsResponse{Page: &commonv1.PageResponse{}}, false
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		size := db.PageSize(req.GetPage().GetSize())
		res.Deployments, more, err = s.store.deployments(tx, project, req.GetOperation(), afterOp, afterName, size)
		return err
	})
	if err != nil {
		return nil, err
	}
	if more {
		last := res.Deployments[len(res.Deployments)-1]
		res.Page.NextToken = db.Token("deployments", filter, strconv.Itoa(int(last.GetOperation())), last.GetName())
	}
	return res, nil
}

// GetVersion returns one version with its full evaluation.
func (s *Service) GetVersion(ctx context.Context, req *modelsv1.GetVersionRequest) (*modelsv1.GetVersionResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	var v *stored
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		if v, err = s.named(tx, project, req.GetModel(), req.GetVersion()); err != nil {
			return err
		}
		return s.store.annotate(tx, project, v.version)
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.GetVersionResponse{Version: v.version, EvaluationJson: v.evaluation}, nil
}

func (s *Service) lookUp(ctx context.Context, project, model string, number int32) (v *stored, err error) {
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		v, err = s.named(tx, project, model, number)
		return err
	})
	return v, err
}

// DownloadArtifact sends the artifact of a version in pieces.
func (s *Service) DownloadArtifact(req *modelsv1.DownloadArtifactRequest, stream grpc.ServerStreamingServer[modelsv1.DownloadArtifactResponse]) error {
	ctx := stream.Context()
	owner, err := ownerOf(ctx, req.GetProject())
	if err != nil {
		return err
	}
	v, err := s.lookUp(ctx, owner, req.GetModel(), req.GetVersion())
	if err != nil {
		return err
	}
	r, _, err := s.blobs.Open(v.version.GetDigest())
	if err != nil {
		return s.blobFault(err)
	}
	defer r.Close()
	for {
		chunk := make([]byte, chunkBytes) // its own each time: an in-process transport may still hold the last one
		n, err := io.ReadFull(r, chunk)
		if n > 0 {
			if err := stream.Send(&modelsv1.DownloadArtifactResponse{Chunk: chunk[:n]}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return s.blobFault(err)
		}
	}
}

// ownerOf returns whose artifact is asked for: that of another project only with the scope of those that serve for all.
func ownerOf(ctx context.Context, asked string) (string, error) {
	c := auth.FromContext(ctx)
	if c == nil {
		return "", fault.KeyMissing()
	}
	if asked == "" || asked == c.Project {
		return project(ctx)
	}
	if !c.Has("platform:serve") {
		return "", fault.ScopeMissing("platform:serve")
	}
	return asked, nil
}

// fitting is how many of the rows fit a page with everything that is noted about them; at least one.
func fitting[M proto.Message](rows []M) int {
	bytes := 0
	for i, m := range rows {
		if bytes += proto.Size(m); bytes > maxPageBytes && i > 0 {
			return i
		}
	}
	return len(rows)
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}
