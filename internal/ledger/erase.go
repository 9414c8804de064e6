package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// Erased is how much was erased in one place.
type Erased struct {
	Place   string
	Records int64
}

// Erasure is what was erased of one person.
type Erasure struct {
	Time   time.Time
	Places []Erased
	Models []string // digests of the models that decided about the person
	// Trained are the versions that came from the person's data.
	Trained []*decisionsv1.TrainedModel
}

// EraseLog is the event stream as an erasure needs it.
type EraseLog interface {
	Log
	Read(ctx context.Context, from bus.Position, filters []string, fn func(bus.Delivery) error) error
	// Message returns subject and data of a message; ok is false when it is not there.
	Message(ctx context.Context, seq uint64) (subject string, data []byte, ok bool, err error)
	// Overwrite removes a message and its bytes on disk.
	Overwrite(ctx context.Context, seq uint64) error
}

// Eraser erases persons from the lake and the event stream.
type Eraser struct {
	Log  EraseLog
	Open func() *lake.Lake
}

// Erase takes the personal data of one person out of lake and stream. What is in the stream and not yet in the lake is waited for.
func (e Eraser) Erase(ctx context.Context, project, subject string) (*Erasure, error) {
	l := e.Open()
	if l == nil {
		return nil, errNoLake
	}
	if err := e.settle(ctx, l, project, subject); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	report, err := l.Erase(ctx, project, subject)
	if err != nil {
		return nil, err
	}
	out := &Erasure{Time: report.Time, Models: report.Models}
	for _, table := range lake.Tables {
		if n := report.Rows[table]; n > 0 || table == lake.Decisions {
			out.Places = append(out.Places, Erased{"lake/" + table, n})
		}
	}
	n, err := e.stream(ctx, project, subject)
	if err != nil {
		return nil, fmt.Errorf("erase from the stream: %w", err)
	}
	out.Places = append(out.Places, Erased{"stream", n})
	return out, nil
}

// settle waits until what the stream holds of the person is in the lake.
func (e Eraser) settle(ctx context.Context, l *lake.Lake, project, subject string) error {
	id, err := e.Log.Identity(ctx)
	if err != nil {
		return err
	}
	newest := uint64(0)
	from := bus.Position{Seq: l.State().WatermarkOf(id) + 1}
	err = e.Log.Read(ctx, from, subjects(project), func(d bus.Delivery) error {
		if subjectOf(d.Subject, d.Data) == subject {
			newest = d.Seq
		}
		return nil
	})
	for err == nil && l.State().WatermarkOf(id) < newest {
		sleep(ctx, 50*time.Millisecond)
		if err = ctx.Err(); err == nil {
			err = l.Refresh(ctx)
		}
	}
	return err
}

// stream overwrites the person's messages. All of the project's that are left in the stream are looked at: the lake's word for where they are would not do, since a
// stream that was made anew counts from 1 again.
func (e Eraser) stream(ctx context.Context, project, subject string) (n int64, err error) {
	var seqs []uint64
	err = e.Log.Read(ctx, bus.Position{}, subjects(project), func(d bus.Delivery) error {
		if subjectOf(d.Subject, d.Data) == subject {
			seqs = append(seqs, d.Seq)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, seq := range seqs {
		s, data, ok, err := e.Log.Message(ctx, seq)
		if err != nil {
			return n, err
		}
		if !ok || subjectOf(s, data) != subject {
			continue // gone, or the stream was made anew meanwhile
		}
		if err := e.Log.Overwrite(ctx, seq); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func subjects(project string) []string {
	p := "switchyard." + project + "."
	return []string{p + lake.Decisions, p + lake.Verdicts, p + lake.FeedbackOf}
}

// subjectOf returns whose data a message is.
func subjectOf(subject string, data []byte) string {
	var m interface {
		proto.Message
		GetSubjectId() string
	}
	switch kind := subject[strings.LastIndexByte(subject, '.')+1:]; kind {
	case lake.Decisions:
		m = &commonv1.DecisionRecord{}
	case lake.Verdicts:
		m = &reviewv1.Verdict{}
	case lake.FeedbackOf:
		m = &reviewv1.Feedback{}
	default:
		return ""
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return ""
	}
	return m.GetSubjectId()
}
