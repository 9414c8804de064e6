package gate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// Judge lets every gate look at the candidate. All of them do, so that a refusal names everything that stands against it; those that refuse come first.
func Judge(in Input) *Report {
	in.Policy = in.Policy.WithDefaults()
	j := &judge{in: &in, p: in.Policy, report: &Report{Policy: in.Policy, Noise: in.Noise, Slices: []Slice{}}}
	j.independence()
	j.freshness()
	j.labelSet()
	j.labelNoise()
	j.rows()
	j.reuse()
	j.accuracy()
	j.slices()
	j.calibration()
	j.golden()
	j.certificate()
	j.promise()
	slices.SortStableFunc(j.report.Gates, func(a, b Result) int { return rank(a) - rank(b) })
	j.report.Passed = !slices.ContainsFunc(j.report.Gates, func(r Result) bool { return !r.Passed })
	return j.report
}

func rank(r Result) int {
	switch {
	case !r.Passed:
		return 0
	case !r.Skipped:
		return 1
	}
	return 2
}

type judge struct {
	in     *Input
	p      Policy
	report *Report
}

func (j *judge) say(r Result, format string, args ...any) {
	r.Statement = fmt.Sprintf(format, args...)
	j.report.Gates = append(j.report.Gates, r)
}

func (j *judge) skip(gate, why string) {
	j.say(Result{Gate: gate, Passed: true, Skipped: true}, "%s", why)
}

func (j *judge) independence() {
	l := j.in.Lineage
	r := Result{Gate: Independence, Observed: share(l.Overlap, l.Of), Limit: Tolerated, Rows: l.Of}
	r.Passed = r.Observed <= Tolerated
	switch {
	case l.Overlap == 0:
		j.say(r, "none of the %d rows to measure on was among those to train or tune on%s", l.Of, left(l.Persons))
	case r.Passed:
		j.say(r, "%d of the %d rows to measure on were also used to train or tune, by %s, and are left out%s", l.Overlap, l.Of, l.Where, left(l.Persons))
	default:
		j.say(r, "%d of the %d rows to measure on (%s) were also used to train or tune, by %s: the sets were mixed, and what is measured on them says nothing", l.Overlap, l.Of, percent(r.Observed), l.Where)
	}
}

func left(persons int) string {
	if persons == 0 {
		return ""
	}
	return fmt.Sprintf("; %d rows of persons who are known from there are left out", persons)
}

func (j *judge) freshness() {
	l := j.in.Lineage
	if l.MedianTrained.IsZero() || l.NewestMeasured.IsZero() {
		j.skip(Freshness, "rows have no times")
		return
	}
	const day = "2006-01-02 15:04"
	r := Result{Gate: Freshness, Passed: !l.NewestMeasured.Before(l.MedianTrained), Rows: l.Of}
	if r.Passed {
		j.say(r, "rows to measure on reach up to %s, half of those to train on are older than %s", l.NewestMeasured.Format(day), l.MedianTrained.Format(day))
		return
	}
	j.say(r, "the newest row to measure on is of %s, half of those to train on are newer than %s: what is measured is the past", l.NewestMeasured.Format(day), l.MedianTrained.Format(day))
}

func (j *judge) labelSet() {
	if j.in.Champion == nil {
		j.skip(LabelSet, "there is no champion to compare labels with")
		return
	}
	mine, theirs := j.in.Candidate.Sample.Labels, j.in.Champion.Sample.Labels
	removed, added := without(theirs, mine), without(mine, theirs)
	r := Result{Gate: LabelSet, Passed: len(removed) == 0 || j.p.AllowRemovedLabels, Observed: float64(len(removed))}
	switch {
	case len(removed) == 0 && len(added) == 0:
		j.say(r, "it knows the same %d labels as the champion", len(mine))
	case len(removed) == 0:
		j.say(r, "it knows %d labels that the champion does not (%s)", len(added), some(added))
	case r.Passed:
		j.say(r, "it no longer knows %d labels of the champion (%s), which the policy allows", len(removed), some(removed))
	default:
		j.say(r, "it no longer knows %d labels that the champion answers with (%s), since no row to train on has them; add rows, or set allow_removed_labels", len(removed), some(removed))
	}
}

