package main

import (
	"context"
	"encoding/json"
	"fmt"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/registry"
)

// published is what became of a trained model.
type published struct {
	version    *modelsv1.ModelVersion
	deployment *modelsv1.Deployment // nil when it was not deployed
}

// publish registers the version and, unless told otherwise, deploys it.
func (f *trainFlags) publish(ctx context.Context, models modelsv1.ModelServiceClient, r *fit.Result) (*published, error) {
	op, err := registry.Operation(f.operation)
	if err != nil {
		return nil, err
	}
	spec, err := f.spec(op, r)
	if err != nil {
		return nil, err
	}
	version, err := registry.Push(ctx, models, spec, r.Artifact)
	if err != nil && f.model == "" && fault.From(err).Reason() == commonv1.ErrorReason_ERROR_REASON_OPERATION_MISMATCH {
		// A deployment of another operation has the same name, and so has its model; the operation tells them apart.
		spec.Model = f.deployment + "-" + f.operation
		version, err = registry.Push(ctx, models, spec, r.Artifact)
	}
	if err != nil {
		return nil, each("register the version", err)
	}
	if f.noDeploy {
		return &published{version: version}, nil
	}
	req := &modelsv1.DeployRequest{Operation: op, Deployment: f.deployment, Model: version.GetModel(), Version: version.GetVersion()}
	if req.Policy, err = f.policy(ctx, models, op); err != nil {
		return nil, err
	}
	d, err := models.Deploy(ctx, req)
	if err != nil {
		return nil, each("deploy the version", err)
	}
	return &published{version: version, deployment: d.GetDeployment()}, nil
}

// policy returns the promise to deploy with: the present one with the error rate of this training.
func (f *trainFlags) policy(ctx context.Context, models modelsv1.ModelServiceClient, op commonv1.Operation) (*modelsv1.Policy, error) {
	r, err := models.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: op, Deployment: f.deployment})
	if err != nil && fault.From(err).Reason() != commonv1.ErrorReason_ERROR_REASON_DEPLOYMENT_NOT_FOUND {
		return nil, each("read the deployment", err)
	}
	policy := r.GetDeployment().GetPolicy()
	if policy == nil {
		policy = &modelsv1.Policy{AuditRate: defaultAuditRate}
	}
	policy.MaxError, policy.Confidence = f.fit.Alpha, 1-f.fit.Delta
	return policy, nil
}

// defaultAuditRate is the share of automated decisions of a new deployment that people check.
const defaultAuditRate = 0.05

func (f *trainFlags) spec(op commonv1.Operation, r *fit.Result) (*modelsv1.VersionSpec, error) {
	evaluation, err := json.Marshal(r.Evaluation)
	if err != nil {
		return nil, fmt.Errorf("write the evaluation: %w", err)
	}
	e := r.Evaluation
	spec := &modelsv1.VersionSpec{
		Model: f.model, Operation: op, Digest: r.Info.Digest,
		Metrics: &modelsv1.Metrics{Rows: int64(e.Rows), Accuracy: e.Accuracy, MacroF1: e.MacroF1, CalibrationError: e.CalibrationError},
		Lineage: &modelsv1.Lineage{
			DatasetSha256: e.Data.SHA256, TrainRows: int64(e.Data.TrainingRows), CertificationRows: int64(e.Data.CertificationRows),
			Seed: f.fit.Seed, CodeVersion: version, Notice: f.notice,
		},
		Samples:        registry.Samples(op, r.Sample),
		EvaluationJson: string(evaluation),
	}
	if spec.Model == "" {
		spec.Model = f.deployment
	}
	if e.AUC != nil {
		spec.Metrics.Auc = *e.AUC
	}
	for _, i := range r.Harmless {
		spec.HarmlessLabels = append(spec.HarmlessLabels, r.Info.Labels[i])
	}
	return spec, nil
}
