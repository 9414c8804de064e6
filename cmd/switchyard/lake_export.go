package main

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/internal/lake"
)

// rowWriter writes rows of one table.
type rowWriter interface {
	write(row any) error
	close() error
}

// errEnough ends a reading.
var errEnough = errors.New("enough rows")

func (f *lakeFlags) write(c *cobra.Command, args []string, format string, limit int64, w io.Writer) error {
	name, err := tableArg(args, lake.Decisions)
	if err != nil {
		return err
	}
	filter, err := f.filter()
	if err != nil {
		return err
	}
	out, err := newRowWriter(format, name, w)
	if err != nil {
		return err
	}
	l, _, err := f.open(c)
	if err != nil {
		return err
	}
	n := int64(0)
	err = l.Each(c.Context(), name, filter, func(row any) error {
		if n++; limit > 0 && n > limit {
			return errEnough
		}
		return out.write(row)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(err, out.close())
}

func formatOf(file string) string { return strings.TrimPrefix(filepath.Ext(file), ".") }

func newRowWriter(format, name string, w io.Writer) (rowWriter, error) {
	switch format {
	case "jsonl", "ndjson", "json":
		return &jsonRows{bufio.NewWriter(w)}, nil
	case "csv":
		return &csvRows{w: csv.NewWriter(w)}, nil
	case "parquet":
		switch name {
		case lake.Verdicts:
			return newParquetRows[lake.Verdict](w), nil
		case lake.FeedbackOf:
			return newParquetRows[lake.Feedback](w), nil
		case lake.Deployments:
			return newParquetRows[lake.Deployment](w), nil
		}
		return newParquetRows[lake.Decision](w), nil
	}
	return nil, usagef("--format %q is none of jsonl, csv and parquet", format)
}

// columns returns names and values of a row, the project first.
func columns(row any) (names []string, values []any) {
	v := reflect.ValueOf(row).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("parquet"), ",")
		if name == "-" {
			name = "project"
		}
		value := v.Field(i).Interface()
		if b, ok := value.([]byte); ok {
			value = hex.EncodeToString(b)
		}
		if t, ok := value.(time.Time); ok {
			if value = any(nil); !t.IsZero() {
				value = t.UTC().Format("2006-01-02T15:04:05.000000Z")
			}
		}
		names, values = append(names, name), append(values, value)
	}
	return names, values
}

// jsonRows writes JSON objects with the columns in their order.
type jsonRows struct{ w *bufio.Writer }

func (j *jsonRows) write(row any) error {
	names, values := columns(row)
	for i, name := range names {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		value, err := json.Marshal(values[i])
		if err != nil {
			return err
		}
		if name == "fields" && values[i] != "" {
			value = []byte(values[i].(string)) // it is JSON already
		}
		if values[i] != nil && reflect.TypeOf(values[i]).Kind() == reflect.Slice && string(value) == "null" {
			value = []byte("[]")
		}
		_ = j.w.WriteByte(sep)
		fmt.Fprintf(j.w, "%q:%s", name, value)
	}
	_, err := j.w.WriteString("}\n")
	return err
}

func (j *jsonRows) close() error { return j.w.Flush() }

// csvRows writes a header and records; lists are JSON.
type csvRows struct {
	w      *csv.Writer
	header bool
}

func (c *csvRows) write(row any) error {
	names, values := columns(row)
	if !c.header {
		c.header = true
		if err := c.w.Write(names); err != nil {
			return err
		}
	}
	record := make([]string, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case nil:
		case string:
			record[i] = v
		case []string, []float32:
			data, err := json.Marshal(v)
			if err != nil {
				return err
			}
			record[i] = strings.ReplaceAll(string(data), "null", "[]")
			if reflect.ValueOf(v).Len() > 0 {
				record[i] = string(data)
			}
		default:
			record[i] = fmt.Sprint(v)
		}
	}
	return c.w.Write(record)
}

func (c *csvRows) close() error {
	c.w.Flush()
	return c.w.Error()
}

// parquetRows writes one Parquet file. Partition columns become none: name the project in the filter when several share a lake.
type parquetRows[T any] struct{ w *parquet.GenericWriter[T] }

func newParquetRows[T any](w io.Writer) *parquetRows[T] {
	return &parquetRows[T]{parquet.NewGenericWriter[T](w, parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(64<<10))}
}

func (p *parquetRows[T]) write(row any) error {
	_, err := p.w.Write([]T{*row.(*T)})
	return err
}

func (p *parquetRows[T]) close() error { return p.w.Close() }
