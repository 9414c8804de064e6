package text

// The three inner loops. Each has one result for all processors: integer sums are exact, and the single-precision ones keep
// one running sum a label, add in the order of the list and round every product before it is added. That is why the assembly
// uses no fused multiply-add.

// gather sets acc to the sum of vals[i] times row ids[i] of w. Rows are len(acc) wide, a multiple of 8.
func gather(acc, w []float32, ids []uint32, vals []float32) {
	vals = vals[:len(ids)]
	if !fast || len(ids) == 0 {
		gatherGo(acc, w, ids, vals)
		return
	}
	checkRows(len(w), len(acc), ids)
	gatherFast(acc, w, ids, vals)
}

func gatherGo(acc, w []float32, ids []uint32, vals []float32) {
	clear(acc)
	for i, id := range ids {
		v := vals[i]
		row := w[int(id)*len(acc):][:len(acc)]
		for l, x := range row {
			acc[l] += float32(x * v)
		}
	}
}

// scatter adds vals[i] times g to row ids[i] of w, except in blocks of 8 labels where g is zero.
func scatter(w, g []float32, ids []uint32, vals []float32) {
	vals = vals[:len(ids)]
	if !fast || len(ids) == 0 {
		scatterGo(w, g, ids, vals)
		return
	}
	checkRows(len(w), len(g), ids)
	scatterFast(w, g, ids, vals)
}

func scatterGo(w, g []float32, ids []uint32, vals []float32) {
	for l := 0; l < len(g); l += 8 {
		block := g[l : l+8]
		if zeroes(block) {
			continue
		}
		for i, id := range ids {
			v := vals[i]
			row := w[int(id)*len(g)+l:][:8]
			for k, x := range block {
				row[k] += float32(x * v)
			}
		}
	}
}

func zeroes(block []float32) bool {
	for _, x := range block {
		if x != 0 {
			return false
		}
	}
	return true
}

// accumulate adds the int8 rows of the grams, each times its count, to acc. Rows are len(acc) wide, a multiple of 16. The
// caller sees to it that every bucket is inside w and every count at most maxCount.
func accumulate(acc []int32, w []byte, grams []gram) {
	for len(grams) > 0 {
		// 16 bits hold the sum as long as the counts sum to at most 258: 258·127 < 2^15.
		n, sum := 0, uint32(0)
		for n < len(grams) && sum+grams[n].count <= 258 {
			sum += grams[n].count
			n++
		}
		if fast {
			accumulateFast(acc, w, grams[:n], len(grams)-n)
		} else {
			accumulateGo(acc, w, grams[:n])
		}
		grams = grams[n:]
	}
}

func accumulateGo(acc []int32, w []byte, grams []gram) {
	for _, g := range grams {
		row := w[int(g.bucket)*len(acc):][:len(acc)]
		for l, x := range row {
			acc[l] += int32(int8(x)) * int32(g.count)
		}
	}
}

// checkRows panics where the Go loops would: the assembly does not check bounds.
func checkRows(size, width int, ids []uint32) {
	top := uint32(0)
	for _, id := range ids {
		top = max(top, id)
	}
	if (int(top)+1)*width > size {
		panic("text: row outside the weights") //nolint:forbidigo // the kernel would otherwise read foreign memory
	}
}
