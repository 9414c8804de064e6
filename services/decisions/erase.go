package decisions

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// EraseSubject takes the data of one of the project's persons out of everything that keeps it.
func (s *Service) EraseSubject(ctx context.Context, req *decisionsv1.EraseSubjectRequest) (*decisionsv1.EraseSubjectResponse, error) {
	caller := auth.FromContext(ctx)
	if caller == nil || caller.Project == "" {
		return nil, fault.KeyMissing()
	}
	res := &decisionsv1.EraseSubjectResponse{}
	at := map[string]*decisionsv1.ErasedPlace{}
	named := map[string]bool{} // versions, by the run that made them
	for _, e := range s.erasers {
		report, err := e.Erase(ctx, caller.Project, req.GetSubjectId())
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, fault.Unavailable("record of decisions").Cause(err)
		}
		for _, p := range report.Places { // some places are looked at twice
			if at[p.Place] == nil {
				at[p.Place] = &decisionsv1.ErasedPlace{Place: p.Place}
				res.Places = append(res.Places, at[p.Place])
			}
			at[p.Place].Records += p.Records
		}
		for _, t := range report.Trained {
			if !named[t.GetRunId()] {
				named[t.GetRunId()] = true
				res.TrainedModels = append(res.TrainedModels, t)
			}
		}
		res.ModelDigests = append(res.ModelDigests, report.Models...)
		res.Time = timestamppb.New(report.Time)
	}
	return res, nil
}
