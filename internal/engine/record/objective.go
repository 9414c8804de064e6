package record

import (
	"math"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// objective is the loss of a task. Two exclusive labels need one output, the log odds of the second; several exclusive labels
// one output each through a softmax; labels that do not exclude each other one log odds each.
type objective struct {
	task    engine.Task
	labels  int
	outputs int
}

func newObjective(task engine.Task, labels int) objective {
	return objective{task: task, labels: labels, outputs: outputs(task, labels)}
}

// outputs is the number of scores that a model computes for that many labels.
func outputs(task engine.Task, labels int) int {
	if task == engine.Multiclass && labels == 2 {
		return 1
	}
	return labels
}

func (o objective) softmax() bool { return o.task == engine.Multiclass && o.outputs > 1 }

// target returns 1 when row i counts as positive for that output, otherwise 0.
func (o objective) target(l *labels, i, output int) float64 {
	if o.outputs == 1 && o.task == engine.Multiclass {
		output = 1
	}
	if l.has(i, output) {
		return 1
	}
	return 0
}

// evaluate replaces the scores z of row i by probabilities, and returns the loss and the share of right answers.
func (o objective) evaluate(z []float64, l *labels, i int) (loss, right float64) {
	if o.softmax() {
		best := 0
		for k := range z {
			if z[k] > z[best] {
				best = k
			}
		}
		y := l.class[i]
		if int32(best) == y {
			right = 1
		}
		score := z[y]
		return softmax(z) - score, right
	}
	for k, v := range z {
		y := o.target(l, i, k)
		e := math.Exp(-math.Abs(v)) // one exponential gives the loss and the probability, without overflow
		loss += max(v, 0) + math.Log(1+e) - y*v
		if v > 0 == (y == 1) {
			right++
		}
		z[k] = 1 / (1 + e)
		if v < 0 {
			z[k] *= e
		}
	}
	return loss, right / float64(len(z))
}

// prior returns the score of each output that fits the shares of the labels, smoothed so that an absent label stays possible.
func (o objective) prior(l *labels, rows int) []float64 {
	positive := make([]float64, o.outputs)
	for k := range positive {
		for i := range rows {
			positive[k] += o.target(l, i, k)
		}
	}
	for k, n := range positive {
		p := (n + 0.5) / (float64(rows) + 1)
		if o.softmax() {
			positive[k] = math.Log(p)
		} else {
			positive[k] = math.Log(p / (1 - p))
		}
	}
	return positive
}

// softmax replaces z by exp(z) divided by its sum, and returns the logarithm of that sum.
func softmax(z []float64) float64 {
	top, sum := slices.Max(z), 0.0
	for k, v := range z {
		e := math.Exp(v - top)
		z[k] = e
		sum += e
	}
	for k := range z {
		z[k] /= sum
	}
	return top + math.Log(sum)
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
