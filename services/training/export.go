package training

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// pieceBytes is the size of the pieces that a file is sent in; the contract allows 1 MiB.
const pieceBytes = 256 << 10

// ExportDataset sends the rows of a version.
func (s *Service) ExportDataset(req *trainingv1.ExportDatasetRequest, stream grpc.ServerStreamingServer[trainingv1.ExportDatasetResponse]) error {
	ctx := stream.Context()
	of, err := project(ctx)
	if err != nil {
		return err
	}
	d, err := s.find(ctx, of, req.GetName(), req.GetVersion())
	if err != nil {
		return err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	rows, err := s.rowsOf(d)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(sender(func(b []byte) error { return stream.Send(&trainingv1.ExportDatasetResponse{Chunk: b}) }), pieceBytes)
	switch req.GetFormat() {
	case trainingv1.DatasetFormat_DATASET_FORMAT_PARQUET:
		err = snapshot.Encode(out, rows)
	case trainingv1.DatasetFormat_DATASET_FORMAT_CSV:
		if d.GetKind() != string(dataset.Text) {
			return fault.InvalidField("format", "CSV is for texts, the rows are %ss", d.GetKind())
		}
		err = writeCSV(out, ofSide(rows, req.GetSide()), d.GetAttributes(), chosen(rows))
	default:
		err = writeJSONL(out, ofSide(rows, req.GetSide()), chosen(rows))
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// sender sends what is written to it, in pieces.
type sender func([]byte) error

// Write sends a copy of p: what is sent may be read after Write has returned.
func (s sender) Write(p []byte) (int, error) {
	for part := range slices.Chunk(p, 1<<20) {
		if err := s(slices.Clone(part)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func ofSide(rows []snapshot.Row, side trainingv1.DatasetSide) []snapshot.Row {
	want := map[trainingv1.DatasetSide]dataset.Side{
		trainingv1.DatasetSide_DATASET_SIDE_TRAIN: dataset.Train, trainingv1.DatasetSide_DATASET_SIDE_TEST: dataset.Test,
	}[side]
	if want == "" {
		return rows
	}
	var out []snapshot.Row
	for _, r := range rows {
		if r.Side == want {
			out = append(out, r)
		}
	}
	return out
}

// line is a row as JSON, with the names that an import reads by default.
type line struct {
	Text       string            `json:"text,omitempty"`
	Record     map[string]any    `json:"record,omitempty"`
	Label      any               `json:"label"` // a text, or a list
	Side       dataset.Side      `json:"side"`
	Person     string            `json:"person,omitempty"`
	Time       string            `json:"time,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Source     string            `json:"source"`
	DecisionID string            `json:"decisionId,omitempty"`
	// Probability is absent where it is 1, and 0 where nobody knows it. Least is 0 where there is none, and absent in a data set of which all rows were chosen with certainty.
	Probability *float64 `json:"probability,omitempty"`
	Least       *float64 `json:"least,omitempty"`
}

// chosen says whether some rows were not chosen with certainty.
func chosen(rows []snapshot.Row) bool {
	return slices.ContainsFunc(rows, func(r snapshot.Row) bool { return r.Probability != 1 || r.Least != 1 })
}

func writeJSONL(w io.Writer, rows []snapshot.Row, chosen bool) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, r := range rows {
		l := line{
			Text: r.Text, Label: r.Labels, Side: r.Side, Person: r.Person, Time: stamp(r.Time), Attributes: r.Attributes, Source: r.Source, DecisionID: r.DecisionID,
		}
		if len(r.Labels) == 1 {
			l.Label = r.Labels[0]
		}
		if r.Labels == nil {
			l.Label = []string{}
		}
		if r.Record != nil {
			l.Record = snapshot.Fields(r.Record)
		}
		if r.Probability != 1 {
			l.Probability = &r.Probability
		}
		if chosen {
			l.Least = &r.Least
		}
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("write row %d: %w", r.Line, err)
		}
	}
	return nil
}

func writeCSV(w io.Writer, rows []snapshot.Row, attributes []string, chosen bool) error {
	out := csv.NewWriter(w)
	header := []string{"text", "label", "side", "person", "time"}
	if chosen {
		header = append(header, "probability", dataset.LeastField)
	}
	_ = out.Write(append(header, attributes...)) // Error tells
	for _, r := range rows {
		fields := []string{r.Text, strings.Join(r.Labels, "|"), string(r.Side), r.Person, stamp(r.Time)}
		if chosen {
			fields = append(fields, strconv.FormatFloat(r.Probability, 'g', -1, 64), strconv.FormatFloat(r.Least, 'g', -1, 64))
		}
		for _, a := range attributes {
			fields = append(fields, r.Attributes[a])
		}
		_ = out.Write(fields)
	}
	out.Flush()
	return out.Error()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
