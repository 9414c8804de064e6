package gate

import (
	"cmp"
	"maps"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/engine/eval"
)

// Small is the name under which the groups of an attribute that have too few rows are judged together, and Unset that of rows without the attribute.
const (
	Small = "(small groups)"
	Unset = "(not set)"
)

// members are the row numbers of every label and of every group.
type members struct {
	attribute, name string
	rows            []int
}

// partition returns the labels and groups with enough rows, in a fixed order.
func partition(rows []Row, p Policy) []members {
	labels := map[string][]int{}
	for i, r := range rows {
		for _, l := range r.Labels {
			labels[l] = append(labels[l], i)
		}
	}
	out := large("", labels, p.MinGroupRows)
	for _, a := range attributes(rows, p) {
		groups, set := map[string][]int{}, false
		for i, r := range rows {
			value, ok := r.Attributes[a]
			if !ok {
				value = Unset
			}
			set = set || ok
			groups[value] = append(groups[value], i)
		}
		if set {
			out = append(out, large(a, groups, p.MinGroupRows)...)
		}
	}
	return out
}

// large keeps the parts with enough rows, and puts the others together.
func large(attribute string, parts map[string][]int, least int) []members {
	var out []members
	small := members{attribute: attribute, name: Small}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if len(parts[name]) < least {
			small.rows = append(small.rows, parts[name]...)
			continue
		}
		out = append(out, members{attribute, name, parts[name]})
	}
	if len(small.rows) > 0 {
		slices.Sort(small.rows)
		small.rows = slices.Compact(small.rows) // a row may have several labels
		out = append(out, small)
	}
	return out
}

// attributes are those that the policy names, or all that rows have.
func attributes(rows []Row, p Policy) []string {
	if len(p.Attributes) > 0 {
		return p.Attributes
	}
	names := map[string]bool{}
	for _, r := range rows {
		for a := range r.Attributes {
			names[a] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// measure compares both models on every part.
func measure(in *Input, parts []members) []Slice {
	z := quantile(0.025)
	out := make([]Slice, len(parts))
	for k, part := range parts {
		s := Slice{Attribute: part.attribute, Name: part.name, Rows: len(part.rows)}
		c := count(in, part.rows)
		s.Accuracy, s.Better, s.Worse = wilson(c.right.plus, c.right.n, z), c.better, c.worse
		s.PWorse = 1
		if in.Champion != nil {
			champion := wilson(c.champion.plus, c.champion.n, z)
			s.Champion = &champion
			s.Difference = c.paired.mean()
			s.PWorse = pWorse(c.paired.plus, c.paired.minus)
		}
		out[k] = s
	}
	slices.SortStableFunc(out, func(a, b Slice) int { return cmp.Compare(a.Attribute, b.Attribute) })
	return out
}

// counts are how many rows only one of both answered rightly, and what the rows say of each and of both together.
type counts struct {
	better, worse           int
	right, champion, paired evidence
}

func count(in *Input, rows []int) (c counts) {
	right, champion, paired := make([]outcome, len(rows)), make([]outcome, len(rows)), make([]outcome, len(rows))
	for k, i := range rows {
		a, w := in.Candidate.Sample.Right(i), in.Candidate.Sample.Weight(i)
		right[k] = outcome{one(a), w}
		if in.Champion == nil {
			continue
		}
		b := in.Champion.Sample.Right(i)
		champion[k], paired[k] = outcome{one(b), w}, outcome{signOf(a, b), w}
		switch paired[k].value {
		case 1:
			c.better++
		case -1:
			c.worse++
		}
	}
	c.right, c.champion, c.paired = weigh(right), weigh(champion), weigh(paired)
	return c
}

// accepted says which rows a model would automate under its certificates.
func (m *Model) accepted() []bool {
	points := m.Sample.Points()
	out := make([]bool, len(points))
	for i, p := range points {
		out[i] = eval.Accepts(m.Certificates, p)
	}
	return out
}
