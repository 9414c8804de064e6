package training

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/engine/gate"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// evaluated is what the sixth step settles.
type evaluated struct {
	// Report is the digest of a blob: Judgement as JSON.
	Report string
	// Revision is that of the deployment whose champion the candidate was compared with; 0 when there is none.
	Revision int64
	Passed   bool
	// Champion is the version that it was compared with; 0 when there was none.
	Champion int32
}

// Judgement is the report of a run.
type Judgement struct {
	Run        string           `json:"run"`
	Deployment string           `json:"deployment"`
	Dataset    string           `json:"dataset"`
	Digest     string           `json:"digest"` // of the artifact
	Evaluation *eval.Evaluation `json:"evaluation"`
	// Champion is how the present version does on the same rows; absent when there is none.
	Champion        *eval.Evaluation  `json:"champion,omitempty"`
	ChampionVersion int32             `json:"championVersion,omitempty"`
	Gates           *gate.Report      `json:"gates"`
	Cost            *costs            `json:"cost,omitempty"`
	Search          []trial           `json:"search,omitempty"`
	Suspects        []suspect         `json:"suspects,omitempty"`
	Findings        []dataset.Finding `json:"findings"`
}

// costs are what a thousand items cost in review at the policy's prices, in millionths of the currency.
type costs struct {
	Currency   string `json:"currency"`
	ByHand     int64  `json:"byHandMicros"`
	Candidate  int64  `json:"candidateMicros"`
	Champion   int64  `json:"championMicros,omitempty"`
	PerItem    int64  `json:"reviewMicros"`
	WrongActed int64  `json:"wrongPerThousand"` // items of a thousand that would be acted on wrongly
}

// evaluate measures the candidate beside the champion, and judges.
func (j *job) evaluate() (any, string, error) {
	sets, err := j.rows()
	if err != nil {
		return nil, "", err
	}
	artifact, f, err := j.model()
	if err != nil {
		return nil, "", err
	}
	use, err := output[splitOutput](j, trainingv1.RunStep_RUN_STEP_SPLIT)
	if err != nil {
		return nil, "", err
	}
	noise, err := output[inspected](j, trainingv1.RunStep_RUN_STEP_INSPECT)
	if err != nil {
		return nil, "", err
	}
	search, err := output[searched](j, trainingv1.RunStep_RUN_STEP_SEARCH)
	if err != nil {
		return nil, "", err
	}
	d, err := j.at.deployment(j)
	if err != nil {
		return nil, "", err
	}
	in := gate.Input{Policy: policyOf(j.run.GetSpec().GetGates()), Lineage: sets.lineage, Noise: noise.Noise}
	in.Lineage.Use = use.Use
	measure, err := j.unseen(d, sets.measure.Rows)
	if err != nil {
		return nil, "", err
	}
	for _, row := range measure {
		in.Rows = append(in.Rows, gate.Row{Labels: row.Labels, Attributes: row.Attributes})
	}
	moderation := j.run.GetSpec().GetOperation() == moderationOperation
	candidate, err := load.Parse(artifact)
	if err != nil {
		return nil, "", fmt.Errorf("open the candidate: %w", err)
	}
	defer candidate.Close()
	harmless := indices(candidate.Info().Labels, f.Harmless)
	j.say(0.1, false, "measuring the candidate on %d rows", len(in.Rows))
	if in.Candidate.Sample, err = fit.Score(j.ctx, candidate, measure, moderation, harmless); err != nil {
		return nil, "", err
	}
	in.Candidate.Certificates = f.Certificates
	if sets.golden != nil {
		golden, err := fit.Score(j.ctx, candidate, sets.golden.Rows, moderation, harmless)
		if err != nil {
			return nil, "", err
		}
		in.Golden = &gate.GoldenRows{Rows: len(sets.golden.Rows)}
		for i := range sets.golden.Rows {
			if golden.Right(i) {
				in.Golden.Right++
			}
		}
	}
	judged := &Judgement{
		Run: j.run.GetRunId(), Deployment: f.Evaluation.Operation + "/" + j.run.GetSpec().GetDeployment(), Dataset: sets.pins.Dataset.String(),
		Digest: candidate.Info().Digest, Evaluation: f.Evaluation, Search: search.Trials, Suspects: noise.Suspects, Findings: f.Findings,
	}
	if d.GetChampion() != nil {
		j.say(0.5, false, "measuring version %d, which answers now, on the same rows", d.GetChampion().GetVersion())
		if in.Champion, err = j.champion(d, measure, moderation); err != nil {
			return nil, "", err
		}
		judged.Champion, judged.ChampionVersion = eval.Measure(in.Champion.Sample), d.GetChampion().GetVersion()
		judged.Champion.Operation, judged.Champion.MeasuredOn = f.Evaluation.Operation, "test"
	}
	judged.Gates = gate.Judge(in)
	judged.Cost = priced(d.GetPolicy(), &in, judged.Gates)
	data, err := json.Marshal(judged)
	if err != nil {
		return nil, "", err
	}
	out := &evaluated{Revision: d.GetRevision(), Passed: judged.Gates.Passed, Champion: judged.ChampionVersion}
	if out.Report, err = j.at.put(j, data); err != nil {
		return nil, "", err
	}
	summary := fmt.Sprintf("accuracy %.2f %% on %d rows", 100*f.Evaluation.Accuracy, f.Evaluation.Rows)
	if c := judged.Gates.Comparison; c != nil {
		summary = fmt.Sprintf("accuracy %.2f %%, of version %d %.2f %%, on the same %d rows", 100*c.Accuracy.Share, judged.ChampionVersion, 100*c.Champion.Share, c.Rows)
	}
	return out, summary, nil
}

