package training

import (
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// reviewers asks how often the reviewers of the deployment err, so that a version which is certified on what they said is not promised too much for. It is asked once in a run: the version is the
// same however often a step is carried out.
func (j *job) reviewers() (*risk.Reviewers, error) {
	usual := &risk.Reviewers{Assumed: risk.AssumedReviewerError}
	if j.s.promises == nil {
		return usual, nil
	}
	ctx := auth.WithCaller(j.ctx, &auth.Caller{Project: j.run.project, KeyID: j.run.caller, KeyName: "run " + j.run.GetRunId(), Scopes: []string{"monitoring:read"}})
	res, err := j.s.promises.GetPromise(ctx, &monitoringv1.GetPromiseRequest{Operation: j.run.GetSpec().GetOperation(), Deployment: j.run.GetSpec().GetDeployment()})
	if because(err, commonv1.ErrorReason_ERROR_REASON_DEPLOYMENT_NOT_FOUND) {
		return usual, nil // nobody has reviewed anything of it
	}
	if err != nil {
		return nil, err
	}
	q := res.GetPromise().GetReviewers()
	if !q.GetMeasured() {
		return &risk.Reviewers{Assumed: q.GetUpper()}, nil
	}
	return &risk.Reviewers{Answers: int(q.GetAnswers()), Wrong: int(q.GetWrong())}, nil
}

// labelledBy is what is known of those who labelled rows in review.
func (p *pins) labelledBy() risk.Reviewers {
	if p.Reviewers == nil {
		return risk.Reviewers{Assumed: risk.AssumedReviewerError}
	}
	return *p.Reviewers
}
