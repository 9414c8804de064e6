package text

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// corpus holds the rows as sparse vectors of length 1, one after the other, each sorted by bucket.
type corpus struct {
	start []int // of each row in ids and vals, and the end
	ids   []uint32
	vals  []float32
}

func (c *corpus) rows() int { return len(c.start) - 1 }

// readRows fills start and ids. Each id holds the multiplier in its lowest 10 bits until finish separates them; the 20 bits of
// a bucket leave room for it.
func readRows(rows []Row, buckets int) *corpus {
	const block = 256
	blocks := make([][]uint32, (len(rows)+block-1)/block)
	lengths := make([]int, len(rows))
	n := threads()
	parallel(n, func(k int) {
		r := borrow(buckets)
		defer giveBack(r)
		for b := k; b < len(blocks); b += n {
			var ids []uint32
			for i := b * block; i < min((b+1)*block, len(rows)); i++ {
				r.read(rows[i].Text)
				lengths[i] = len(r.grams)
				at := len(ids)
				for _, g := range r.grams {
					ids = append(ids, g.bucket<<10|multiplierOf(int(g.count)))
				}
				slices.Sort(ids[at:])
			}
			blocks[b] = ids
		}
	})
	c := &corpus{start: make([]int, len(rows)+1)}
	for i, n := range lengths {
		c.start[i+1] = c.start[i] + n
	}
	c.ids = make([]uint32, 0, c.start[len(rows)])
	for b, ids := range blocks {
		c.ids = append(c.ids, ids...)
		blocks[b] = nil
	}
	return c
}

// finish turns buckets and multipliers into the values that scorer.weigh and score would multiply the weights with.
func (c *corpus) finish(s *scorer) {
	c.vals = make([]float32, len(c.ids))
	split := uint32(wordBuckets(s.buckets))
	n := threads()
	parallel(n, func(k int) {
		for i := k; i < c.rows(); i += n {
			ids, vals := c.ids[c.start[i]:c.start[i+1]], c.vals[c.start[i]:c.start[i+1]]
			var squares [channels]uint64
			var inverse [channels]float64
			channel := func(id uint32) int {
				if id < split {
					return words
				}
				return chars
			}
			value := func(packed uint32) uint64 {
				return uint64(packed&1023) * uint64(binary.LittleEndian.Uint16(s.scales[2*(packed>>10):]))
			}
			for _, p := range ids {
				squares[channel(p>>10)] += value(p) * value(p)
			}
			for ch, x := range squares {
				if x > 0 {
					inverse[ch] = s.share[ch] / math.Sqrt(float64(x))
				}
			}
			for j, p := range ids {
				vals[j] = float32(float64(value(p)) * inverse[channel(p>>10)])
				ids[j] = p >> 10
			}
		}
	})
}

// weighBuckets returns the scale of each bucket: its inverse document frequency, ln((1+N)/(1+n))+1, to the power
// InverseFrequency, times (0.05 + d) to the power Relevance. d is the Kullback-Leibler divergence of the labels of the rows
// that hold the bucket from the labels of all rows; the former are smoothed with two rows of the latter, so that a rare n-gram
// does not look telling by chance. The factor acts like a wider prior for telling n-grams; against plain IDF it was worth
// 0.8 points of accuracy on it_tickets and 0.2 on banking77. counts is room for one row of width labels a bucket and is zero again at the end.
func weighBuckets(c *corpus, rows []Row, s Settings, labels int, counts []float32) []byte {
	width := len(counts) / s.Buckets
	df := make([]float64, s.Buckets)
	prior := make([]float64, labels)
	for i, r := range rows {
		for _, l := range r.Labels {
			prior[l] += 1 / float64(len(rows))
		}
		for _, p := range c.ids[c.start[i]:c.start[i+1]] {
			df[p>>10]++
			for _, l := range r.Labels {
				counts[int(p>>10)*width+int(l)]++
			}
		}
	}
	scale := make([]float64, s.Buckets)
	n := threads()
	parallel(n, func(k int) {
		for b := k; b < s.Buckets; b += n {
			row := counts[b*width:][:labels]
			d := divergence(row, prior, df[b], s.Task)
			clear(row)
			idf := ln(float64(1+len(rows))/(1+df[b])) + 1
			scale[b] = exp(float64(s.InverseFrequency*ln(idf)) + float64(s.Relevance*ln(0.05+d)))
		}
	})
	top := slices.Max(scale)
	scales := make([]byte, 0, 2*s.Buckets)
	for _, x := range scale {
		scales = binary.LittleEndian.AppendUint16(scales, uint16(max(1, float64(x/top*65535)+0.5)))
	}
	return scales
}

func divergence(counts []float32, prior []float64, n float64, task engine.Task) float64 {
	const smooth = 2
	none := smooth / (n + smooth) // share of a label's prior that remains when no row with the bucket has it
	term := func(p, q float64) float64 {
		if p <= 0 || q <= 0 {
			return 0
		}
		return float64(p * ln(p/q))
	}
	var d float64
	rest := 1.0 // prior of the labels without a row
	for l, count := range counts {
		if task == engine.Multiclass && count == 0 {
			continue
		}
		p := (float64(count) + float64(smooth*prior[l])) / (n + smooth)
		d += term(p, prior[l])
		if task == engine.Multilabel {
			d += term(1-p, 1-prior[l])
		}
		rest -= prior[l]
	}
	if task == engine.Multiclass && rest > 0 {
		d += float64(float64(rest*none) * ln(none))
	}
	return max(d, 0)
}
