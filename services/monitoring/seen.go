package monitoring

import (
	"encoding/binary"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// windowSize is how many of the last places in the stream are remembered one by one. What is further back counts as seen: a decision that comes again after a long time has no effect, at the price
// that one which comes for the first time that late is missing in the counts.
const windowSize = 1 << 16

// window remembers which places of the stream were counted, so that a decision counts once however often it is delivered. An inbox would do the same with a row for each decision.
type window struct {
	top  uint64 // the highest place
	bits []byte // one for each place in (top-windowSize, top], at its number modulo windowSize
}

// add says whether a place is new, and remembers it.
func (w *window) add(seq uint64) bool {
	if w.bits == nil {
		w.bits = make([]byte, windowSize/8)
	}
	if seq+windowSize <= w.top {
		return false
	}
	if seq > w.top {
		if seq-w.top >= windowSize {
			clear(w.bits)
		} else {
			for p := w.top + 1; p <= seq; p++ {
				w.bits[p%windowSize/8] &^= 1 << (p % 8)
			}
		}
		w.top = seq
	}
	b, bit := &w.bits[seq%windowSize/8], byte(1)<<(seq%8)
	if *b&bit != 0 {
		return false
	}
	*b |= bit
	return true
}

func loadWindow(tx *db.Tx, source string) (*window, error) {
	var data []byte
	found, err := tx.Get(`SELECT seen FROM monitoring_seen WHERE source = ?`, []any{source}, &data)
	if err != nil || !found {
		return &window{}, err
	}
	if len(data) != 8+windowSize/8 {
		return nil, fmt.Errorf("decode what was seen of %s: %d bytes", source, len(data))
	}
	return &window{top: binary.BigEndian.Uint64(data), bits: data[8:]}, nil
}

func (w *window) save(tx *db.Tx, source string) error {
	data := append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(w.bits)), w.top), w.bits...)
	_, err := tx.Exec(`INSERT INTO monitoring_seen (source, seen) VALUES (?, ?) ON CONFLICT (source) DO UPDATE SET seen = excluded.seen`, source, data)
	return err
}