func (j *judge) labelNoise() {
	n := j.in.Noise
	if n == nil {
		j.skip(LabelNoise, "mislabelled rows were not looked for")
		return
	}
	r := Result{Gate: LabelNoise, Passed: n.Low <= j.p.MaxLabelNoise, Observed: n.Share, Limit: j.p.MaxLabelNoise, Low: n.Low, High: n.High, Rows: n.Rows}
	j.say(r, "about %s of the %d rows to train on are mislabelled (between %s and %s; %d look it), at most %s may", percent(n.Share), n.Rows, percent(n.Low), percent(n.High), n.Suspected, percent(j.p.MaxLabelNoise))
}

func (j *judge) rows() {
	n := len(j.in.Rows)
	r := Result{Gate: Rows, Passed: n >= j.p.MinRows, Observed: float64(n), Limit: float64(j.p.MinRows), Rows: n}
	j.say(r, "measured on %d rows, at least %d are needed", n, j.p.MinRows)
}

func (j *judge) reuse() {
	use := max(1, j.in.Lineage.Use)
	r := Result{Gate: Reuse, Passed: use <= j.p.MaxEvaluations, Observed: float64(use), Limit: float64(j.p.MaxEvaluations), Rows: len(j.in.Rows)}
	if r.Passed {
		j.say(r, "comparison number %d on these rows, %d are allowed", use, j.p.MaxEvaluations)
		return
	}
	j.say(r, "comparison number %d on these rows, %d are allowed: candidates have been fitted to them; take newer rows", use, j.p.MaxEvaluations)
}

// level is how often this comparison may be wrong on one side.
func (j *judge) level() float64 {
	use := float64(max(1, j.in.Lineage.Use))
	return (1 - j.p.Confidence) / (use * (use + 1))
}

