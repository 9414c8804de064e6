package quality

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s is %.4f, want %.4f", what, got, want)
	}
}

func repeat(n int, a, b string) [][2]string {
	out := make([][2]string, n)
	for i := range out {
		out[i] = [2]string{a, b}
	}
	return out
}

func table(yesYes, yesNo, noYes, noNo int) [][2]string {
	out := repeat(yesYes, "yes", "yes")
	out = append(out, repeat(yesNo, "yes", "no")...)
	out = append(out, repeat(noYes, "no", "yes")...)
	return append(out, repeat(noNo, "no", "no")...)
}

func TestKappaOfPublishedTables(t *testing.T) {
	t.Parallel()
	// Textbook tables: 50 proposals, observed 0.7, chance 0.5; and two tables with 60 % agreement each and different margins.
	for _, c := range []struct {
		pairs            [][2]string
		agreement, kappa float64
	}{
		{table(20, 5, 10, 15), 0.70, 0.40},
		{table(45, 15, 25, 15), 0.60, 0.1304},
		{table(25, 35, 5, 35), 0.60, 0.2593},
		{table(0, 10, 10, 0), 0, -1},
	} {
		agreement, kappa, defined := Kappa(c.pairs)
		if !defined {
			t.Fatal("kappa is not defined")
		}
		near(t, "agreement", agreement, c.agreement, 1e-9)
		near(t, "kappa", kappa, c.kappa, 5e-5)
	}
}

func TestKappaIsNotDefinedWhereChanceExplainsAll(t *testing.T) {
	t.Parallel()
	if agreement, _, defined := Kappa(repeat(10, "yes", "yes")); defined || agreement != 1 {
		t.Errorf("defined %v, agreement %v", defined, agreement)
	}
	if _, _, defined := Kappa(nil); defined {
		t.Error("defined without data")
	}
}

// columns turns rows of one person each into units; "*" is missing.
func columns(rows ...string) [][]string {
	var units [][]string
	for _, row := range rows {
		for i, answer := range strings.Fields(row) {
			if i == len(units) {
				units = append(units, nil)
			}
			if answer != "*" {
				units[i] = append(units[i], answer)
			}
		}
	}
	return units
}

func TestAlphaOfPublishedData(t *testing.T) {
	t.Parallel()
	// Three coders with missing answers: nominal alpha 0.691.
	alpha, defined := Alpha(columns(
		"* * * * * 3 4 1 2 1 1 3 3 * 3",
		"1 * 2 1 3 3 4 3 * * * * * * *",
		"* * 2 1 3 4 4 * 2 1 1 3 3 * 4",
	))
	if !defined {
		t.Fatal("not defined")
	}
	near(t, "alpha", alpha, 0.691, 5e-4)
	// Krippendorff 2011, example B: four observers, twelve units, nominal alpha 0.743.
	alpha, _ = Alpha(columns(
		"1 2 3 3 2 1 4 1 2 * * *",
		"1 2 3 3 2 2 4 1 2 5 * 3",
		"* 3 3 3 2 3 4 2 2 5 1 *",
		"1 2 3 3 2 4 4 1 2 5 1 *",
	))
	near(t, "alpha", alpha, 0.743, 5e-4)
	// Example A: two observers, binary data, alpha 0.095.
	alpha, _ = Alpha(columns("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"))
	near(t, "alpha", alpha, 0.095, 5e-4)
}

func TestAlphaIsNotDefinedWithoutVariation(t *testing.T) {
	t.Parallel()
	for _, units := range [][][]string{nil, {{"a"}, {"b"}}, {{"a", "a"}, {"a", "a"}}} {
		if _, defined := Alpha(units); defined {
			t.Errorf("defined for %v", units)
		}
	}
}

