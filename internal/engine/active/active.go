// Package active chooses which unlabelled items people should label next: those that teach most, spread over what there is, and some by chance alone. Each choice
// comes with the probability that it had, so that whatever is learned or measured from the labels can be weighted by its inverse (Horvitz and Thompson 1952).
//
// Items are drawn by systematic sampling with unequal probabilities (Madow 1949): they are put in an order in which neighbours are alike, and one random start decides
// about all of them. The inclusion probabilities are exact, the number of items is what was asked for, and no part of the order is missed: that is the diversity.
package active

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Item is something that can be labelled.
type Item struct {
	// Likely and Second are the two most probable answers, as any numbers or hashes; Top and Next their probabilities.
	Likely, Second int
	Top, Next      float64
}

// uncertainty is between 0 for a sure answer and 1 for one that could as well be another (margin sampling: Scheffer, Decomain and Wrobel 2001).
func (i Item) uncertainty() float64 {
	u := 1 - (i.Top - i.Next)
	if math.IsNaN(u) {
		return 1 // a model that refuses an item knows nothing of it
	}
	return min(1, max(0, u))
}

// Settings steer a selection.
type Settings struct {
	// Count is how many items are chosen; all, when there are fewer.
	Count int
	// Audit is the share of the choice that is made by chance alone, 0 to 1: it keeps every probability above 0, and finds what the model is wrongly sure of.
	Audit float64
	// Sharpness is the exponent of the uncertainty, default 12: small values choose nearly by chance, large ones take the least certain items only.
	Sharpness float64
	// Seed decides the chance.
	Seed uint64
}

// Choice is a chosen item.
type Choice struct {
	// Item is its number.
	Item int
	// Probability is with which probability it was chosen, in (0, 1].
	Probability float64
}

// Select chooses items. The result is in the order of the items.
func Select(items []Item, s Settings) []Choice {
	n := len(items)
	if s.Count >= n {
		out := make([]Choice, n)
		for i := range out {
			out[i] = Choice{i, 1}
		}
		return out
	}
	if s.Count <= 0 {
		return nil
	}
	p := Probabilities(items, s)
	random := rand.New(rand.NewPCG(s.Seed, 0x616374)) // repeatable, not secret
	order := random.Perm(n)                           // of equals
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(items[a].Likely, items[b].Likely), cmp.Compare(items[a].Second, items[b].Second), cmp.Compare(items[a].Top, items[b].Top))
	})
	out := make([]Choice, 0, s.Count)
	next, sum := random.Float64(), 0.0
	for _, i := range order {
		if sum += p[i]; sum > next && len(out) < s.Count {
			out = append(out, Choice{i, p[i]})
			next++
		}
	}
	// Rounding of the sum may leave the last one out.
	for k := n - 1; len(out) < s.Count && k >= 0; k-- {
		if i := order[k]; !slices.ContainsFunc(out, func(c Choice) bool { return c.Item == i }) {
			out = append(out, Choice{i, p[i]})
		}
	}
	slices.SortFunc(out, func(a, b Choice) int { return cmp.Compare(a.Item, b.Item) })
	return out
}

// Probabilities returns with which probability each item is chosen; they sum to Count.
func Probabilities(items []Item, s Settings) []float64 {
	n, sharpness := len(items), s.Sharpness
	if sharpness == 0 {
		sharpness = 12
	}
	audit := min(1, max(0, s.Audit))
	weights := make([]float64, n)
	for i, item := range items {
		weights[i] = math.Pow(item.uncertainty(), sharpness)
	}
	byChance := audit * float64(s.Count) / float64(n)
	p := proportional(weights, (1-audit)*float64(s.Count), 1-byChance)
	for i := range p {
		p[i] += byChance
	}
	return p
}

// proportional gives shares of a total in proportion to weights, none above most: what one cannot take goes to the others.
func proportional(weights []float64, total, most float64) []float64 {
	p := make([]float64, len(weights))
	full := make([]bool, len(weights))
	for left := total; left > 1e-9; {
		sum, free := 0.0, 0
		for i, w := range weights {
			if !full[i] {
				sum += w
				free++
			}
		}
		if free == 0 {
			break
		}
		given := 0.0
		for i, w := range weights {
			if full[i] {
				continue
			}
			share := left / float64(free) // where nobody is uncertain all are alike
			if sum > 0 {
				share = left * w / sum
			}
			if p[i]+share >= most {
				share, full[i] = most-p[i], true
			}
			p[i] += share
			given += share
		}
		if left -= given; given <= 1e-12 {
			break
		}
	}
	return p
}
