package serving

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Trial is a version that is open beside the champion.
type Trial struct {
	Version   *modelsv1.ModelVersion
	Predictor engine.Predictor
	Ref       *commonv1.ModelRef
	// Share of the calls that it answers; 0 in shadow.
	Share float64
	// Shadow says that it scores what others answer, to be compared.
	Shadow bool
	// Begun is when its trial began: what is counted says so, since the same versions may be compared again.
	Begun *timestamppb.Timestamp

	certificates certificates
	model        *model
}

// Threshold is Live.Threshold by the certificates of this version.
func (t *Trial) Threshold(side string) (at float64, certificateID string, ok bool) {
	return t.certificates.threshold(side)
}

// certificates are those in force, by side.
type certificates map[string]*modelsv1.Certificate

func bySide(list []*modelsv1.Certificate) certificates {
	out := make(certificates, len(list))
	for _, c := range list {
		out[c.GetSide()] = c
	}
	return out
}

func (c certificates) threshold(side string) (t float64, certificateID string, ok bool) {
	found, is := c[side]
	if !is {
		found, is = c[""]
	}
	if !is || !found.GetCertified() {
		return 0, "", false
	}
	return found.GetThreshold(), found.GetCertificateId(), true
}

// versions returns what a deployment wants open: its champion, those on trial, and the champion before, which a rollback then finds without loading.
func versions(d *modelsv1.Deployment) (out []*modelsv1.ModelVersion) {
	if d.GetChampion() != nil {
		out = append(out, d.GetChampion())
	}
	for _, c := range d.GetChallengers() {
		out = append(out, c.GetVersion())
	}
	if p := d.GetPrevious(); p != nil {
		out = append(out, p)
	}
	return out
}

// trials returns the versions beside the champion, each with a reference to its model, and whether one is missing for a reason that may pass. What cannot be loaded is on no trial:
// the champion answers, as if it were not there.
func (t *Table) trials(ctx context.Context, d *modelsv1.Deployment, opened map[string]*opening) (out []*Trial, late bool) {
	add := func(tr *Trial) {
		o := opened[tr.Version.GetDigest()]
		if o.err != nil {
			t.log.ErrorContext(ctx, "version on trial could not be loaded", "project", d.GetProject(), "deployment", d.GetName(), "model", tr.Version.GetModel(),
				"version", tr.Version.GetVersion(), "error", o.err)
			late = late || !errors.Is(o.err, engine.ErrFormat)
			return
		}
		o.model.refs.Add(1)
		tr.model, tr.Predictor, tr.Ref = o.model, o.model.predictor, refOf(tr.Version)
		out = append(out, tr)
	}
	for _, canaries := range []bool{true, false} {
		for _, c := range d.GetChallengers() {
			if (c.GetShare() > 0) == canaries {
				add(&Trial{Version: c.GetVersion(), Share: c.GetShare(), Shadow: !canaries, Begun: c.GetStartTime(), certificates: bySide(c.GetCertificates())})
			}
		}
	}
	if p := d.GetPrevious(); p != nil {
		// Until the champion has shown itself, the one before is what it is compared with, by the certificates that it would have again.
		add(&Trial{Version: p, Shadow: d.GetProbation() != nil, Begun: d.GetChampionTime(), certificates: bySide(d.GetPreviousCertificates())})
	}
	return out, late
}
