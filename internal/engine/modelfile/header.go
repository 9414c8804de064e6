package modelfile

import (
	"encoding/binary"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// decodeHeader reads a description. Each count is bounded by its limit and by the bytes that are left before anything is
// allocated for it.
func decodeHeader(b []byte) (*Header, error) {
	r := &reader{b: b}
	h := &Header{Kind: engine.Kind(r.byte()), Task: engine.Task(r.byte()), OutOfScope: int(int32(r.uint32()))}
	if n := r.count(MaxLabels, 5); n > 0 {
		h.Labels = make([]string, n)
		for i := range h.Labels {
			h.Labels[i] = r.string(MaxLabelBytes)
		}
	}
	if n := r.count(MaxColumns, 6); n > 0 {
		h.Columns = make([]engine.Column, n)
		for i := range h.Columns {
			h.Columns[i] = engine.Column{Name: r.string(MaxColumnBytes), Kind: engine.ValueKind(r.byte())}
		}
	}
	if n := r.count(MaxMeta, 9); n > 0 {
		h.Meta = make(map[string]string, n)
		last := ""
		for range n {
			k := r.string(MaxKeyBytes)
			if r.failed == "" && k <= last {
				r.fail("notes are not in order")
			}
			h.Meta[k], last = r.string(MaxValueBytes), k
		}
	}
	if r.failed == "" && len(r.b) > 0 {
		r.fail(fmt.Sprintf("%d bytes too many", len(r.b)))
	}
	if r.failed != "" {
		return nil, damaged("description: %s", r.failed)
	}
	if err := h.check(); err != nil {
		return nil, damaged("description: %w", err)
	}
	return h, nil
}

// reader takes values off the front of b. After the first failure it returns zeros.
type reader struct {
	b      []byte
	failed string
}

func (r *reader) fail(why string) {
	if r.failed == "" {
		r.failed = why
	}
	r.b = nil
}

func (r *reader) next(n int) []byte {
	if n > len(r.b) {
		r.fail("ends too early")
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.next(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.next(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// count reads the number of items that follow, each of which takes at least size bytes.
func (r *reader) count(limit, size int) int {
	n := r.uint32()
	if n > uint32(limit) || uint64(n)*uint64(size) > uint64(len(r.b)) {
		r.fail(fmt.Sprintf("count %d is beyond the limit %d or the bytes that are left", n, limit))
		return 0
	}
	return int(n)
}

func (r *reader) string(limit int) string {
	n := r.uint32()
	if n > uint32(limit) {
		r.fail(fmt.Sprintf("string of %d bytes, limit %d", n, limit))
		return ""
	}
	return string(r.next(int(n)))
}
