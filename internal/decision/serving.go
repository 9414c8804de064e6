package decision

import (
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/serving"
)

var _ Live = (*serving.Live)(nil)

// Table is where live deployments are found; *serving.Table is one.
type Table interface {
	Acquire(k serving.Key) (*serving.Live, error)
}

// FromTable returns the deployments of a serving table.
func FromTable(t Table) Source { return tableSource{t} }

type tableSource struct{ table Table }

// Acquire implements Source.
func (s tableSource) Acquire(project string, op commonv1.Operation, name string) (Target, error) {
	l, err := s.table.Acquire(serving.Key{Project: project, Operation: op, Name: name})
	if err != nil {
		return Target{}, err
	}
	return Target{Live: l, Deployment: l.Deployment, Predictor: l.Predictor, Ref: l.Ref, Trials: l.Trials}, nil
}
