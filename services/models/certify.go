package models

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// maxSampleRows bounds all samples of a version together.
const maxSampleRows = 4_000_000

// checkSamples checks that the samples can be certified from: sides that exist, scores between 0 and 1, and samples of labels that repeat rows
// of the common one.
func checkSamples(op commonv1.Operation, samples []*modelsv1.CertificationSample) error {
	bySide, rows := map[string]*modelsv1.CertificationSample{}, 0
	for i, s := range samples {
		field := fmt.Sprintf("spec.samples[%d]", i)
		if len(s.GetScores()) != len(s.GetCorrect()) {
			return fault.InvalidField(field, "has %d scores but %d answers", len(s.GetScores()), len(s.GetCorrect()))
		}
		if r := s.GetReviewed(); r < 0 || r > int64(len(s.GetScores())) {
			return fault.InvalidField(field+".reviewed", "is %d of %d rows", r, len(s.GetScores()))
		}
		if rows += len(s.GetScores()); rows > maxSampleRows {
			return fault.InvalidField("spec.samples", "have more than %d rows together", maxSampleRows)
		}
		for j, v := range s.GetScores() {
			if !(v >= 0 && v <= 1) { // NaN fails too
				return fault.InvalidField(fmt.Sprintf("%s.scores[%d]", field, j), "is %v, must be 0 to 1", v)
			}
		}
		if op == commonv1.Operation_OPERATION_MODERATION && s.GetSide() != risk.SideRemove && s.GetSide() != risk.SideAllow {
			return fault.InvalidField(field+".side", "is %q, must be %q or %q for moderation", s.GetSide(), risk.SideRemove, risk.SideAllow)
		}
		if bySide[s.GetSide()] != nil {
			return fault.InvalidField(field+".side", "side %q has two samples", s.GetSide())
		}
		bySide[s.GetSide()] = s
	}
	if op == commonv1.Operation_OPERATION_MODERATION {
		return nil
	}
	rest := countRows(bySide[""])
	for i, s := range samples {
		if s.GetSide() != "" && !rest.take(s) {
			return fault.InvalidField(fmt.Sprintf("spec.samples[%d]", i), "has rows that the sample of all labels does not have")
		}
	}
	return nil
}

// row is one labelled row of a sample, without its side.
type row struct {
	score   float32
	correct bool
}

// rowCounts is a bag of rows.
type rowCounts map[row]int

func countRows(s *modelsv1.CertificationSample) rowCounts {
	out := make(rowCounts, len(s.GetScores()))
	for i, score := range s.GetScores() {
		out[row{score, s.GetCorrect()[i]}]++
	}
	return out
}

// take removes the rows of a sample from the bag; false when they are not all in it.
func (c rowCounts) take(s *modelsv1.CertificationSample) bool {
	for i, score := range s.GetScores() {
		r := row{score, s.GetCorrect()[i]}
		if c[r] == 0 {
			return false
		}
		c[r]--
	}
	return true
}

// checkReviewers checks what a specification says of those who labelled its samples.
func checkReviewers(r *modelsv1.ReviewerRecord) error {
	if r.GetAnswers() < 0 || r.GetWrong() < 0 || r.GetWrong() > r.GetAnswers() {
		return fault.InvalidField("spec.reviewers.wrong", "is %d of %d answers", r.GetWrong(), r.GetAnswers())
	}
	return checkRange("spec.reviewers.assumed_error", r.GetAssumedError(), 0, 0.3)
}

// reviewersOf returns how often those err who labelled reviewed rows. Who says nothing of them has the usual ones.
func reviewersOf(r *modelsv1.ReviewerRecord) risk.Reviewers {
	out := risk.Reviewers{Answers: int(r.GetAnswers()), Wrong: int(r.GetWrong()), Assumed: r.GetAssumedError()}
	orDefault(&out.Assumed, risk.AssumedReviewerError)
	return out
}

// certify computes the certificates of a version under a filled policy. A version that comes from elsewhere is certified on no row
// of this project, whatever samples it brings: its certificates say how many rows are needed.
func certify(of *stored, p *modelsv1.Policy, now time.Time) ([]*modelsv1.Certificate, error) {
	v, samples := of.version, of.samples
	if v.GetLineage().GetStarter() {
		samples = nil
	}
	var certificates []risk.Certificate
	var err error
	points, delta, reviewers := pointsOf(samples, p), 1-p.GetConfidence(), reviewersOf(of.reviewers)
	switch {
	case v.GetOperation() == commonv1.Operation_OPERATION_MODERATION:
		remove, allow := sideLimits(p)
		certificates, err = reviewers.Sides(points, remove, allow, delta)
	default: // one group of all labels, or the labels with limits of their own and the others together
		certificates, err = reviewers.Labels(points, p.GetMaxError(), p.GetLabelMaxError(), delta)
	}
	if err != nil {
		return nil, fmt.Errorf("certify version %d of %s: %w", v.GetVersion(), v.GetModel(), err)
	}
	// Rows that were answered out of scope are never automated and are in no sample, but they are a share of the work.
	total := max(int64(len(points)), v.GetLineage().GetCertificationRows())
	out := make([]*modelsv1.Certificate, len(certificates))
	for i, c := range certificates {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make certificate id: %w", err)
		}
		out[i] = &modelsv1.Certificate{
			CertificateId: id.String(), Side: c.Side, MaxError: c.Alpha, Confidence: 1 - c.Delta, Threshold: c.Threshold, Rows: total,
			Accepted: int64(c.Accepted), Errors: int64(c.Errors), PValue: c.PValue, Certified: c.Certified,
			LabelsNeeded: int64(c.MoreLabels), CreateTime: timestamppb.New(now), ReviewerError: c.ReviewerError,
		}
		if len(points) == 0 {
			out[i].Rows = 0
			continue
		}
		scale := float64(total) / float64(len(points))
		out[i].Coverage = float64(c.Accepted) / float64(total)
		if c.MoreLabels > 0 {
			out[i].LabelsNeeded = int64(math.Ceil(float64(c.MoreLabels) * scale))
		}
	}
	return out, nil
}

