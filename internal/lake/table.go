package lake

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

const (
	// A row group is what a reader decodes at once. 64 Ki rows are 5 to 10 MB of decisions, and few enough that a lookup by statistics is cheap.
	groupRows = 64 << 10
	// Files are compacted up to about so many bytes, and so many rows; they are made in memory.
	fileBytes = 64 << 20
	fileRows  = 1 << 20
	// Bits a value of the Bloom filters of ids that people look for: one in a hundred row groups is read in vain.
	filterBits = 10
	// Parts of a file that are checked at once when they are read.
	blockSize = 256 << 10
)

// table is one kind of rows.
type table interface {
	// merge makes one file's bytes of the rows of several readers, sorted by key; edit may change rows or drop them.
	merge(from []*parquet.File, project string, edit editor) (*encoded, error)
	// find returns the row with that key as *T, or errNoRow.
	find(f *parquet.File, project, key string) (any, error)
	// known returns which of the sorted keys a file holds.
	known(f *parquet.File, keys []string) (map[string]bool, error)
	// each calls fn with every row of a file as *T, in order.
	each(f *parquet.File, project string, fn func(any) error) error
	schema() *parquet.Schema
}

// editor sees every row before it is written. subject is whose data it is; erase takes the personal data out.
type editor func(subject string, erase func(time.Time)) (changed bool)

var tables = map[string]table{
	Decisions:   kind[Decision, *Decision]{},
	Verdicts:    kind[Verdict, *Verdict]{},
	FeedbackOf:  kind[Feedback, *Feedback]{},
	Deployments: kind[Deployment, *Deployment]{},
}

// kind implements table for one type of rows.
type kind[T any, R row[T]] struct{}

func (kind[T, R]) schema() *parquet.Schema { return parquet.SchemaOf(new(T)) }

// encoded is a file that is not written yet.
type encoded struct {
	data    []byte
	file    File
	changed int64
}

// compression is shared by all files: an encoder of its own for each would begin with a history of some megabytes.
var compression = &zstd.Codec{Level: zstd.SpeedDefault}

// encoder writes rows, which come sorted, into one file.
type encoder[T any, R row[T]] struct {
	buf  bytes.Buffer
	w    *parquet.GenericWriter[T]
	file File
}

func newEncoder[T any, R row[T]]() *encoder[T, R] {
	e := &encoder[T, R]{}
	var filters []parquet.BloomFilterColumn
	for _, column := range []string{"content_id", "subject_id"} {
		if _, ok := parquet.SchemaOf(new(T)).Lookup(column); ok {
			filters = append(filters, parquet.SplitBlockFilter(filterBits, column))
		}
	}
	e.w = parquet.NewGenericWriter[T](&e.buf,
		parquet.BloomFilters(filters...),
		parquet.Compression(compression),
		parquet.MaxRowsPerRowGroup(groupRows),
		parquet.PageBufferSize(128<<10),
		parquet.ColumnIndexSizeLimit(func([]string) int { return 40 }), // whole ids in the page index, so that one page is read to find one
		parquet.CreatedBy("switchyard", "lake", "1"),
	)
	return e
}

func (e *encoder[T, R]) write(rows []T) error {
	for i := range rows {
		r := R(&rows[i])
		f := &e.file
		if f.Rows == 0 {
			f.MinKey, f.MaxKey, f.MinSeq, f.MaxSeq, f.MinTime, f.MaxTime = r.key(), r.key(), r.place(), r.place(), r.when(), r.when()
		}
		f.MinKey, f.MaxKey = min(f.MinKey, r.key()), max(f.MaxKey, r.key())
		f.MinSeq, f.MaxSeq = min(f.MinSeq, r.place()), max(f.MaxSeq, r.place())
		if r.when().Before(f.MinTime) {
			f.MinTime = r.when()
		}
		if r.when().After(f.MaxTime) {
			f.MaxTime = r.when()
		}
		f.Subjects = f.Subjects || r.subject() != ""
		f.Rows++
	}
	_, err := e.w.Write(rows)
	return err
}

// finish ends the file. Its name says which part of the stream it holds and what its bytes are, so that no two files can have one name.
func (e *encoder[T, R]) finish(p partition) (*encoded, error) {
	if err := e.w.Close(); err != nil {
		return nil, err
	}
	f, data := &e.file, e.buf.Bytes()
	f.Bytes, f.SHA256, f.Blocks = int64(len(data)), hashOf(data), blockSums(data)
	f.MinKey, f.MaxKey = strings.Clone(f.MinKey), strings.Clone(f.MaxKey) // rows may lie in memory that is used again
	f.MinTime, f.MaxTime = f.MinTime.UTC().Truncate(time.Microsecond), f.MaxTime.UTC().Truncate(time.Microsecond)
	f.Path = fmt.Sprintf("%s%020d-%020d-%s.parquet", p.dir(), f.MinSeq, f.MaxSeq, f.SHA256[:16])
	if err := f.fromPath(); err != nil {
		return nil, err
	}
	return &encoded{data: data, file: *f}, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blockSums returns the CRC32C of every block, 4 bytes each.
func blockSums(data []byte) []byte {
	sums := make([]byte, 0, (len(data)/blockSize+1)*4)
	for block := range slices.Chunk(data, blockSize) {
		s := crc32.Checksum(block, castagnoli)
		sums = append(sums, byte(s>>24), byte(s>>16), byte(s>>8), byte(s))
	}
	return sums
}
