package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Key identifies the input of a row: rows whose texts differ only in case, spacing or Unicode composition have equal keys, and so
// have equal records. Splits keep equal keys on one side, since a model that has seen a text knows its answer.
type Key [16]byte

// Key returns the row's key. Collisions of 128 bits of SHA-256 do not happen.
func (r Row) Key() Key {
	var sum [32]byte
	if r.Record == nil {
		text := strings.ToLower(norm.NFKC.String(r.Text))
		sum = sha256.Sum256([]byte(strings.Join(strings.Fields(text), " ")))
	} else {
		sum = sha256.Sum256(appendRecord(nil, r.Record))
	}
	return Key(sum[:16])
}

// appendRecord writes a record in one canonical form: fields by name, lengths before strings, so that no two records share it.
func appendRecord(b []byte, rec engine.Record) []byte {
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, name := range slices.Sorted(maps.Keys(rec)) {
		v := rec[name]
		str(name)
		b = append(b, byte(v.Kind))
		switch v.Kind {
		case engine.Number:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Number))
		case engine.Bool:
			if v.Bool {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		case engine.Text:
			str(v.Text)
		}
	}
	return b
}
