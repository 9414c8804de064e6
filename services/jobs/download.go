package jobs

import (
	"strings"

	"github.com/parquet-go/parquet-go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
)

const (
	// pieceBytes is the size of a piece of a file.
	pieceBytes = 256 << 10
	// rowGroup is how many rows of a Parquet file are held in memory.
	rowGroup = 50_000
)

// DownloadResults sends the results that there are as one file.
func (s *Jobs) DownloadResults(req *jobsv1.DownloadResultsRequest, stream grpc.ServerStreamingServer[jobsv1.DownloadResultsResponse]) error {
	out := &pieces{send: func(b []byte) error { return stream.Send(&jobsv1.DownloadResultsResponse{Data: b}) }}
	write := writeJSONL
	if req.GetFormat() == jobsv1.ResultFormat_RESULT_FORMAT_PARQUET {
		write = writeParquet
	}
	err := write(out, func(fn func([]*jobsv1.JobResult) error) error {
		return s.follow(stream.Context(), req.GetJobId(), 0, false, fn)
	})
	if err != nil {
		return err
	}
	return out.flush()
}

type each func(fn func([]*jobsv1.JobResult) error) error

func writeJSONL(out *pieces, results each) error {
	var line []byte
	return results(func(rs []*jobsv1.JobResult) error {
		for _, r := range rs {
			var err error
			if line, err = (protojson.MarshalOptions{}).MarshalAppend(line[:0], r); err != nil {
				return err
			}
			if _, err := out.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	})
}

// row is a result as a Parquet file holds it.
type row struct {
	Index        int64    `parquet:"index,delta"`
	ContentID    string   `parquet:"content_id,optional"`
	DecisionID   string   `parquet:"decision_id,optional"`
	Outcome      string   `parquet:"outcome,dict,optional"`
	Reason       string   `parquet:"reason,dict,optional"`
	Label        string   `parquet:"label,dict,optional"`
	Probability  *float64 `parquet:"probability,optional"`
	Action       string   `parquet:"action,dict,optional"`
	ErrorReason  string   `parquet:"error_reason,dict,optional"`
	ErrorMessage string   `parquet:"error_message,dict,optional"`
}

func writeParquet(out *pieces, results each) error {
	w := parquet.NewGenericWriter[row](out, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowGroup))
	var rows []row
	err := results(func(rs []*jobsv1.JobResult) error {
		rows = rows[:0]
		for _, r := range rs {
			rows = append(rows, rowOf(r))
		}
		_, err := w.Write(rows)
		return err
	})
	if err != nil {
		return err
	}
	return w.Close()
}

func rowOf(r *jobsv1.JobResult) row {
	out := row{Index: r.GetIndex(), ContentID: r.GetContentId()}
	d, failed := answerOf(r)
	if d == nil {
		out.ErrorReason, out.ErrorMessage = failed.GetReason(), failed.GetMessage()
		return out
	}
	out.DecisionID = d.GetDecisionId()
	out.Outcome = strings.TrimPrefix(d.GetOutcome().String(), "OUTCOME_")
	out.Reason = strings.TrimPrefix(d.GetReason().String(), "DECISION_REASON_")
	if labels := d.GetLabels(); len(labels) > 0 {
		p := labels[0].GetProbability()
		out.Label, out.Probability = labels[0].GetLabel(), &p
	}
	if m := r.GetModeration(); m != nil {
		out.Action = strings.TrimPrefix(m.GetAction().String(), "ACTION_")
	}
	if q := r.GetRouting(); q != nil && q.GetQueue() != "" {
		out.Action = q.GetQueue()
	}
	return out
}

// pieces collects what is written into messages.
type pieces struct {
	send func([]byte) error
	buf  []byte
}

// Write implements io.Writer.
func (p *pieces) Write(b []byte) (int, error) {
	p.buf = append(p.buf, b...)
	if len(p.buf) >= pieceBytes {
		return len(b), p.flush()
	}
	return len(b), nil
}

func (p *pieces) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	full := p.buf
	p.buf = nil // the message has it
	return p.send(full)
}
