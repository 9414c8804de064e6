// Package quality measures how far people who judge can be trusted: how far they agree beyond chance, and how often each errs. Its functions are pure;
// answers are opaque texts that are equal or not.
package quality

import (
	"maps"
	"slices"
)

// Rating is one person's answer to one item.
type Rating struct {
	Item, Person, Answer string
}

// Kappa returns the share of items to which two people gave the same answer, and Cohen's kappa: the agreement beyond what their own shares of answers would
// give by chance (Cohen 1960). Each pair holds both answers to one item. Kappa is not defined without pairs, and when chance alone gives full
// agreement: both always gave the same one answer.
func Kappa(pairs [][2]string) (agreement, kappa float64, defined bool) {
	if len(pairs) == 0 {
		return 0, 0, false
	}
	n, same := float64(len(pairs)), 0.0
	first, second := map[string]float64{}, map[string]float64{}
	for _, p := range pairs {
		first[p[0]]++
		second[p[1]]++
		if p[0] == p[1] {
			same++
		}
	}
	chance := 0.0
	for _, answer := range slices.Sorted(maps.Keys(first)) { // in order, so that the same data give the same bits
		chance += first[answer] / n * second[answer] / n
	}
	if 1-chance < 1e-12 {
		return same / n, 0, false
	}
	return same / n, (same/n - chance) / (1 - chance), true
}

// Alpha returns Krippendorff's alpha for nominal data: 1 − observed/expected disagreement, over any number of people and with answers missing
// (Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011). Each unit holds the answers to one item; units with fewer than two do not count. It is
// not defined when no unit has two answers, or all answers are equal.
func Alpha(units [][]string) (alpha float64, defined bool) {
	totals := map[string]float64{}
	n, observed := 0.0, 0.0
	for _, u := range units {
		m := float64(len(u))
		if m < 2 {
			continue
		}
		counts := map[string]float64{}
		for _, answer := range u {
			counts[answer]++
		}
		n += m
		// Ordered pairs of different answers in the unit, weighted by 1/(m−1).
		unlike := m * m
		for _, answer := range slices.Sorted(maps.Keys(counts)) {
			unlike -= counts[answer] * counts[answer]
			totals[answer] += counts[answer]
		}
		observed += unlike / (m - 1)
	}
	expected := n * n
	for _, answer := range slices.Sorted(maps.Keys(totals)) {
		expected -= totals[answer] * totals[answer]
	}
	if n < 2 || expected == 0 {
		return 0, false
	}
	return 1 - (n-1)*observed/expected, true
}

// Units groups ratings by item.
func Units(ratings []Rating) [][]string {
	byItem := map[string][]string{}
	for _, r := range ratings {
		byItem[r.Item] = append(byItem[r.Item], r.Answer)
	}
	out := make([][]string, 0, len(byItem))
	for _, item := range slices.Sorted(maps.Keys(byItem)) {
		out = append(out, byItem[item])
	}
	return out
}

// Pair names two people, the first by name first.
type Pair struct{ First, Second string }

// Pairs returns the answers that each two people gave to the same items.
func Pairs(ratings []Rating) map[Pair][][2]string {
	byItem := map[string][]Rating{}
	for _, r := range ratings {
		byItem[r.Item] = append(byItem[r.Item], r)
	}
	out := map[Pair][][2]string{}
	for _, item := range slices.Sorted(maps.Keys(byItem)) {
		rs := byItem[item]
		slices.SortFunc(rs, func(a, b Rating) int {
			if a.Person < b.Person {
				return -1
			}
			return 1
		})
		for i, a := range rs {
			for _, b := range rs[i+1:] {
				if a.Person == b.Person {
					continue
				}
				key := Pair{a.Person, b.Person}
				out[key] = append(out[key], [2]string{a.Answer, b.Answer})
			}
		}
	}
	return out
}
