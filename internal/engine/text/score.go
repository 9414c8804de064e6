package text

import (
	"encoding/binary"
	"math"
	"sync"
)

// scorer holds the weights of a model as they lie in its file and turns a text into logits. Everything between the text and
// the logits is integer arithmetic, up to one multiplication per label and channel, so that all processors agree on every bit.
type scorer struct {
	buckets int
	labels  int
	stride  int    // length of a row of weights: labels, rounded up to 16
	weights []byte // int8, one row of labels a bucket
	scales  []byte // uint16 little endian, weight of a bucket in the length of the text
	share   [channels]float64
	bias    []float32
	step    []float32 // value of one unit of the int8 weights, by label
}

func strideOf(labels int) int { return (labels + 15) / 16 * 16 }

// maxMultiplier bounds what multiply returns, whatever the text.
const maxMultiplier = 256

// multipliers holds 4·(1+ln n), rounded, for counts n below 1024: sublinear term frequency in quarters.
var multipliers = sync.OnceValue(func() *[1024]uint32 {
	t := new([1024]uint32)
	for n := 1; n < len(t); n++ {
		t[n] = multiplierOf(n)
	}
	return t
})

func multiplierOf(n int) uint32 { return min(uint32(4*(1+ln(float64(n)))+0.5), maxMultiplier) }

// work is what scoring one text needs besides the model; a pool hands it out, so that nothing is allocated.
type work struct {
	lists   [channels][]gram // buckets by channel, with multipliers in place of counts
	inverse [channels]float64
	sums    []int32
}

var works = sync.Pool{New: func() any { return new(work) }}

// weigh sorts the grams of a text into channels and computes by what each channel is to be multiplied: its share over the
// Euclidean length of its weighted counts.
func (s *scorer) weigh(r *reader, w *work) {
	table := multipliers()
	split := uint32(r.split)
	var squares [channels]uint64
	lists := [channels][]gram{w.lists[words][:0], w.lists[chars][:0]}
	for _, g := range r.grams {
		var m uint32
		if int(g.count) < len(table) {
			m = table[g.count]
		} else {
			m = multiplierOf(int(g.count))
		}
		c := words
		if g.bucket >= split {
			c = chars
		}
		v := uint64(m) * uint64(binary.LittleEndian.Uint16(s.scales[2*g.bucket:]))
		squares[c] += v * v // at most 2^18 times (2^8·2^16)^2: no overflow
		lists[c] = append(lists[c], gram{g.bucket, m})
	}
	for c := range channels {
		w.lists[c], w.inverse[c] = lists[c], 0
		if squares[c] > 0 {
			w.inverse[c] = s.share[c] / math.Sqrt(float64(squares[c]))
		}
	}
}

// logits writes the uncalibrated score of each label.
func (s *scorer) logits(text string, out []float32) {
	r, w := borrow(s.buckets), works.Get().(*work)
	r.read(text)
	s.weigh(r, w)
	s.score(w, out)
	giveBack(r)
	putWork(w)
}

func putWork(w *work) {
	if cap(w.lists[chars])+cap(w.lists[words]) <= 1<<17 {
		works.Put(w)
	}
}

func (s *scorer) score(w *work, out []float32) {
	if cap(w.sums) < channels*s.stride {
		w.sums = make([]int32, channels*s.stride)
	}
	sums := w.sums[:channels*s.stride]
	clear(sums)
	one, two := sums[:s.stride], sums[s.stride:]
	accumulate(one, s.weights, w.lists[words])
	accumulate(two, s.weights, w.lists[chars])
	a, b := w.inverse[words], w.inverse[chars]
	for l := range out {
		x := float64(float64(one[l])*a) + float64(float64(two[l])*b)
		out[l] = float32(float64(s.bias[l]) + float64(float64(s.step[l])*x))
	}
}