// pointsOf gives every row of the samples the side whose limit it falls under. Which rows of a sample are reviewed it does not say, and that need not be known: one is as good as all.
func pointsOf(samples []*modelsv1.CertificationSample, p *modelsv1.Policy) []risk.Point {
	var points []risk.Point
	add := func(side string, s *modelsv1.CertificationSample) {
		for i, score := range s.GetScores() {
			points = append(points, risk.Point{Score: float64(score), Correct: s.GetCorrect()[i], Side: side, Reviewed: s.GetReviewed() > 0})
		}
	}
	var common *modelsv1.CertificationSample
	var own []*modelsv1.CertificationSample
	for _, s := range samples {
		_, limited := p.GetLabelMaxError()[s.GetSide()]
		switch side := s.GetSide(); {
		case side == "":
			common = s
		case side == risk.SideRemove || side == risk.SideAllow, limited:
			own = append(own, s)
		}
	}
	if common == nil { // moderation
		for _, s := range own {
			add(s.GetSide(), s)
		}
		return points
	}
	if len(p.GetLabelMaxError()) == 0 {
		add("", common)
		return points
	}
	rest := countRows(common)
	for _, s := range own {
		if _, limited := p.GetLabelMaxError()[s.GetSide()]; limited && rest.take(s) {
			add(s.GetSide(), s)
		}
	}
	for r, n := range rest { // the order does not matter: rows with equal scores are accepted together
		for range n {
			points = append(points, risk.Point{Score: float64(r.score), Correct: r.correct, Reviewed: common.GetReviewed() > 0})
		}
	}
	return points
}

// statement says the promise in one sentence.
func statement(d *modelsv1.Deployment) string {
	if d.GetChampion() == nil {
		return "no model: rules decide, people decide the rest"
	}
	confidence := percent(d.GetPolicy().GetConfidence())
	var certified, open []string
	coverage, needed, rows := 0.0, int64(0), int64(0)
	for _, c := range d.GetCertificates() {
		rows = max(rows, c.GetRows())
		if c.GetCertified() {
			certified = append(certified, sideName(c.GetSide())+"≤ "+percent(c.GetMaxError()))
			coverage += c.GetCoverage()
			continue
		}
		open = append(open, strings.TrimSpace(sideName(c.GetSide())+"≤ "+percent(c.GetMaxError())))
		if c.GetLabelsNeeded() < 0 || needed < 0 {
			needed = -1
		} else {
			needed = max(needed, c.GetLabelsNeeded())
		}
	}
	var b strings.Builder
	if len(certified) > 0 {
		fmt.Fprintf(&b, "certified error %s (%s), automated %.0f %%", enumerate(certified), confidence, 100*coverage)
	}
	if len(open) > 0 {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "not certified: error %s (%s)", enumerate(open), confidence)
		switch {
		case needed < 0:
			b.WriteString(", more labelled rows alone would not help")
		case rows == 0:
			fmt.Fprintf(&b, ", at least %d labelled rows of this project are needed", needed)
		default:
			fmt.Fprintf(&b, ", about %d more labelled rows are needed", needed)
		}
		if d.GetPolicy().GetUncertified() == modelsv1.Uncertified_UNCERTIFIED_AUTOMATE {
			b.WriteString("; automated without a promise")
		}
	}
	b.WriteString(haltNote(d))
	return b.String()
}

// sideName says which automation an error limit is for; empty for all.
func sideName(side string) string {
	switch side {
	case "":
		return ""
	case risk.SideRemove:
		return "of removals "
	case risk.SideAllow:
		return "of allowed texts "
	}
	return "of " + strconv.Quote(side) + " "
}

// enumerate joins the first few; a policy may limit a thousand labels, a sentence may not.
func enumerate(parts []string) string {
	const most = 4
	if len(parts) > most {
		return strings.Join(parts[:most], ", ") + fmt.Sprintf(" and %d more", len(parts)-most)
	}
	return strings.Join(parts, ", ")
}

// percent writes 0.05 as "5 %" and 0.0025 as "0.25 %".
func percent(v float64) string {
	return strconv.FormatFloat(math.Round(v*1e4)/1e2, 'f', -1, 64) + " %"
}
