package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// chunkBytes is the size of the pieces that an artifact is sent in; the contract allows 1 MiB.
const chunkBytes = 512 << 10

// published is what became of a trained model.
type published struct {
	version    *modelsv1.ModelVersion
	deployment *modelsv1.Deployment // nil when it was not deployed
}

func parseOperation(name string) (commonv1.Operation, error) {
	switch name {
	case "moderation":
		return commonv1.Operation_OPERATION_MODERATION, nil
	case "routing":
		return commonv1.Operation_OPERATION_ROUTING, nil
	case "classification":
		return commonv1.Operation_OPERATION_CLASSIFICATION, nil
	}
	return 0, usagef("--operation is %q, allowed are moderation, routing and classification", name)
}

// publish registers the version and, unless told otherwise, deploys it.
func (f *trainFlags) publish(ctx context.Context, registry modelsv1.ModelServiceClient, r *fit.Result) (*published, error) {
	op, err := parseOperation(f.operation)
	if err != nil {
		return nil, err
	}
	spec, err := f.spec(op, r)
	if err != nil {
		return nil, err
	}
	version, err := register(ctx, registry, spec, r.Artifact)
	if f.model == "" && fault.From(err).Reason() == commonv1.ErrorReason_ERROR_REASON_OPERATION_MISMATCH {
		// A deployment of another operation has the same name, and so has its model; the operation tells them apart.
		spec.Model = f.deployment + "-" + f.operation
		version, err = register(ctx, registry, spec, r.Artifact)
	}
	if err != nil {
		return nil, each("register the version", err)
	}
	if f.noDeploy {
		return &published{version: version}, nil
	}
	req := &modelsv1.DeployRequest{Operation: op, Deployment: f.deployment, Model: version.GetModel(), Version: version.GetVersion()}
	if req.Policy, err = f.policy(ctx, registry, op); err != nil {
		return nil, err
	}
	d, err := registry.Deploy(ctx, req)
	if err != nil {
		return nil, each("deploy the version", err)
	}
	return &published{version: version, deployment: d.GetDeployment()}, nil
}

// policy returns the promise to deploy with: the present one with the error rate of this training.
func (f *trainFlags) policy(ctx context.Context, registry modelsv1.ModelServiceClient, op commonv1.Operation) (*modelsv1.Policy, error) {
	r, err := registry.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: op, Deployment: f.deployment})
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
		Samples:        samples(op, r),
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

// samples turns the certification sample into what the registry certifies from: the two sides of moderation, else all labels together
// and each label by itself. Answers that are never automated, whatever their score, are in none of them.
func samples(op commonv1.Operation, r *fit.Result) []*modelsv1.CertificationSample {
	var list []*modelsv1.CertificationSample
	bySide := map[string]*modelsv1.CertificationSample{}
	add := func(side string, p risk.Point) {
		s := bySide[side]
		if s == nil {
			s = &modelsv1.CertificationSample{Side: side}
			bySide[side] = s
			list = append(list, s)
		}
		s.Scores = append(s.Scores, float32(p.Score))
		s.Correct = append(s.Correct, p.Correct)
	}
	for _, p := range r.Sample {
		if p.Abstain {
			continue
		}
		if op != commonv1.Operation_OPERATION_MODERATION {
			add("", p)
		}
		if p.Side != "" {
			add(p.Side, p)
		}
	}
	return list
}

// register uploads the artifact in pieces.
func register(ctx context.Context, registry modelsv1.ModelServiceClient, spec *modelsv1.VersionSpec, artifact []byte) (*modelsv1.ModelVersion, error) {
	stream, err := registry.RegisterVersion(ctx)
	if err != nil {
		return nil, err
	}
	send := func(r *modelsv1.RegisterVersionRequest) error {
		if err := stream.Send(r); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil // after io.EOF CloseAndRecv has the reason
	}
	if err := send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Spec{Spec: spec}}); err != nil {
		return nil, err
	}
	for len(artifact) > 0 {
		n := min(chunkBytes, len(artifact))
		if err := send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Chunk{Chunk: artifact[:n]}}); err != nil {
			return nil, err
		}
		artifact = artifact[n:]
	}
	r, err := stream.CloseAndRecv()
	if err != nil {
		return nil, err
	}
	return r.GetVersion(), nil
}
