package eval

import (
	"cmp"
	"math"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

const (
	bins         = 15 // of the reliability diagram, as in the literature on calibration
	curvePoints  = 100
	matrixLabels = 20
	confusions   = 20
)

// Measure evaluates the sample; Automation, Promise and Data are the caller's to add (see Automate).
func Measure(s *Sample) *Evaluation {
	e := &Evaluation{Task: "multiclass", Rows: len(s.Truth), Data: Data{RejectedByReason: map[string]int{}, Warnings: []string{}}, Automation: []Automation{}}
	if s.Multilabel {
		e.Task = "multilabel"
	}
	right, all, squares := 0.0, 0.0, 0.0
	for i := range s.Truth {
		w := s.Weight(i)
		all, squares = all+w, squares+w*w
		if s.right(i) {
			right += w
		}
		if s.refused(i) {
			e.RefusedRows++
		}
		if slices.Contains(s.Truth[i], -1) {
			e.UnknownLabelRows++
		}
	}
	e.Accuracy = part(right, all)
	if s.Weights != nil {
		e.EffectiveRows = part(all*all, squares)
	}
	e.labels(s)
	e.confusions(s)
	e.probabilities(s)
	e.scope(s)
	e.RiskCoverage = curve(s.Points())
	return e
}

func (e *Evaluation) labels(s *Sample) {
	n := len(s.Labels)
	hit, support, predicted := make([]float64, n), make([]float64, n), make([]float64, n)
	e.Labels = make([]LabelScore, n)
	hits, all, counted := 0.0, 0.0, 0
	for i, truth := range s.Truth {
		answer, w := s.answer(i), s.Weight(i)
		for _, l := range answer {
			predicted[l] += w
			e.Labels[l].Predicted++
			if slices.Contains(truth, l) {
				hit[l] += w
			}
		}
		for _, l := range truth {
			if l >= 0 {
				support[l] += w
				e.Labels[l].Support++
			}
		}
		if slices.Contains(truth, -1) {
			all += w
		}
	}
	for l, name := range s.Labels {
		score := &e.Labels[l]
		score.Label, score.Precision, score.Recall = name, part(hit[l], predicted[l]), part(hit[l], support[l])
		score.F1 = part(2*hit[l], support[l]+predicted[l])
		hits, all = hits+2*hit[l], all+support[l]+predicted[l]
		if support[l]+predicted[l] > 0 {
			e.MacroF1 += score.F1
			counted++
		}
	}
	e.MicroF1 = part(hits, all)
	if counted > 0 {
		e.MacroF1 /= float64(counted)
	}
}

// confusions counts (truth, answer) pairs. Multi-label answers have no such pairs: their table of labels says it all.
func (e *Evaluation) confusions(s *Sample) {
	e.Confusions = []Confusion{}
	if s.Multilabel {
		return
	}
	counts := map[[2]int32]int{}
	support := make([]int, len(s.Labels))
	for i, truth := range s.Truth {
		if len(truth) == 0 || truth[0] < 0 {
			continue
		}
		support[truth[0]]++
		if answer := s.answer(i); len(answer) > 0 {
			counts[[2]int32{truth[0], answer[0]}]++
		}
	}
	for pair, n := range counts {
		if pair[0] != pair[1] {
			e.Confusions = append(e.Confusions, Confusion{Truth: s.Labels[pair[0]], Predicted: s.Labels[pair[1]], Count: n})
		}
	}
	slices.SortFunc(e.Confusions, func(a, b Confusion) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Truth, b.Truth), cmp.Compare(a.Predicted, b.Predicted))
	})
	e.Confusions = e.Confusions[:min(confusions, len(e.Confusions))]
	e.Matrix = matrix(s.Labels, support, counts)
}

func matrix(labels []string, support []int, counts map[[2]int32]int) *Matrix {
	order := make([]int, len(labels))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return support[b] - support[a] })
	m := &Matrix{}
	place := make([]int, len(labels))
	for at, l := range order {
		if len(labels) > matrixLabels && at >= matrixLabels-1 {
			place[l] = matrixLabels - 1
			continue
		}
		place[l] = at
		m.Labels = append(m.Labels, labels[l])
	}
	if len(labels) > matrixLabels {
		m.Labels = append(m.Labels, "(other)")
	}
	m.Counts = make([][]int, len(m.Labels))
	for i := range m.Counts {
		m.Counts[i] = make([]int, len(m.Labels))
	}
	for pair, n := range counts {
		m.Counts[place[pair[0]]][place[pair[1]]] += n
	}
	return m
}

