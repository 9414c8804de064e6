// Package snapshot stores labelled rows as they were when a data set was made: as Parquet, for this product and every tool that reads it, with a
// digest that depends on the rows alone and on no encoder. It knows nothing of where rows come from.
package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

// ErrDamaged means that a stored snapshot cannot be read.
var ErrDamaged = errors.New("snapshot is damaged")

// Sources of rows.
const (
	Verdict  = "verdict"
	Feedback = "feedback"
	Import   = "import"
)

// Row is a labelled row with its side and its origin.
type Row struct {
	dataset.Row
	Side dataset.Side
	// Source is one of the constants; DecisionID what was judged, "" for imports.
	Source, DecisionID string
	// Probability is with which probability the row was chosen to be labelled, in (0, 1]; weight by its inverse. 1 where everything was, 0 where nobody knows.
	Probability float64
	// Least is the smallest such probability of any decision that was made like this one, in (0, 1]: see dataset.Sampling. 0 where the row cannot be part of an even sample.
	Least float64
}

// stored is a row in Parquet.
type stored struct {
	Line        int64     `parquet:"line"`
	Text        string    `parquet:"text"`
	Record      string    `parquet:"record"` // a JSON object; "" for texts
	Labels      []string  `parquet:"label,list" parquet-element:",dict"`
	Side        string    `parquet:"side,dict"`
	Group       string    `parquet:"group_id"`
	Person      string    `parquet:"person_id"`
	Time        time.Time `parquet:"time,timestamp(microsecond)"`
	Attributes  string    `parquet:"attributes,dict"` // a JSON object
	Source      string    `parquet:"source,dict"`
	DecisionID  string    `parquet:"decision_id"`
	Probability float64   `parquet:"probability,dict"`
	// Least is -1 for none; files of earlier releases lack it, and read as 0: they say 1 of all rows.
	Least float64 `parquet:"least,dict"`
}