// unseen leaves out the rows that the version which answers has learned from, as far as a run here trained it: on those it would shine.
func (j *job) unseen(d *modelsv1.Deployment, rows []dataset.Row) ([]dataset.Row, error) {
	v := d.GetChampion()
	if v == nil {
		return rows, nil
	}
	all, err := j.at.learned(j, v)
	if err != nil || all == nil {
		return rows, err
	}
	var kept []dataset.Row
	for i, how := range leaking(snapshot.Set("", all, dataset.Train).Rows, rows) {
		if how != copied {
			kept = append(kept, rows[i])
		}
	}
	if n := len(rows) - len(kept); n > 0 {
		j.say(0.1, true, "%d rows that version %d has learned from are left out of the comparison", n, v.GetVersion())
	}
	return kept, nil
}

// champion downloads what answers now and asks it about the rows.
func (j *job) champion(d *modelsv1.Deployment, rows []dataset.Row, moderation bool) (*gate.Model, error) {
	v := d.GetChampion()
	artifact, err := j.at.champion(j, v)
	if err != nil {
		return nil, err
	}
	p, err := load.Parse(artifact)
	if err != nil {
		return nil, fmt.Errorf("open version %d of %s: %w", v.GetVersion(), v.GetModel(), err)
	}
	defer p.Close()
	m := &gate.Model{}
	if m.Sample, err = fit.Score(j.ctx, p, rows, moderation, indices(p.Info().Labels, v.GetHarmlessLabels())); err != nil {
		return nil, err
	}
	for _, c := range d.GetCertificates() {
		m.Certificates = append(m.Certificates, risk.Certificate{
			Side: c.GetSide(), Alpha: c.GetMaxError(), Delta: 1 - c.GetConfidence(), Certified: inForce(d, c), Threshold: c.GetThreshold(),
			Sample: int(c.GetRows()), Accepted: int(c.GetAccepted()), Errors: int(c.GetErrors()), PValue: c.GetPValue(), Coverage: c.GetCoverage(),
		})
	}
	return m, nil
}

// download reads an artifact from the registry and checks that it is the one.
func (s *Service) download(ctx context.Context, v *modelsv1.ModelVersion) ([]byte, error) {
	stream, err := s.models.DownloadArtifact(ctx, &modelsv1.DownloadArtifactRequest{Model: v.GetModel(), Version: v.GetVersion()})
	if err != nil {
		return nil, err
	}
	var out []byte
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if out = append(out, m.GetChunk()...); int64(len(out)) > v.GetSizeBytes() {
			return nil, fmt.Errorf("artifact of version %d of %s is longer than %d bytes", v.GetVersion(), v.GetModel(), v.GetSizeBytes())
		}
	}
	sum := sha256.Sum256(out)
	if got := "sha256:" + hex.EncodeToString(sum[:]); got != v.GetDigest() {
		return nil, fmt.Errorf("artifact of version %d of %s is %s, registered was %s", v.GetVersion(), v.GetModel(), got, v.GetDigest())
	}
	return out, nil
}

// indices are the places of names in a list; names that are not in it are left out.
func indices(list, names []string) []int {
	var out []int
	for _, n := range names {
		if i := slices.Index(list, n); i >= 0 {
			out = append(out, i)
		}
	}
	return out
}

func policyOf(p *trainingv1.GatePolicy) gate.Policy {
	return gate.Policy{
		Margin: p.GetMargin(), GroupMargin: p.GetGroupMargin(), Confidence: p.GetConfidence(), MaxCalibrationError: p.GetMaxCalibrationError(),
		MinRows: int(p.GetMinRows()), MinGroupRows: int(p.GetMinGroupRows()), MaxLabelNoise: p.GetMaxLabelNoise(), AutomationMargin: p.GetAutomationMargin(),
		MinGolden: p.GetMinGolden(), AllowRemovedLabels: p.GetAllowRemovedLabels(), MaxEvaluations: int(p.GetMaxEvaluations()), Attributes: p.GetAttributes(),
	}.WithDefaults()
}

// priced says what the review of a thousand items costs: by hand, with the candidate, with the champion. Nil without prices.
func priced(p *modelsv1.Policy, in *gate.Input, r *gate.Report) *costs {
	item := float64(p.GetReviewerHourMicros()) * p.GetReviewSeconds() / 3600
	if item == 0 || len(in.Rows) == 0 {
		return nil
	}
	c := &costs{Currency: p.GetCurrency(), ByHand: int64(1000 * item), PerItem: int64(item)}
	points := in.Candidate.Sample.Points()
	done, wrong := 0, 0
	for _, pt := range points {
		if eval.Accepts(in.Candidate.Certificates, pt) {
			if done++; !pt.Correct {
				wrong++
			}
		}
	}
	n := float64(len(points))
	c.Candidate, c.WrongActed = int64(1000*item*(1-float64(done)/n)), int64(1000*float64(wrong)/n)
	if r.Comparison != nil {
		c.Champion = int64(1000 * item * (1 - r.Comparison.ChampionAutomated))
	}
	return c
}
