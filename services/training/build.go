package training

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// BuildDataset makes a version of a data set from the labels in the lake.
func (s *Service) BuildDataset(ctx context.Context, req *trainingv1.BuildDatasetRequest) (*trainingv1.BuildDatasetResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	d, created, err := s.build(ctx, of, auth.FromContext(ctx).KeyID, req)
	if err != nil {
		return nil, err
	}
	return &trainingv1.BuildDatasetResponse{Dataset: d, Created: created}, nil
}

// build makes and stores a version.
func (s *Service) build(ctx context.Context, of, key string, req *trainingv1.BuildDatasetRequest) (*trainingv1.Dataset, bool, error) {
	q := proto.CloneOf(req.GetQuery())
	if q == nil {
		return nil, false, fault.InvalidField("query", "must be set")
	}
	if q.GetWithoutFeedback() && q.GetWithoutVerdicts() {
		return nil, false, fault.InvalidField("query", "leaves out verdicts and feedback, so nothing is left")
	}
	known, err := s.known(ctx, of, key, q.GetOperation(), q.GetDeployment())
	if err != nil {
		return nil, false, err
	}
	h, err := s.harvest(ctx, of, q, known)
	if err != nil {
		return nil, false, err
	}
	q.ThroughSequence = h.sequence
	if len(h.rows) == 0 {
		return nil, false, fault.NotFound("labelled decision of", fault.OperationName(q.GetOperation())+"/"+q.GetDeployment()+why(h.rejected))
	}
	set := dataset.Assemble(req.GetName(), plain(h.rows), dataset.Options{})
	set.Lists = known.multi
	byLine := make(map[int]*snapshot.Row, len(h.rows))
	for i := range h.rows {
		byLine[h.rows[i].Line] = &h.rows[i]
	}
	rows := make([]snapshot.Row, len(set.Rows))
	for i, r := range set.Rows {
		rows[i] = *byLine[r.Line]
		rows[i].Row = r
	}
	for reason, n := range h.rejected {
		set.RejectedByReason[reason] += n
	}
	d := &trainingv1.Dataset{Name: req.GetName(), Operation: q.GetOperation(), Query: q, Attributes: q.GetAttributes()}
	return s.describe(ctx, of, d, set, rows, req.GetSplit(), known)
}

// describe divides the rows, says what is remarkable about them and stores the version.
func (s *Service) describe(
	ctx context.Context, of string, d *trainingv1.Dataset, set *dataset.Set, rows []snapshot.Row, split *trainingv1.SplitSpec, known *known,
) (*trainingv1.Dataset, bool, error) {
	d.Split = fillSplit(split)
	found := dataset.Group(set.Rows, d.GetSplit().GetNearDuplicate())
	sides, err := dataset.Divide(set.Rows, dataset.Split{
		Method: splitName[d.GetSplit().GetMethod()], TestShare: d.GetSplit().GetTestShare(), Seed: d.GetSplit().GetSeed(),
	})
	if errors.Is(err, dataset.ErrDivide) {
		return nil, false, fault.InvalidField("split.method", "%v", err)
	}
	if err != nil {
		return nil, false, err
	}
	for i := range rows {
		rows[i].Row, rows[i].Side = set.Rows[i], sides[i]
		rows[i].Time = rows[i].Time.Truncate(time.Microsecond)
	}
	d.Kind, d.Rows, d.Digest = string(set.Kind), int64(len(rows)), snapshot.Digest(rows)
	count(d, rows)
	d.Report = inform(set, rows, found, known)
	return s.keep(ctx, of, d, rows)
}

var splitName = map[trainingv1.SplitMethod]string{
	trainingv1.SplitMethod_SPLIT_METHOD_RANDOM: dataset.SplitRandom, trainingv1.SplitMethod_SPLIT_METHOD_TIME: dataset.SplitTime,
	trainingv1.SplitMethod_SPLIT_METHOD_NONE: dataset.SplitNone, trainingv1.SplitMethod_SPLIT_METHOD_TEST_ONLY: dataset.SplitTestOnly,
}

// fillSplit returns the split with its defaults.
func fillSplit(split *trainingv1.SplitSpec) *trainingv1.SplitSpec {
	out := &trainingv1.SplitSpec{}
	if split != nil {
		out = proto.CloneOf(split)
	}
	if out.GetMethod() == 0 {
		out.Method = trainingv1.SplitMethod_SPLIT_METHOD_RANDOM
	}
	if out.GetTestShare() == 0 {
		out.TestShare = 0.2
	}
	if out.GetSeed() == 0 {
		out.Seed = 1
	}
	if out.GetNearDuplicate() == 0 {
		out.NearDuplicate = 0.9
	}
	out.NearDuplicate = max(out.GetNearDuplicate(), 0.5)
	return out
}

// known asks the registry what the deployment's model answers with; a deployment that does not exist yet knows nothing.
func (s *Service) known(ctx context.Context, of, key string, op commonv1.Operation, deployment string) (*known, error) {
	if deployment == "" || s.models == nil {
		return &known{}, nil
	}
	v, err := s.deployed(ctx, of, key, op, deployment)
	if err != nil || v.GetChampion() == nil {
		return &known{}, err
	}
	c := v.GetChampion()
	return &known{all: c.GetLabels(), harmless: c.GetHarmlessLabels(), multi: c.GetMultiLabel()}, nil
}

// deployed returns a deployment, nil when it does not exist.
func (s *Service) deployed(ctx context.Context, of, key string, op commonv1.Operation, name string) (*modelsv1.Deployment, error) {
	r, err := s.models.GetDeployment(acting(ctx, of, key, ""), &modelsv1.GetDeploymentRequest{Operation: op, Deployment: name})
	if because(err, commonv1.ErrorReason_ERROR_REASON_DEPLOYMENT_NOT_FOUND) {
		return nil, nil //nolint:nilnil // there is none, which is an answer
	}
	if err != nil {
		return nil, err
	}
	return r.GetDeployment(), nil
}

func asTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
