package quality

import (
	"maps"
	"math"
	"slices"
)

const (
	// maxRounds and tolerance end the iteration: estimates then change by less than anybody can see.
	maxRounds = 200
	tolerance = 1e-7
	// Pseudo-counts of a person's confusion matrix: so many answers, right at this rate, are assumed of everybody before any is seen. They keep a person with
	// few answers from looking perfect or useless, and make "people are mostly right" the solution among those that the data cannot tell apart.
	priorCount = 2.0
	priorRight = 0.8
	// maxAnswers bounds the answers that have a row of their own in the confusion matrices; the rarest ones share one.
	maxAnswers = 60
)

// Estimate is what Dawid and Skene's method says.
type Estimate struct {
	// Errors is the expected share of wrong answers by person, over the items that the person answered.
	Errors map[string]float64
	// Items is how many items that is.
	Items map[string]int
	// Truth is the most probable answer by item, Sure its probability.
	Truth map[string]string
	Sure  map[string]float64
}

// DawidSkene estimates at the same time what is true of each item and how often each person errs, by expectation maximisation (Dawid and Skene, "Maximum
// Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", 1979). known holds the truth about items for which it is known: it never
// moves, and anchors the rest.
func DawidSkene(ratings []Rating, known map[string]string) Estimate {
	m := newModel(ratings, known)
	m.vote()
	for range maxRounds {
		m.maximise()
		if m.expect() < tolerance {
			break
		}
	}
	return m.estimate()
}

// model is the state of the iteration. Items, people and answers are numbered in the order of their names.
type model struct {
	items, people, answers []string
	ratings                [][]vote // by item
	truth                  [][]float64
	fixed                  []bool
	share                  []float64     // of each answer among the truths
	confusion              [][][]float64 // by person, truth, answer: logarithms
}

type vote struct{ person, answer int }

func newModel(ratings []Rating, known map[string]string) *model {
	items, people, answers := map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range ratings {
		items[r.Item]++
		people[r.Person]++
		answers[r.Answer]++
	}
	for item, answer := range known {
		if items[item] > 0 {
			answers[answer]++
		}
	}
	m := &model{items: slices.Sorted(maps.Keys(items)), people: slices.Sorted(maps.Keys(people))}
	m.answers = slices.SortedFunc(maps.Keys(answers), func(a, b string) int {
		if answers[a] != answers[b] {
			return answers[b] - answers[a]
		}
		return map[bool]int{true: -1, false: 1}[a < b]
	})
	// The rarest answers share the last row: a confusion matrix for thousands of labels says nothing.
	rest := len(m.answers)
	if rest > maxAnswers {
		rest = maxAnswers - 1
	}
	itemNo, personNo, answerNo := number(m.items), number(m.people), map[string]int{}
	for i, a := range m.answers {
		answerNo[a] = min(i, rest)
	}
	n := min(len(m.answers), maxAnswers)
	m.ratings, m.truth, m.fixed = make([][]vote, len(m.items)), make([][]float64, len(m.items)), make([]bool, len(m.items))
	for i := range m.truth {
		m.truth[i] = make([]float64, n)
	}
	for _, r := range ratings {
		i := itemNo[r.Item]
		m.ratings[i] = append(m.ratings[i], vote{personNo[r.Person], answerNo[r.Answer]})
	}
	for item, answer := range known {
		if i, ok := itemNo[item]; ok {
			m.fixed[i] = true
			m.truth[i][answerNo[answer]] = 1
		}
	}
	m.share = make([]float64, n)
	m.confusion = make([][][]float64, len(m.people))
	for p := range m.confusion {
		m.confusion[p] = make([][]float64, n)
		for k := range n {
			m.confusion[p][k] = make([]float64, n)
		}
	}
	return m
}

func number(names []string) map[string]int {
	out := make(map[string]int, len(names))
	for i, n := range names {
		out[n] = i
	}
	return out
}

// vote begins with the shares of the answers to each item.
func (m *model) vote() {
	for i, votes := range m.ratings {
		if m.fixed[i] {
			continue
		}
		for _, v := range votes {
			m.truth[i][v.answer] += 1 / float64(len(votes))
		}
	}
}

// maximise takes the truths for granted and estimates the people.
func (m *model) maximise() {
	n := len(m.share)
	for k := range n {
		m.share[k] = 1.0 / float64(n) // one item more, of all answers alike
	}
	for p := range m.confusion {
		for k, row := range m.confusion[p] {
			for a := range row {
				row[a] = priorCount * (1 - priorRight) / float64(max(1, n-1))
			}
			row[k] = priorCount * priorRight
		}
	}
	for i, truth := range m.truth {
		for k, t := range truth {
			if t == 0 {
				continue
			}
			m.share[k] += t
			for _, v := range m.ratings[i] {
				m.confusion[v.person][k][v.answer] += t
			}
		}
	}
	logarithms(m.share)
	for p := range m.confusion {
		for _, row := range m.confusion[p] {
			logarithms(row)
		}
	}
}

// logarithms turns counts into the logarithms of their shares.
func logarithms(row []float64) {
	sum := 0.0
	for _, v := range row {
		sum += v
	}
	for i, v := range row {
		row[i] = math.Log(v / sum)
	}
}

// expect takes the people for granted and estimates the truths. It returns the largest change.
func (m *model) expect() float64 {
	change := 0.0
	next := make([]float64, len(m.share))
	for i, truth := range m.truth {
		if m.fixed[i] {
			continue
		}
		top := math.Inf(-1)
		for k := range next {
			next[k] = m.share[k]
			for _, v := range m.ratings[i] {
				next[k] += m.confusion[v.person][k][v.answer]
			}
			top = max(top, next[k])
		}
		sum := 0.0
		for k := range next {
			next[k] = math.Exp(next[k] - top)
			sum += next[k]
		}
		for k := range next {
			t := next[k] / sum
			change = max(change, math.Abs(t-truth[k]))
			truth[k] = t
		}
	}
	return change
}

func (m *model) estimate() Estimate {
	e := Estimate{Errors: map[string]float64{}, Items: map[string]int{}, Truth: map[string]string{}, Sure: map[string]float64{}}
	for i, truth := range m.truth {
		best := 0
		for k, t := range truth {
			if t > truth[best] {
				best = k
			}
		}
		if len(truth) > 0 {
			e.Truth[m.items[i]], e.Sure[m.items[i]] = m.answers[best], truth[best]
		}
		for _, v := range m.ratings[i] {
			e.Items[m.people[v.person]]++
			e.Errors[m.people[v.person]] += 1 - truth[v.answer]
		}
	}
	for name, n := range e.Items {
		e.Errors[name] /= float64(n)
	}
	return e
}
