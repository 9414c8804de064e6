package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/services/identity"
	"github.com/switchyard-ai/switchyard/starter"
)

// uploadChunk is the size of the pieces that an artifact is sent in.
const uploadChunk = 1 << 20

var operations = map[string]commonv1.Operation{
	"moderation":     commonv1.Operation_OPERATION_MODERATION,
	"routing":        commonv1.Operation_OPERATION_ROUTING,
	"classification": commonv1.Operation_OPERATION_CLASSIFICATION,
}

// deployStarters registers the models that come with the product, in a registry that is empty, through the same contract as everybody.
func (a *App) deployStarters(ctx context.Context) error {
	ctx = auth.WithCaller(ctx, &auth.Caller{Project: identity.DefaultProject, KeyID: "starter", System: true})
	registry := modelsv1.NewModelServiceClient(a.server.Conn())
	list, err := registry.ListDeployments(ctx, &modelsv1.ListDeploymentsRequest{})
	if err != nil || len(list.GetDeployments()) > 0 {
		return err
	}
	all, err := starter.Models()
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := deployStarter(ctx, registry, m); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return nil
}

func deployStarter(ctx context.Context, registry modelsv1.ModelServiceClient, m starter.Model) error {
	artifact, err := m.Artifact()
	if err != nil {
		return err
	}
	spec := &modelsv1.VersionSpec{
		Model: m.Name, Operation: operations[m.Operation], Digest: m.Digest, HarmlessLabels: m.HarmlessLabels,
		Metrics: &modelsv1.Metrics{Rows: int64(m.TestRows), Accuracy: m.Accuracy, MacroF1: m.MacroF1},
		Lineage: &modelsv1.Lineage{TrainRows: int64(m.Rows), Notice: m.Notice, Starter: true},
	}
	version, err := upload(ctx, registry, spec, artifact)
	if err != nil {
		return err
	}
	for _, name := range m.Deployments {
		_, err := registry.Deploy(ctx, &modelsv1.DeployRequest{
			Operation: spec.GetOperation(), Deployment: name, Model: m.Name, Version: version.GetVersion(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func upload(ctx context.Context, registry modelsv1.ModelServiceClient, spec *modelsv1.VersionSpec, artifact []byte) (*modelsv1.ModelVersion, error) {
	stream, err := registry.RegisterVersion(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Spec{Spec: spec}})
	for err == nil && len(artifact) > 0 {
		n := min(uploadChunk, len(artifact))
		err = stream.Send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Chunk{Chunk: artifact[:n]}})
		artifact = artifact[n:]
	}
	if err != nil && !errors.Is(err, io.EOF) { // after io.EOF CloseAndRecv has the reason
		return nil, err
	}
	r, err := stream.CloseAndRecv()
	return r.GetVersion(), err
}

func trimKey(data []byte) string { return string(bytes.TrimSpace(data)) }
