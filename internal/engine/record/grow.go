package record

// derivative is what one row adds to the histograms: first and second derivative of its loss.
type derivative struct{ g, h float32 }

// leaf is a node that may still be divided; its rows are rows[from:to] of the grower.
type leaf struct {
	node, from, to int
	slot           int
	all            cell
	best           split
}

// grower grows one tree at a time, always dividing the leaf that gains most (leaf-wise growth). It keeps its memory from tree to tree.
type grower struct {
	data     *table
	columns  []column
	offsets  []int // first cell of each column in a histogram
	cells    int
	rule     splitter
	leaves   int
	rate, l2 float64
	workers  int

	rows, spare []int32
	ordered     []derivative // those of the rows of the leaf at hand, side by side
	histograms  [][]cell
	found       [2][]split
}

func newGrower(columns []column, data *table, s Settings, workers int) *grower {
	at, cells := offsets(columns)
	g := &grower{
		data: data, columns: columns, offsets: at, cells: cells, leaves: s.Leaves, rate: s.LearningRate, l2: s.TreeL2, workers: workers,
		rows: make([]int32, data.rows), spare: make([]int32, data.rows), ordered: make([]derivative, data.rows),
	}
	minRows := s.MinLeafRows
	if minRows == 0 {
		minRows = min(20, max(3, data.rows/100))
	}
	g.rule = splitter{
		minRows: int64(minRows), minWeight: s.MinLeafWeight, l2: s.TreeL2,
		groupRows: int64(min(100, max(minRows, data.rows/100))), catRows: int64(min(catSmooth, minRows)),
	}
	return g
}

// grow returns a tree for the derivatives, using only the given columns, and adds its answers to the scores of the rows, which
// stand stride apart.
func (g *grower) grow(d []derivative, use []int, scores []float64, stride int) *tree {
	for i := range g.rows {
		g.rows[i] = int32(i)
	}
	g.found = [2][]split{make([]split, len(use)), make([]split, len(use))}
	t := &tree{nodes: make([]node, 1, 2*g.leaves)}
	leaves := make([]leaf, 1, g.leaves)
	root := &leaves[0]
	root.to = len(g.rows)
	for _, v := range d {
		root.all.add(cell{float64(v.g), float64(v.h), 1})
	}
	copy(g.ordered, d)
	g.search(root, nil, use)
	for len(leaves) < g.leaves {
		at := 0
		for i := range leaves {
			if leaves[i].best.gain > leaves[at].best.gain {
				at = i
			}
		}
		if leaves[at].best.gain <= 0 {
			break
		}
		leaves = append(leaves, leaf{slot: len(leaves)})
		g.divide(t, d, &leaves[at], &leaves[len(leaves)-1], use, len(leaves) < g.leaves)
	}
	g.settle(t, leaves, scores, stride)
	return t
}

// divide splits a leaf: it becomes its own left or right child, whichever has more rows, and fresh becomes the other.
func (g *grower) divide(t *tree, d []derivative, big, fresh *leaf, use []int, again bool) {
	s := big.best
	n := &t.nodes[big.node]
	value := n.value
	*n = s.rule
	n.value, n.left = value, uint32(len(t.nodes))
	if n.flags&flagSet != 0 {
		n.set = uint32(len(t.sets))
		t.sets = append(t.sets, s.set)
	}
	middle := g.partition(t, n, big.from, big.to)
	left := leaf{node: len(t.nodes), from: big.from, to: middle, all: s.left}
	right := leaf{node: len(t.nodes) + 1, from: middle, to: big.to, all: big.all.minus(s.left)}
	t.nodes = append(t.nodes, node{}, node{})
	if left.all.n < right.all.n {
		left, right = right, left
	}
	left.slot, right.slot = big.slot, fresh.slot
	*big, *fresh = left, right
	if !again || big.all.n < 2*g.rule.minRows {
		return
	}
	for i, r := range g.rows[fresh.from:fresh.to] {
		g.ordered[i] = d[r]
	}
	g.search(fresh, big, use)
}

