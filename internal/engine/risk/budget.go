package risk

import (
	"fmt"
	"maps"
	"slices"
)

// Sides certifies both sides of moderation: the points of SideRemove at removeAlpha, those of SideAllow at allowAlpha. Each side
// takes half of delta, so that both promises hold together with confidence 1−delta (union bound). The result always has the
// remove side first; a side without points comes back not certified.
func Sides(points []Point, removeAlpha, allowAlpha, delta float64) ([]Certificate, error) {
	return Reviewers{}.Sides(points, removeAlpha, allowAlpha, delta)
}

// Sides is the function Sides, allowing for the errors of those who labelled the points.
func (r Reviewers) Sides(points []Point, removeAlpha, allowAlpha, delta float64) ([]Certificate, error) {
	if err := ValidBudget(removeAlpha, delta); err != nil {
		return nil, fmt.Errorf("remove side: %w", err)
	}
	if err := ValidBudget(allowAlpha, delta); err != nil {
		return nil, fmt.Errorf("allow side: %w", err)
	}
	return []Certificate{
		r.certify(SideRemove, ofSide(points, SideRemove), len(points), removeAlpha, delta/2),
		r.certify(SideAllow, ofSide(points, SideAllow), len(points), allowAlpha, delta/2),
	}, nil
}

// Labels certifies answers with budgets per label: every label of labelAlpha by itself at its own α, all other answers together
// at alpha. delta is split evenly between these groups, so that all promises hold together with confidence 1−delta (union bound).
// The result has the certificate of the other answers first (Side ""), then one for each label in alphabetical order.
func Labels(points []Point, alpha float64, labelAlpha map[string]float64, delta float64) ([]Certificate, error) {
	return Reviewers{}.Labels(points, alpha, labelAlpha, delta)
}

// Labels is the function Labels, allowing for the errors of those who labelled the points.
func (r Reviewers) Labels(points []Point, alpha float64, labelAlpha map[string]float64, delta float64) ([]Certificate, error) {
	if err := ValidBudget(alpha, delta); err != nil {
		return nil, err
	}
	share := delta / float64(1+len(labelAlpha))
	var rest []Point
	for _, p := range points {
		if _, own := labelAlpha[p.Side]; !own {
			rest = append(rest, p)
		}
	}
	out := []Certificate{r.certify("", rest, len(points), alpha, share)}
	for _, label := range slices.Sorted(maps.Keys(labelAlpha)) {
		if err := ValidBudget(labelAlpha[label], share); err != nil {
			return nil, fmt.Errorf("label %q: %w", label, err)
		}
		out = append(out, r.certify(label, ofSide(points, label), len(points), labelAlpha[label], share))
	}
	return out, nil
}

// Find returns the certificate that an answer of that side falls under: its own, else the common one (Side "").
func Find(certificates []Certificate, side string) (Certificate, bool) {
	var common Certificate
	found := false
	for _, c := range certificates {
		if c.Side == side {
			return c, true
		}
		if c.Side == "" {
			common, found = c, true
		}
	}
	return common, found
}

func ofSide(points []Point, side string) []Point {
	var out []Point
	for _, p := range points {
		if p.Side == side {
			out = append(out, p)
		}
	}
	return out
}
