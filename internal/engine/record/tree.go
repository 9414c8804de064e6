package record

// node is one place of a decision tree, in the order of the file. Children stand side by side and behind their parent.
type node struct {
	value  float32 // mean answer of the training rows that came here; at a leaf the answer
	left   uint32  // index of the left child, the right one follows; 0 at a leaf
	set    uint32  // categories: index of the set of bins that go left
	column uint16
	bin    uint8 // ordered: rows with bin-shift <= bin go left, in the arithmetic of bytes
	flags  uint8
}

// Flags of a node.
const (
	flagSet          = 1 // the column is one of categories
	flagMissingRight = 2 // ordered: subtract 1 first, which makes missing (0) the largest byte
)

// bins256 is a set of bins.
type bins256 [4]uint64

func (s *bins256) has(b uint8) bool { return s[b>>6]>>(b&63)&1 != 0 }
func (s *bins256) put(b uint8)      { s[b>>6] |= 1 << (b & 63) }

// tree is one regression tree with the sets that its nodes use.
type tree struct {
	nodes []node
	sets  []bins256
}

func (t *tree) left(n *node, b uint8) bool {
	if n.flags&flagSet != 0 {
		return t.sets[n.set].has(b)
	}
	return b-n.flags>>1&1 <= n.bin
}

// answer returns the value of the leaf that row i of the table falls into.
func (t *tree) answer(bins [][]uint8, i int) float64 {
	n := &t.nodes[0]
	for n.left != 0 {
		at := n.left
		if !t.left(n, bins[n.column][i]) {
			at++
		}
		n = &t.nodes[at]
	}
	return float64(n.value)
}
