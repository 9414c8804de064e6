package serving

import (
	"log/slog"
	"sync/atomic"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Live is one deployment as it answers now. Its fields must not be changed, and the predictor not be used after Release.
type Live struct {
	// Deployment is the registry's answer: policy, certificates, champion.
	Deployment *modelsv1.Deployment
	// Predictor scores; nil when the deployment goes by rules alone.
	Predictor engine.Predictor
	// Ref names the model in decisions; nil when Predictor is.
	Ref *commonv1.ModelRef

	// Trials are the versions beside the champion that could be loaded, canaries first.
	Trials []*Trial

	certificates certificates
	model        *model       // nil without a predictor
	whole        bool         // every version that the deployment names was loaded
	broken       bool         // the version could not be loaded and there is no older one
	refs         atomic.Int64 // one of the table, one of each running call; 0 is final
}

// newLive returns a Live that holds one reference for the table. It takes over one reference to the model, which may be nil, and to that of each trial.
func newLive(d *modelsv1.Deployment, m *model, trials []*Trial, broken bool) *Live {
	l := &Live{Deployment: d, Trials: trials, model: m, broken: broken, certificates: bySide(d.GetCertificates())}
	if m != nil {
		l.Predictor, l.Ref = m.predictor, refOf(d.GetChampion())
	}
	l.whole = len(l.models()) == len(versions(d))
	l.refs.Store(1)
	return l
}

func refOf(v *modelsv1.ModelVersion) *commonv1.ModelRef {
	return &commonv1.ModelRef{Name: v.GetModel(), Version: v.GetVersion(), Digest: v.GetDigest()}
}

// models returns the opened models: the champion's first, if any.
func (l *Live) models() (out []*model) {
	if l.model != nil {
		out = append(out, l.model)
	}
	for _, t := range l.Trials {
		out = append(out, t.model)
	}
	return out
}

// Threshold returns the score from which answers of a side ("remove", "allow", a label) are automated, and the certificate that says so. A
// certificate of the side's own overrides the one of all labels, also where it failed. ok is false when nothing is certified.
func (l *Live) Threshold(side string) (t float64, certificateID string, ok bool) {
	return l.certificates.threshold(side)
}

// Retain adds a use of what Acquire returned, to be ended by a Release of its own. Only who still uses it may call it.
func (l *Live) Retain() { l.refs.Add(1) }

// Release ends the use of what Acquire returned.
func (l *Live) Release() {
	switch n := l.refs.Add(-1); {
	case n == 0:
		for _, m := range l.models() {
			m.release()
		}
	case n < 0:
		// A defect of a caller. Counting on would let the next one go unnoticed.
		l.refs.Store(0)
		slog.Error("deployment was released more often than acquired", "deployment", l.Deployment.GetName())
	}
}

// acquire adds a reference unless the last one is gone.
func (l *Live) acquire() bool {
	for {
		n := l.refs.Load()
		if n == 0 {
			return false
		}
		if l.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// model is an opened predictor that several Lives may share: those of one deployment under successive policies, and those of
// deployments that use the same version.
type model struct {
	digest    string
	predictor engine.Predictor
	refs      atomic.Int64
	log       *slog.Logger
}

// share adds a reference; false when the model has been closed.
func (m *model) share() bool {
	for {
		n := m.refs.Load()
		if n == 0 {
			return false
		}
		if m.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (m *model) release() {
	if m.refs.Add(-1) > 0 {
		return
	}
	if err := m.predictor.Close(); err != nil {
		m.log.Error("model could not be closed", "digest", m.digest, "error", err)
	}
}