func TestErrorRatesAreExactWhereTheTruthIsKnown(t *testing.T) {
	t.Parallel()
	var ratings []Rating
	known := map[string]string{}
	for i := range 20 {
		item, answer := fmt.Sprint("i", i), "right"
		known[item] = "right"
		if i < 3 {
			answer = "wrong"
		}
		ratings = append(ratings, Rating{item, "anna", answer}, Rating{item, "ben", "right"})
	}
	e := DawidSkene(ratings, known)
	near(t, "anna's error", e.Errors["anna"], 0.15, 1e-9)
	near(t, "ben's error", e.Errors["ben"], 0, 1e-9)
	if e.Items["anna"] != 20 {
		t.Errorf("anna has %d items", e.Items["anna"])
	}
}

// simulate draws answers of people with given error rates to items that two or three of them judge.
func simulate(r *rand.Rand, items int, rates []float64, each int) ([]Rating, map[string]string, map[string]float64) {
	answers := []string{"a", "b", "c", "d"}
	var ratings []Rating
	truth, wrong, seen := map[string]string{}, map[string]float64{}, map[string]float64{}
	for i := range items {
		item, right := fmt.Sprint("i", i), r.IntN(len(answers))
		truth[item] = answers[right]
		for _, p := range r.Perm(len(rates))[:each] {
			name, answer := fmt.Sprint("p", p), right
			if r.Float64() < rates[p] {
				answer = (right + 1 + r.IntN(len(answers)-1)) % len(answers)
				wrong[name]++
			}
			seen[name]++
			ratings = append(ratings, Rating{item, name, answers[answer]})
		}
	}
	for name := range seen {
		wrong[name] /= seen[name]
	}
	return ratings, truth, wrong
}

func TestErrorRatesAreFoundWithoutKnowingTheTruth(t *testing.T) {
	t.Parallel()
	rates := []float64{0.02, 0.05, 0.10, 0.20, 0.35}
	ratings, truth, wrong := simulate(rand.New(rand.NewPCG(1, 2)), 3000, rates, 3)
	e := DawidSkene(ratings, nil)
	right := 0
	for item, answer := range truth {
		if e.Truth[item] == answer {
			right++
		}
	}
	for name, rate := range wrong {
		near(t, name+"'s error", e.Errors[name], rate, 0.02)
	}
	if share := float64(right) / float64(len(truth)); share < 0.96 {
		t.Errorf("%.3f of the truths were found", share)
	}
}

func TestGoldItemsAnchorTheEstimateWhenMostPeopleErrAlike(t *testing.T) {
	t.Parallel()
	// Two of three share the same misunderstanding about b: a majority vote believes them.
	r := rand.New(rand.NewPCG(3, 4))
	var ratings []Rating
	known := map[string]string{}
	for i := range 600 {
		item, right := fmt.Sprint("i", i), []string{"a", "b"}[r.IntN(2)]
		misread := map[string]string{"a": "a", "b": "a"}[right]
		ratings = append(ratings, Rating{item, "anna", right}, Rating{item, "ben", misread}, Rating{item, "cleo", misread})
		if i < 60 {
			known[item] = right
		}
	}
	if free := DawidSkene(ratings, nil); free.Errors["ben"] > 0.1 {
		t.Fatalf("without gold ben's error is %.2f: the test shows nothing", free.Errors["ben"])
	}
	e := DawidSkene(ratings, known)
	near(t, "anna's error", e.Errors["anna"], 0, 0.03)
	near(t, "ben's error", e.Errors["ben"], 0.5, 0.05)
}

func TestThousandsOfAnswersAreBounded(t *testing.T) {
	t.Parallel()
	var ratings []Rating
	for i := range 5000 {
		ratings = append(ratings, Rating{fmt.Sprint("i", i), "anna", fmt.Sprint(i)}, Rating{fmt.Sprint("i", i), "ben", fmt.Sprint(i)})
	}
	if e := DawidSkene(ratings, nil); e.Errors["anna"] > 0.05 || e.Items["ben"] != 5000 {
		t.Errorf("estimate is %v %v", e.Errors, e.Items)
	}
}

func TestNothingIsEstimatedFromNothing(t *testing.T) {
	t.Parallel()
	if e := DawidSkene(nil, map[string]string{"i": "a"}); len(e.Errors) != 0 || len(e.Truth) != 0 {
		t.Errorf("estimate is %v", e)
	}
}