// Encode writes the rows as Parquet.
func Encode(w io.Writer, rows []Row) error {
	out := parquet.NewGenericWriter[stored](w, parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
		parquet.MaxRowsPerRowGroup(64<<10), parquet.CreatedBy("switchyard", "dataset", "1"))
	buf := make([]stored, 0, 1024)
	for part := range slices.Chunk(rows, cap(buf)) {
		buf = buf[:0]
		for i := range part {
			r, err := store(&part[i])
			if err != nil {
				return fmt.Errorf("encode snapshot: %w", err)
			}
			buf = append(buf, r)
		}
		if _, err := out.Write(buf); err != nil {
			return fmt.Errorf("encode snapshot: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	return nil
}

func store(r *Row) (stored, error) {
	s := stored{
		Line: int64(r.Line), Text: r.Text, Labels: r.Labels, Side: string(r.Side), Group: r.Group, Person: r.Person, Time: r.Time,
		Source: r.Source, DecisionID: r.DecisionID, Probability: r.Probability, Least: r.Least,
	}
	if s.Least == 0 {
		s.Least = dataset.Unknown
	}
	if s.Time.IsZero() {
		s.Time = time.UnixMicro(0).UTC()
	}
	if r.Record != nil {
		data, err := json.Marshal(Fields(r.Record))
		if err != nil {
			return s, fmt.Errorf("line %d: %w", r.Line, err)
		}
		s.Record = string(data)
	}
	if len(r.Attributes) > 0 {
		data, err := json.Marshal(r.Attributes) // keys are sorted
		if err != nil {
			return s, fmt.Errorf("line %d: %w", r.Line, err)
		}
		s.Attributes = string(data)
	}
	return s, nil
}

// Fields returns a record as JSON values.
func Fields(rec engine.Record) map[string]any {
	out := make(map[string]any, len(rec))
	for name, v := range rec {
		switch v.Kind {
		case engine.Number:
			out[name] = v.Number
		case engine.Bool:
			out[name] = v.Bool
		case engine.Text:
			out[name] = v.Text
		}
	}
	return out
}

// Open reads a stored snapshot.
func Open(path string) ([]Row, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	return Decode(data)
}

// Decode reads a snapshot. It fails with ErrDamaged.
func Decode(data []byte) (rows []Row, err error) {
	defer func() {
		if p := recover(); p != nil { // the library panics on some damaged files
			rows, err = nil, fmt.Errorf("decode snapshot: %v: %w", p, ErrDamaged)
		}
	}()
	list, err := parquet.Read[stored](bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("decode snapshot: %w: %w", err, ErrDamaged)
	}
	rows = make([]Row, len(list))
	for i := range list {
		if rows[i], err = list[i].row(); err != nil {
			return nil, fmt.Errorf("decode snapshot: row %d: %w: %w", i, err, ErrDamaged)
		}
	}
	return rows, nil
}

func (s *stored) row() (Row, error) {
	r := Row{
		Row:  dataset.Row{Line: int(s.Line), Text: s.Text, Labels: s.Labels, Group: s.Group, Person: s.Person},
		Side: dataset.Side(s.Side), Source: s.Source, DecisionID: s.DecisionID, Probability: s.Probability, Least: s.Least,
	}
	switch {
	case r.Least == 0:
		r.Least = 1
	case r.Least < 0:
		r.Least = 0
	}
	if s.Time.UnixMicro() != 0 {
		r.Time = s.Time.UTC()
	}
	if s.Record != "" {
		var fields map[string]any
		if err := json.Unmarshal([]byte(s.Record), &fields); err != nil {
			return r, err
		}
		r.Record = make(engine.Record, len(fields))
		for name, v := range fields {
			switch v := v.(type) {
			case float64:
				r.Record[name] = engine.Value{Kind: engine.Number, Number: v}
			case bool:
				r.Record[name] = engine.Value{Kind: engine.Bool, Bool: v}
			case string:
				r.Record[name] = engine.Value{Kind: engine.Text, Text: v}
			}
		}
	}
	if s.Attributes != "" {
		if err := json.Unmarshal([]byte(s.Attributes), &r.Attributes); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Digest returns "sha256:" and the hex digest of the rows in their order with everything that training and evaluation look at. It is the same on every machine and for
// every release of the encoder.
func Digest(rows []Row) string {
	h := sha256.New()
	var b []byte
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for i := range rows {
		r := &rows[i]
		b = b[:0]
		str(r.Text)
		b = binary.AppendUvarint(b, uint64(len(r.Record)))
		for _, name := range slices.Sorted(maps.Keys(r.Record)) {
			v := r.Record[name]
			str(name)
			b = append(b, byte(v.Kind), bit(v.Bool))
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Number))
			str(v.Text)
		}
		b = binary.AppendUvarint(b, uint64(len(r.Labels)))
		for _, l := range r.Labels {
			str(l)
		}
		for _, s := range []string{string(r.Side), r.Group, r.Person, r.Source, r.DecisionID} {
			str(s)
		}
		b = binary.BigEndian.AppendUint64(b, uint64(micros(r.Time)))
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(r.Probability))
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(r.Least))
		for _, name := range slices.Sorted(maps.Keys(r.Attributes)) {
			str(name)
			str(r.Attributes[name])
		}
		h.Write(binary.AppendUvarint(nil, uint64(len(b))))
		h.Write(b)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// Set makes the set of the rows on one side; of all of them for "". Its digest is that of exactly these rows, so that a model that was trained on them
// names them whatever the rest of the data set is.
func Set(name string, rows []Row, side dataset.Side) *dataset.Set {
	var kept []Row
	var plain []dataset.Row
	for _, r := range rows {
		if side == "" || r.Side == side {
			kept, plain = append(kept, r), append(plain, r.Row)
		}
	}
	set := dataset.Assemble(name, plain, dataset.Options{})
	byLine := make(map[int]*Row, len(kept))
	for i := range kept {
		byLine[kept[i].Line] = &kept[i]
	}
	for i := range set.Rows {
		r := byLine[set.Rows[i].Line]
		set.Rows[i].Group, set.Rows[i].Sampling, set.Rows[i].Reviewed = r.Group, r.sampling(), r.Source == Verdict
	}
	digest := Digest(kept)
	set.SHA256 = digest[len("sha256:"):]
	return set
}

// sampling is how the row came to be labelled, as those who learn and measure want to know it.
func (r *Row) sampling() dataset.Sampling {
	s := dataset.Sampling{Probability: r.Probability, Least: r.Least}
	if s.Probability == 0 {
		s.Probability = dataset.Unknown
	}
	if s.Least == 0 {
		s.Least = dataset.Unknown
	}
	if s == (dataset.Sampling{Probability: 1, Least: 1}) {
		return dataset.Sampling{}
	}
	return s
}
