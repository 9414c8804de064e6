// Package dataset reads labelled rows: texts or records with their labels, from JSONL, CSV or Parquet, plain or compressed.
// A row that cannot be used is reported with its line and the reason, never dropped in silence, and everything that a file can
// grow (line length, decompressed size, rows) has a bound. It knows nothing of training.
package dataset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Kind says what the rows of a set hold.
type Kind string

// The kinds of set. A file holds one of them; rows of the other are rejected.
const (
	Text   Kind = "text"
	Record Kind = "record"
)

// Reasons why a row was rejected, as they stand in RowError.Reason and Set.RejectedByReason.
const (
	BadJSON        = "bad JSON"
	BadCSV         = "bad CSV"
	InvalidUTF8    = "invalid UTF-8"
	LineTooLong    = "line too long"
	MissingLabel   = "missing label"
	EmptyLabel     = "empty label"
	LabelTooLong   = "label too long"
	MissingInput   = "missing text or record"
	EmptyText      = "empty text"
	TextTooLong    = "text too long"
	EmptyRecord    = "empty record"
	RecordTooLarge = "record too large"
	WrongType      = "wrong type"
	MixedKind      = "text and records in one file"
	BadProbability = "bad probability"
)

var (
	// ErrTooLarge means that a file exceeds one of the Limits that cannot be answered by rejecting one row.
	ErrTooLarge = errors.New("data set too large")
	// ErrFormat means that a file as a whole cannot be read: unknown format, damaged compression, missing column.
	ErrFormat = errors.New("data set unreadable")
)

// Options name the columns and bound the reading. The zero value reads the default format: {"text":…,"label":…} or
// {"record":{…},"label":…} a line.
type Options struct {
	// LabelField names the column of the label, default "label": a string (or number, or boolean), or a list of them.
	LabelField string
	// TextField names the column of the text, default "text".
	TextField string
	// SubjectField, when set, names a column that is put before the text: subject, line feed, text.
	SubjectField string
	// RecordField names the object of a record, default "record". Without such a column and without a text column, all other
	// columns of a CSV or Parquet file form the record.
	RecordField string
	// PersonField, when set, names a column with the id of the person whose row it is; TimeField one with the row's time (RFC 3339, a date, or
	// seconds since 1970). Neither is ever a field of a record.
	PersonField, TimeField string
	// Attributes name columns whose values make groups that evaluations look at, such as a dialect.
	Attributes []string
	// ProbabilityField, when set, names a column with the probability with which the row was chosen to be labelled, and LeastField beside it one with the smallest of its kind (see Sampling): Probability
	// in (0, 1], or 0 where nobody knows; Least in (0, Probability], or 0 or less for none. Rows that say neither have the zero Sampling, others are rejected. Neither is ever a field of a record.
	ProbabilityField string
	// ProbabilityWithInput restricts ProbabilityField to files with a column of the text or of the record: where all columns together are the record, one of that name is a field of it.
	ProbabilityWithInput bool
	// LabelSeparator, when set, splits label strings into several labels, for multi-label sets in CSV: "spam|abuse" with "|".
	LabelSeparator string
	// Format is "jsonl", "csv" or "parquet"; empty: found by content, then by extension.
	Format string
	// Comma separates CSV fields; 0: found in the header line among comma, semicolon, tab and bar.
	Comma rune
	// Columns, when set, are the types that the fields of CSV records have (those of the training set, for a test set); fields
	// that are not named are inferred.
	Columns []engine.Column
	// Unlabelled accepts rows without a label, for files that are to be answered rather than learned from.
	Unlabelled bool
	// Limits bound the reading; zero members take their defaults.
	Limits Limits
}

// Limits bound what one file may cost.
type Limits struct {
	LineBytes  int   // longest line or CSV row, default 4 MiB
	TextChars  int   // longest text in characters, default 100,000
	LabelChars int   // longest label in characters, default 200
	Fields     int   // most fields in a record, default 1,000
	ValueChars int   // longest text field of a record in characters, default 10,000
	Rows       int   // most rows, default 2,000,000
	Bytes      int64 // most decompressed bytes, default 4 GiB
	Ratio      int64 // most decompressed bytes for each compressed byte, once 64 MiB are out, default 200
	Errors     int   // how many RowErrors are kept (all are counted), default 20
}

// Row is one labelled example.
type Row struct {
	Line   int // 1-based line of the file; for Parquet the row number
	Text   string
	Record engine.Record
	Labels []string // trimmed, without repetitions, in the order of the file; empty only in multi-label or unlabelled sets
	// Person is whose row it is, "" when nobody says; Time when it was, zero likewise; Attributes the groups that it belongs to.
	Person     string
	Time       time.Time
	Attributes map[string]string
	// Reviewed says that a reviewer, who may err, gave the labels; files hold what is taken as the truth.
	Reviewed bool
	// Group, when set, names rows that are kept on one side of every split, such as those of one person. Rows with equal keys must have equal groups.
	Group string
	// Sampling is with which probability the row came to have a label; the zero value means that all rows of its kind have one.
	Sampling Sampling
}

// RowError says why one row was rejected.
type RowError struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"` // one of the constants
	Detail string `json:"detail"` // what exactly, for a person; never the row's text
}

func (e RowError) String() string {
	if e.Detail == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Reason, e.Detail)
}

// Set is a file that was read.
type Set struct {
	Name string // base name of the file
	Rows []Row
	Kind Kind // empty when there are no rows
	// Format is "jsonl", "csv" or "parquet".
	Format string
	// Lists says that at least one label was given as a list (or was split by LabelSeparator).
	Lists bool
	// Columns are the fields of the records with their types, by name; nil for texts.
	Columns []engine.Column
	// Ignored names columns of a Parquet file that cannot be record fields (lists, groups, decimals).
	Ignored []string
	// Rejected holds the first rejected rows, RejectedByReason counts all of them.
	Rejected         []RowError
	RejectedByReason map[string]int
	// SHA256 is the hex digest of the file as it lies on disk; Bytes its length.
	SHA256 string
	Bytes  int64
}

// RejectedRows returns how many rows were rejected.
func (s *Set) RejectedRows() int {
	n := 0
	for _, c := range s.RejectedByReason {
		n += c
	}
	return n
}

// Read reads the whole file at path. It fails with ErrTooLarge or ErrFormat, or when the file cannot be read to its end; single
// bad rows are in Set.Rejected instead. Call Check to learn whether the rows can be trained on.
func Read(ctx context.Context, path string, o Options) (*Set, error) {
	set, err := readFile(ctx, path, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("read data set: %w", err)
	}
	return set, nil
}

func (o Options) withDefaults() Options {
	text := func(v *string, def string) {
		if *v == "" {
			*v = def
		}
	}
	text(&o.LabelField, "label")
	text(&o.TextField, "text")
	text(&o.RecordField, "record")
	number := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	l := &o.Limits
	number(&l.LineBytes, 4<<20)
	number(&l.TextChars, 100_000)
	number(&l.LabelChars, 200)
	number(&l.Fields, 1000)
	number(&l.ValueChars, 10_000)
	number(&l.Rows, 2_000_000)
	number(&l.Errors, 20)
	if l.Bytes <= 0 {
		l.Bytes = 4 << 30
	}
	if l.Ratio <= 0 {
		l.Ratio = 200
	}
	return o
}