// probabilities fills in everything that judges the numbers rather than the answers.
func (e *Evaluation) probabilities(s *Sample) {
	const least = 1e-15 // a probability of 0 for the truth would make the mean infinite
	var scores, weights []float64
	var correct []bool
	loss, terms := 0.0, 0.0
	for i, truth := range s.Truth {
		if s.refused(i) {
			continue
		}
		row, w := s.Row(i), s.Weight(i)
		if !s.Multilabel {
			_, score := risk.Top(row)
			scores, correct, weights = append(scores, score), append(correct, s.right(i)), append(weights, w)
			if len(truth) > 0 && truth[0] >= 0 {
				loss -= w * math.Log(max(float64(row[truth[0]]), least))
				terms += w
			}
			continue
		}
		for l, p := range row {
			yes := slices.Contains(truth, int32(l))
			scores, correct, weights = append(scores, float64(p)), append(correct, yes), append(weights, w)
			if !yes {
				p = 1 - p
			}
			loss -= w * math.Log(max(float64(p), least))
			terms += w
		}
	}
	if terms > 0 {
		e.LogLoss = loss / terms
	}
	if s.Weights == nil {
		weights = nil
	}
	e.Reliability = risk.WeightedReliability(scores, correct, weights, bins)
	e.CalibrationError = risk.CalibrationError(e.Reliability)
	if question, yes := s.question(); question != nil {
		if auc, ok := AUC(question, yes); ok {
			e.AUC = &auc
		}
	}
}

// question returns score and truth of the one yes-or-no question that the model answers, nil when there are several.
func (s *Sample) question() (scores []float64, yes []bool) {
	if !s.Moderation && (s.Multilabel || len(s.Labels) != 2) && len(s.Labels) != 1 {
		return nil, nil
	}
	for i, truth := range s.Truth {
		if s.refused(i) || slices.Contains(truth, -1) {
			continue
		}
		if s.Moderation {
			scores, yes = append(scores, risk.Harm(s.Row(i), s.Harmless, s.Multilabel)), append(yes, s.harmful(i))
			continue
		}
		last := len(s.Labels) - 1
		scores, yes = append(scores, float64(s.Row(i)[last])), append(yes, slices.Contains(truth, int32(last)))
	}
	return scores, yes
}

// AUC returns the area under the ROC curve: the chance that a random positive row scores above a random negative one, ties
// counting half (Mann and Whitney). ok is false when one of the two kinds of rows is missing.
func AUC(scores []float64, positive []bool) (auc float64, ok bool) {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	pos, sum := 0, 0.0
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		rank := float64(i+j+1) / 2 // equal scores share the mean of their ranks i+1…j
		for ; i < j; i++ {
			if positive[order[i]] {
				pos++
				sum += rank
			}
		}
	}
	neg := len(order) - pos
	if pos == 0 || neg == 0 {
		return 0, false
	}
	return (sum - float64(pos)*float64(pos+1)/2) / (float64(pos) * float64(neg)), true
}

func (e *Evaluation) scope(s *Sample) {
	if s.OutOfScope < 0 || s.Multilabel {
		return
	}
	sc, outside := &Scope{}, int32(s.OutOfScope)
	rightIn, answered := 0, 0
	for i, truth := range s.Truth {
		isOut := len(truth) > 0 && truth[0] == outside
		answer := s.answer(i)
		if len(answer) > 0 && answer[0] == outside {
			answered++
			if isOut {
				sc.OutOfScopeRecall++
			}
		}
		if isOut {
			sc.OutOfScopeRows++
			continue
		}
		sc.InScopeRows++
		if s.right(i) {
			rightIn++
		}
	}
	sc.InScopeAccuracy = ratio(rightIn, sc.InScopeRows)
	found := int(sc.OutOfScopeRecall)
	sc.OutOfScopeRecall, sc.OutOfScopePrecision = ratio(found, sc.OutOfScopeRows), ratio(found, answered)
	e.Scope = sc
}

// curve is the risk–coverage curve of the points that may be automated, at every hundredth of all points.
func curve(points []risk.Point) []CurvePoint {
	usable := make([]*risk.Point, 0, len(points))
	for i := range points {
		if !points[i].Abstain {
			usable = append(usable, &points[i])
		}
	}
	slices.SortStableFunc(usable, func(a, b *risk.Point) int { return cmp.Compare(b.Score, a.Score) })
	out := []CurvePoint{}
	wrong, sum, all, next := 0.0, 0.0, 0.0, 1
	for _, p := range points {
		all += p.Stands()
	}
	for i, p := range usable {
		sum += p.Stands()
		if !p.Correct {
			wrong += p.Stands()
		}
		last := i == len(usable)-1
		if !last && usable[i+1].Score == p.Score {
			continue // equal scores are automated together
		}
		if sum*curvePoints >= float64(next)*all || last {
			out = append(out, CurvePoint{Coverage: part(sum, all), Error: part(wrong, sum), Threshold: p.Score})
			next = int(part(sum*curvePoints, all)) + 1
		}
	}
	return out
}

// part is a as a part of b; 0 of nothing.
func part(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
