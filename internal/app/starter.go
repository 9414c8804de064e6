package app

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/registry"
	"github.com/switchyard-ai/switchyard/services/identity"
	"github.com/switchyard-ai/switchyard/services/models"
	"github.com/switchyard-ai/switchyard/starter"
)

// deployStarters registers the models that come with the product, in a registry that is empty. It calls the service itself: the chain
// in front of it is not ready this early, and nobody else can call yet.
func (a *App) deployStarters(ctx context.Context) error {
	ctx = auth.WithCaller(ctx, &auth.Caller{Project: identity.DefaultProject, KeyID: "starter", System: true})
	list, err := a.models.ListDeployments(ctx, &modelsv1.ListDeploymentsRequest{})
	if err != nil || len(list.GetDeployments()) > 0 {
		return err
	}
	all, err := starter.Models()
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, m := range all {
		group.Go(func() error {
			if err := deployStarter(ctx, a.models, m); err != nil {
				return fmt.Errorf("%s: %w", m.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func deployStarter(ctx context.Context, service *models.Service, m starter.Model) error {
	artifact, err := m.Artifact()
	if err != nil {
		return err
	}
	op, err := registry.Operation(m.Operation)
	if err != nil {
		return err
	}
	upload := &upload{ctx: ctx, artifact: artifact, spec: &modelsv1.VersionSpec{
		Model: m.Name, Operation: op, Digest: m.Digest, HarmlessLabels: m.HarmlessLabels,
		Metrics: &modelsv1.Metrics{Rows: int64(m.TestRows), Accuracy: m.Accuracy, MacroF1: m.MacroF1},
		Lineage: &modelsv1.Lineage{TrainRows: int64(m.Rows), Notice: m.Notice, Starter: true},
	}}
	if err := service.RegisterVersion(upload); err != nil {
		return err
	}
	for _, name := range m.Deployments {
		_, err := service.Deploy(ctx, &modelsv1.DeployRequest{
			Operation: op, Deployment: name, Model: m.Name, Version: upload.response.GetVersion().GetVersion(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// upload is the stream of one artifact that is in memory.
type upload struct {
	grpc.ServerStream
	ctx      context.Context //nolint:containedctx // how gRPC hands the context of a stream on
	spec     *modelsv1.VersionSpec
	artifact []byte
	response *modelsv1.RegisterVersionResponse
}

// Context is that of the start.
func (u *upload) Context() context.Context { return u.ctx }

// Recv returns the specification, then the artifact in one piece.
func (u *upload) Recv() (*modelsv1.RegisterVersionRequest, error) {
	if spec := u.spec; spec != nil {
		u.spec = nil
		return &modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Spec{Spec: spec}}, nil
	}
	if chunk := u.artifact; chunk != nil {
		u.artifact = nil
		return &modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Chunk{Chunk: chunk}}, nil
	}
	return nil, io.EOF
}

// SendAndClose takes the answer.
func (u *upload) SendAndClose(r *modelsv1.RegisterVersionResponse) error {
	u.response = r
	return nil
}

func trimKey(data []byte) string { return string(bytes.TrimSpace(data)) }
