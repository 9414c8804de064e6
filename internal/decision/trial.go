package decision

import (
	"errors"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/serving"
)

// trialLive is a version that answers instead of the champion: by its own certificates, as long as the deployment is held open.
type trialLive struct {
	Live
	trial *serving.Trial
}

// Threshold implements Live.
func (l trialLive) Threshold(side string) (float64, string, bool) { return l.trial.Threshold(side) }

// Version is the version that answers, nil when the deployment goes by rules alone.
func (t *Target) Version() *modelsv1.ModelVersion {
	if t.trial != nil {
		return t.trial.Version
	}
	return t.Deployment.GetChampion()
}

// variant says whether that is the champion.
func (t *Target) variant() commonv1.Variant {
	if t.trial != nil {
		return commonv1.Variant_VARIANT_CHALLENGER
	}
	return commonv1.Variant_VARIANT_CHAMPION
}

// For returns the deployment as it answers about this item: with a version on trial when the item falls into its share. The same subject, else the same content, else the same input, is
// always answered by the same version. It is released with the Target that it comes from, not by itself.
func (t *Target) For(subjectID, contentID string, in func() Input) *Target {
	if len(t.Trials) == 0 || t.Trials[0].Share == 0 {
		return t
	}
	key := subjectID
	if key == "" {
		key = contentID
	}
	if key == "" {
		input := in()
		sum := input.Digest()
		key = string(sum[:])
	}
	left := 1.0
	for _, tr := range t.Trials {
		if tr.Share == 0 {
			break
		}
		// Each version draws for itself, so that a share that grows keeps those who had it.
		if left > 0 && place(t.Deployment, tr.Ref.GetDigest(), key) < tr.Share/left {
			return t.with(tr)
		}
		left -= tr.Share
	}
	return t
}

// OnTrial says that the version that answers is a challenger, whatever the deployment says: to repeat what one has decided.
func (t *Target) OnTrial() { t.trial = &serving.Trial{Version: t.Deployment.GetChampion(), Ref: t.Ref} }

func (t *Target) with(tr *serving.Trial) *Target {
	c := *t
	c.Live, c.Predictor, c.Ref, c.trial, c.champion = trialLive{t.Live, tr}, tr.Predictor, tr.Ref, tr, t
	return &c
}

// place is a number from 0 to 1 that depends on nothing but its arguments: on every machine the same.
func place(d *modelsv1.Deployment, digest, key string) float64 {
	h := uint64(14695981039346656037) // FNV-1a, then mixed
	for _, s := range [...]string{d.GetProject(), d.GetName(), digest, key} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53)
}

// score asks the version that answers. When one on trial fails for another reason than the input, the champion answers: a trial must not cost anybody an answer.
func (t *Target) score(in engine.Input, p []float32) (took time.Duration, err error) {
	if len(t.Trials) == 0 {
		return 0, t.Predictor.Predict(in, p)
	}
	begin := time.Now()
	err = t.Predictor.Predict(in, p)
	return time.Since(begin), err
}

// fallBack makes the champion answer in place of a version on trial that failed; false when it is the champion that failed, or the input.
func (t *Target) fallBack(err error) bool {
	if err == nil || t.champion == nil || errors.Is(err, engine.ErrInput) {
		return false
	}
	failed := t.trial
	*t = *t.champion
	t.failed = failed
	return true
}
