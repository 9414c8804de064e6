package decision

import (
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/serving"
)

// Live is a deployment's state at one moment: which thresholds are certified, and how long its model must stay open.
type Live interface {
	// Threshold returns the certified threshold of a side ("remove", "allow", a label, or "" for all), and the id of the certificate.
	// ok is false when nothing is certified.
	Threshold(side string) (t float64, certificateID string, ok bool)
	// Release says that the model is no longer used.
	Release()
}

// Target is a deployment as it answers now. Whoever acquired it calls Release once.
type Target struct {
	Live
	Deployment *modelsv1.Deployment
	Predictor  engine.Predictor   // nil when the deployment has rules only
	Ref        *commonv1.ModelRef // nil when Predictor is
	Trials     []*serving.Trial   // versions beside the champion, those that answer a share first

	trial    *serving.Trial // the version on trial that answers; nil for the champion
	champion *Target        // what it answers in place of; set with trial
	failed   *serving.Trial // a version on trial that could not score, so that the champion answers
}

// Source finds deployments.
type Source interface {
	// Acquire fails with DEPLOYMENT_NOT_FOUND, and with MODEL_NOT_DEPLOYED when the operation needs a model and none serves.
	Acquire(project string, op commonv1.Operation, name string) (Target, error)
}

// policy returns the policy in force, never nil.
func (t *Target) policy() *modelsv1.Policy {
	if p := t.Deployment.GetPolicy(); p != nil {
		return p
	}
	return noPolicy
}

var noPolicy = &modelsv1.Policy{}

func (t *Target) recordMode() modelsv1.RecordMode { return t.policy().GetRecord() }

// Automates says whether the project accepts answers without a certificate.
func (t *Target) automates() bool {
	return t.policy().GetUncertified() == modelsv1.Uncertified_UNCERTIFIED_AUTOMATE
}