// partition moves the rows that go left to the front, keeping their order, and returns where the others begin.
func (g *grower) partition(t *tree, n *node, from, to int) int {
	bins := g.data.bins[n.column]
	left, other := from, 0
	for _, r := range g.rows[from:to] {
		if t.left(n, bins[r]) {
			g.rows[left] = r
			left++
		} else {
			g.spare[other] = r
			other++
		}
	}
	copy(g.rows[left:to], g.spare[:other])
	return left
}

// search fills the histogram of a leaf from its rows, that of its bigger sibling by subtraction from the parent's, and finds
// the best split of both. Each column is summed up by one goroutine in the order of the rows: cores do not change the sums.
func (g *grower) search(small, big *leaf, use []int) {
	for len(g.histograms) <= small.slot {
		g.histograms = append(g.histograms, make([]cell, g.cells+maxBins))
	}
	rows := g.rows[small.from:small.to]
	width := g.workers
	if len(rows)*len(use) < 20_000 {
		width = 1 // starting goroutines costs more than it saves
	}
	each(width, len(use), func(i int) {
		c := use[i]
		bins := g.columns[c].bins()
		mine := (*[maxBins]cell)(g.histograms[small.slot][g.offsets[c]:])
		fill(mine, bins, g.data.bins[c], rows, g.ordered[:len(rows)])
		g.found[0][i] = g.try(c, mine[:bins], small.all)
		if big == nil {
			return
		}
		theirs := g.histograms[big.slot][g.offsets[c]:][:bins]
		for b := range theirs {
			if theirs[b].n == mine[b].n {
				theirs[b] = cell{} // what rounding leaves behind is not evidence
			} else {
				theirs[b] = theirs[b].minus(mine[b])
			}
		}
		g.found[1][i] = g.try(c, theirs, big.all)
	})
	small.best = strongest(g.found[0])
	if big != nil {
		big.best = strongest(g.found[1])
	}
}

// fill sums up rows by bin. The array type spares the bounds check in the innermost loop of training.
func fill(h *[maxBins]cell, bins int, column []uint8, rows []int32, d []derivative) {
	clear(h[:bins])
	d = d[:len(rows)]
	for i, r := range rows {
		c := &h[column[r]]
		c.g += float64(d[i].g)
		c.h += float64(d[i].h)
		c.n++
	}
}

func (g *grower) try(c int, h []cell, all cell) split {
	if all.n < 2*g.rule.minRows {
		return split{}
	}
	var s split
	if g.columns[c].ordered() {
		s = g.rule.ordered(h, all)
	} else {
		s = g.rule.categories(h, all)
	}
	s.rule.column = uint16(c)
	return s
}

func strongest(found []split) (best split) {
	for i := range found {
		if found[i].gain > best.gain {
			best = found[i]
		}
	}
	return best
}

// settle gives the leaves their answers and the inner nodes the mean of theirs, weighted by rows, so that the difference from
// a node to its child is what the split there contributed.
func (g *grower) settle(t *tree, leaves []leaf, scores []float64, stride int) {
	counts := make([]float64, len(t.nodes))
	for i := range leaves {
		l := &leaves[i]
		value := float32(-g.rate * l.all.g / (l.all.h + g.l2))
		t.nodes[l.node].value = value
		counts[l.node] = float64(l.all.n)
		for _, r := range g.rows[l.from:l.to] {
			scores[int(r)*stride] += float64(value)
		}
	}
	for i := len(t.nodes) - 1; i >= 0; i-- {
		n := &t.nodes[i]
		if n.left == 0 {
			continue
		}
		l, r := n.left, n.left+1
		counts[i] = counts[l] + counts[r]
		n.value = float32((counts[l]*float64(t.nodes[l].value) + counts[r]*float64(t.nodes[r].value)) / counts[i])
	}
}
