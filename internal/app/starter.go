package app

import (
	"bytes"
	"context"
	"fmt"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/registry"
	"github.com/switchyard-ai/switchyard/services/identity"
	"github.com/switchyard-ai/switchyard/starter"
)

// deployStarters registers the models that come with the product, in a registry that is empty, through the same contract as everybody.
func (a *App) deployStarters(ctx context.Context) error {
	ctx = auth.WithCaller(ctx, &auth.Caller{Project: identity.DefaultProject, KeyID: "starter", System: true})
	models := modelsv1.NewModelServiceClient(a.server.Conn())
	list, err := models.ListDeployments(ctx, &modelsv1.ListDeploymentsRequest{})
	if err != nil || len(list.GetDeployments()) > 0 {
		return err
	}
	all, err := starter.Models()
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := deployStarter(ctx, models, m); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return nil
}

func deployStarter(ctx context.Context, models modelsv1.ModelServiceClient, m starter.Model) error {
	artifact, err := m.Artifact()
	if err != nil {
		return err
	}
	op, err := registry.Operation(m.Operation)
	if err != nil {
		return err
	}
	spec := &modelsv1.VersionSpec{
		Model: m.Name, Operation: op, Digest: m.Digest, HarmlessLabels: m.HarmlessLabels,
		Metrics: &modelsv1.Metrics{Rows: int64(m.TestRows), Accuracy: m.Accuracy, MacroF1: m.MacroF1},
		Lineage: &modelsv1.Lineage{TrainRows: int64(m.Rows), Notice: m.Notice, Starter: true},
	}
	version, err := registry.Push(ctx, models, spec, artifact)
	if err != nil {
		return err
	}
	for _, name := range m.Deployments {
		_, err := models.Deploy(ctx, &modelsv1.DeployRequest{
			Operation: spec.GetOperation(), Deployment: name, Model: m.Name, Version: version.GetVersion(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func trimKey(data []byte) string { return string(bytes.TrimSpace(data)) }