func (j *judge) accuracy() {
	n := len(j.in.Rows)
	if j.in.Champion == nil {
		j.skip(Accuracy, "there is no champion to compare with")
		return
	}
	if n == 0 {
		j.skip(Accuracy, "there is no row to compare on")
		return
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	c, z := count(j.in, all), quantile(0.025)
	cmp := &Comparison{
		Rows: n, Accuracy: wilson(c.right.plus, c.right.n, z), Champion: wilson(c.champion.plus, c.champion.n, z), Better: c.better, Worse: c.worse,
		Difference: c.paired.mean(), Level: j.level(), PWorse: pWorse(c.paired.plus, c.paired.minus),
	}
	if j.in.Candidate.Sample.Weights != nil {
		cmp.EffectiveRows = c.paired.n
	}
	cmp.Low, cmp.High = difference(c.paired.plus, c.paired.minus, c.paired.n, cmp.Level)
	j.report.Comparison = cmp
	r := Result{Gate: Accuracy, Passed: cmp.Low >= -j.p.Margin, Observed: cmp.Difference, Limit: -j.p.Margin, Low: cmp.Low, High: cmp.High, Rows: n}
	verdict := "it is shown not to be worse than"
	switch {
	case !r.Passed && cmp.High < -j.p.Margin:
		verdict = "it is worse than"
	case !r.Passed:
		verdict = "it is not shown not to be worse than"
	}
	j.say(r, "accuracy %s against %s of the champion on the same %d rows%s (%d better, %d worse): difference %s, between %s and %s; %s the champion by %s",
		percent(cmp.Accuracy.Share), percent(cmp.Champion.Share), n, j.worth(c.paired), c.better, c.worse, signed(cmp.Difference), signed(cmp.Low), signed(cmp.High), verdict, percent(j.p.Margin))
}

// slices judges labels and groups.
func (j *judge) slices() {
	j.report.Slices = measure(j.in, partition(j.in.Rows, j.p))
	if j.in.Champion == nil {
		j.skip(SliceGate, "there is no champion to compare labels with")
		return
	}
	families := map[string]int{}
	for _, s := range j.report.Slices {
		families[s.Attribute]++
	}
	for _, s := range j.report.Slices {
		level := (1 - j.p.Confidence) / float64(families[s.Attribute])
		r := Result{
			Gate: SliceGate, Subject: s.Name, Passed: s.Difference >= -j.p.GroupMargin || s.PWorse > level,
			Observed: s.Difference, Limit: -j.p.GroupMargin, Rows: s.Rows,
		}
		if s.Attribute != "" {
			r.Gate, r.Subject = GroupGate, s.Attribute+"="+s.Name
		}
		if r.Passed && s.Attribute == "" {
			continue // hundreds of labels that are all right are in the table of slices
		}
		j.say(r, "%s: accuracy %s against %s of the champion on %d rows (%d better, %d worse), difference %s, chance explains it with p = %.2g (level %.2g); %s may be lost",
			r.Subject, percent(s.Accuracy.Share), percent(s.Champion.Share), s.Rows, s.Better, s.Worse, signed(s.Difference), s.PWorse, level, percent(j.p.GroupMargin))
	}
	if n := families[""]; n > 0 && !slices.ContainsFunc(j.report.Gates, func(r Result) bool { return r.Gate == SliceGate }) {
		j.say(Result{Gate: SliceGate, Passed: true, Limit: -j.p.GroupMargin, Rows: len(j.in.Rows)}, "none of %d labels is worse by more than %s beyond chance", n, percent(j.p.GroupMargin))
	}
}

func (j *judge) calibration() {
	s := j.in.Candidate.Sample
	var scores, weights []float64
	var correct []bool
	for i, p := range s.Points() {
		if s.Refused(i) {
			continue
		}
		weights = append(weights, s.Weight(i))
		if s.Multilabel || s.Moderation {
			scores, correct = append(scores, p.Score), append(correct, p.Correct)
			continue
		}
		_, top := risk.Top(s.Row(i))
		scores, correct = append(scores, top), append(correct, s.Right(i))
	}
	if len(scores) == 0 {
		j.skip(Calibration, "nothing was answered")
		return
	}
	observed := risk.CalibrationError(risk.WeightedReliability(scores, correct, weights, bins))
	expected := expectedError(scores, weights)
	r := Result{
		Gate: Calibration, Passed: observed-expected <= j.p.MaxCalibrationError, Observed: observed - expected, Limit: j.p.MaxCalibrationError, Rows: len(scores),
	}
	j.say(r, "calibration error %s, of which chance explains %s with %d rows; %s beyond that are allowed", percent(observed), percent(expected), len(scores), percent(j.p.MaxCalibrationError))
}

const bins = 15

// expectedError is the calibration error that perfectly honest scores would show with so few rows (consistency resampling: Bröcker and Smith 2007). The draws are the
// same for the same number of rows.
func expectedError(scores, weights []float64) float64 {
	const rounds = 50
	random := rand.New(rand.NewPCG(uint64(len(scores)), 0x63616c))
	sum, all := 0.0, 0.0
	for _, w := range weights {
		all += w
	}
	for range rounds {
		var surplus [bins]float64 // confidence beyond what came true
		for i, p := range scores {
			b := min(bins-1, int(p*bins))
			if surplus[b] += weights[i] * p; random.Float64() < p {
				surplus[b] -= weights[i]
			}
		}
		for _, s := range surplus {
			sum += math.Abs(s)
		}
	}
	return sum / rounds / all
}

func (j *judge) golden() {
	g := j.in.Golden
	if g == nil || g.Rows == 0 {
		j.skip(Golden, "there are no golden rows")
		return
	}
	r := Result{Gate: Golden, Observed: share(g.Right, g.Rows), Limit: j.p.MinGolden, Rows: g.Rows}
	r.Passed = r.Observed >= j.p.MinGolden
	j.say(r, "%d of %d golden rows are answered rightly, %s must be", g.Right, g.Rows, percent(j.p.MinGolden))
}

// certificate holds what the candidate may automate against what the champion does, on the same rows.
func (j *judge) certificate() {
	if j.in.Champion == nil {
		j.skip(Certificate, "there is no champion whose certificate could be lost")
		return
	}
	n := len(j.in.Rows)
	for _, theirs := range j.in.Champion.Certificates {
		mine, ok := risk.Find(j.in.Candidate.Certificates, theirs.Side)
		if theirs.Certified && (!ok || !mine.Certified) {
			j.say(Result{Gate: Certificate, Subject: theirs.Side, Observed: 0, Limit: theirs.Coverage, Rows: mine.Sample},
				"error ≤ %s is certified for the champion%s and not for it: of the %d rows that certify, none of its thresholds passes", percent(theirs.Alpha), sided(theirs.Side), mine.Sample)
			return
		}
	}
	a, b := j.in.Candidate.accepted(), j.in.Champion.accepted()
	both, own, champion := make([]outcome, len(a)), make([]outcome, len(a)), make([]outcome, len(a))
	for i := range a {
		w := j.in.Candidate.Sample.Weight(i)
		both[i], own[i], champion[i] = outcome{signOf(a[i], b[i]), w}, outcome{one(a[i]), w}, outcome{one(b[i]), w}
	}
	paired, mine, theirs := weigh(both), weigh(own).mean(), weigh(champion).mean()
	r := Result{Gate: Certificate, Observed: mine - theirs, Limit: -j.p.AutomationMargin, Rows: n}
	r.Low, r.High = difference(paired.plus, paired.minus, paired.n, j.level())
	r.Passed = r.Observed >= -j.p.AutomationMargin || pWorse(paired.plus, paired.minus) > 1-j.p.Confidence
	if j.report.Comparison != nil {
		j.report.Comparison.Automated, j.report.Comparison.ChampionAutomated = mine, theirs
	}
	j.say(r, "it would automate %s of the rows%s, the champion %s; %s may be lost", percent(mine), j.worth(paired), percent(theirs), percent(j.p.AutomationMargin))
}

// promise looks whether the certified error is kept on rows that neither trained nor certified.
func (j *judge) promise() {
	points, accepted := j.in.Candidate.Sample.Points(), j.in.Candidate.accepted()
	judged := false
	for _, c := range j.in.Candidate.Certificates {
		if !c.Certified {
			continue
		}
		var errors []outcome
		for i, p := range points {
			if found, ok := risk.Find(j.in.Candidate.Certificates, p.Side); ok && found.Side == c.Side && accepted[i] {
				errors = append(errors, outcome{one(!p.Correct), p.Stands()})
			}
		}
		n, e := len(errors), weigh(errors)
		if n == 0 {
			continue
		}
		judged = true
		// The chance of so many errors or more if the promise were just kept.
		p := 1.0
		if wrong := int(math.Round(e.plus)); wrong > 0 {
			p = 1 - risk.BinomialTail(wrong-1, int(math.Round(e.n)), c.Alpha)
		}
		r := Result{Gate: Promise, Subject: c.Side, Passed: p > (1-j.p.Confidence)/2, Observed: e.mean(), Limit: c.Alpha, Rows: n}
		rate := wilson(e.plus, e.n, quantile(0.025))
		r.Low, r.High = rate.Low, rate.High
		j.say(r, "of %d rows that it would automate%s%s %s are wrong, %s are promised (p = %.2g)", n, j.worth(e), sided(c.Side), percent(r.Observed), percent(c.Alpha), p)
	}
	if !judged {
		j.skip(Promise, "it would automate none of the rows")
	}
}

// worth says in brackets how many rows that were not chosen would say as much; nothing where all rows count alike.
func (j *judge) worth(e evidence) string {
	if j.in.Candidate.Sample.Weights == nil {
		return ""
	}
	return fmt.Sprintf(" (weighted, worth %.0f)", e.n)
}

func sided(side string) string {
	if side == "" {
		return ""
	}
	return " on the side " + side
}

func without(a, b []string) []string {
	var out []string
	for _, v := range a {
		if !slices.Contains(b, v) {
			out = append(out, v)
		}
	}
	return out
}

// some lists at most five names.
func some(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}

func share(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func percent(v float64) string { return trim(fmt.Sprintf("%.2f", 100*v)) + " %" }

func signed(v float64) string {
	if math.Abs(v) < 5e-5 {
		return "0 %"
	}
	return trim(fmt.Sprintf("%+.2f", 100*v)) + " %"
}

func trim(s string) string {
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
