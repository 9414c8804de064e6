package alike

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestCaseAndSpaceDoNotCount(t *testing.T) {
	t.Parallel()
	a, b := Of("Win a FREE  prize\n now "), Of("win a free prize now")
	if Likeness(a, b) != 1 {
		t.Errorf("likeness is %v, want 1", Likeness(a, b))
	}
}

func TestLikenessIsTheShareOfCommonSequences(t *testing.T) {
	t.Parallel()
	// abcdefg has abcde bcdef cdefg; abcdefx has abcde bcdef cdefx: 2 of 4.
	if got := Likeness(Of("abcdefg"), Of("abcdefx")); got != 0.5 {
		t.Errorf("likeness is %v, want 0.5", got)
	}
	if Likeness(Of(""), Of("")) != 0 || Likeness(Of("abc"), Of("abc")) != 1 || Likeness(Of("abc"), Of("abd")) != 0 {
		t.Error("short texts are compared wrongly")
	}
}

func TestTextsThatAreTooLongAreLikeNothing(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", MaxRunes+1)
	if Of(long) != nil || Keys(Of(long)) != nil || len(Of(long[:2*MaxRunes])) == 0 {
		t.Error("the limit is not where it is said to be")
	}
}

func TestBandsFindTheLikesAsOftenAsTheySay(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	found, pairs, strangers := 0.0, 0.0, 0
	for range 600 {
		// Sets instead of texts: their likeness is exact. 950 of 1,000 in common out of 1,000+50 make 950/1,050.
		a := make(Set, 0, 1000)
		for range 1000 {
			a = append(a, random.Uint64())
		}
		b := append(Set{}, a[:950]...)
		for range 50 {
			b = append(b, random.Uint64())
		}
		pairs++
		if share(Keys(a), Keys(b)) {
			found++
		}
		c := make(Set, 0, 1000)
		for range 1000 {
			c = append(c, random.Uint64())
		}
		if share(Keys(a), Keys(c)) {
			strangers++
		}
	}
	likeness := 950.0 / 1050
	want := 1 - math.Pow(1-math.Pow(likeness, rows), bands)
	if got := found / pairs; math.Abs(got-want) > 4*math.Sqrt(want*(1-want)/pairs)+1e-3 {
		t.Errorf("%.3f of the pairs are found, want %.3f", got, want)
	}
	if strangers > 0 {
		t.Errorf("%d pairs without anything in common are candidates", strangers)
	}
}

func share(a, b []int64) bool {
	for i := range a {
		if a[i] == b[i] {
			return true
		}
	}
	return false
}

func TestKeysOfATextAreThoseOfItsSet(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	texts := []string{"", "a", "abcde", "aaaaaaaaaaaaaaaa", strings.Repeat("ab ", 300), strings.Repeat("ä", MaxRunes+1)}
	for range 100 {
		var b strings.Builder
		for range random.IntN(400) {
			b.WriteRune(rune('a' + random.IntN(4)))
		}
		texts = append(texts, b.String())
	}
	for _, text := range texts {
		if got, want := KeysOf(text), Keys(Of(text)); !slices.Equal(got, want) {
			t.Fatalf("%q: %v and %v", text, got, want)
		}
	}
}
