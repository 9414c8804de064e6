package decision

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/journal"
)

// Recorder keeps decision records. A nil error of Record and RecordBatch means that the records survive a crash. Records may be changed by
// the caller as soon as a method has returned.
type Recorder interface {
	Record(ctx context.Context, r *commonv1.DecisionRecord) error
	RecordBatch(ctx context.Context, rs []*commonv1.DecisionRecord) error
	RecordAsync(r *commonv1.DecisionRecord) error
}

// Journal is the part of *journal.Journal that recording needs. It must not keep an entry's data after it returned.
type Journal interface {
	Append(ctx context.Context, e journal.Entry) (uint64, error)
	AppendBatch(ctx context.Context, es []journal.Entry) (uint64, error)
	AppendAsync(e journal.Entry) error
}

var _ Journal = (*journal.Journal)(nil)

// JournalRecorder keeps records in a journal: subject "switchyard.<project>.decisions", id the decision id, data the encoded record.
type JournalRecorder struct {
	journal  Journal
	maxEntry int
	maxBatch int
	subjects sync.Map // project → subject
	buffers  sync.Pool
}

var _ Recorder = (*JournalRecorder)(nil)

// entrySpare is what an entry may need beside the record: subject, id.
const entrySpare = 2048

// NewJournalRecorder returns a recorder that appends to j, which was opened with c.
func NewJournalRecorder(j Journal, c journal.Config) *JournalRecorder {
	return &JournalRecorder{
		journal: j, maxEntry: int(c.EntryBytes) - entrySpare, maxBatch: int(c.PendingBytes / 2),
		buffers: sync.Pool{New: func() any { return &buffer{} }},
	}
}

// buffer is where records are encoded.
type buffer struct {
	data    []byte
	entries []journal.Entry
}

// keepBuffer is the size from which a buffer is left to the garbage collector.
const keepBuffer = 1 << 20

func (r *JournalRecorder) put(b *buffer) {
	if cap(b.data) <= keepBuffer {
		clear(b.entries)
		r.buffers.Put(b)
	}
}

// Record appends one record and waits until it is on disk.
func (r *JournalRecorder) Record(ctx context.Context, rec *commonv1.DecisionRecord) error {
	b := r.buffers.Get().(*buffer)
	defer r.put(b)
	var err error
	if b.data, err = r.encode(b.data[:0], rec); err != nil {
		return err
	}
	_, err = r.journal.Append(ctx, r.entry(rec, b.data))
	return fromJournal(err)
}

// RecordAsync hands one record to the journal's bounded buffer.
func (r *JournalRecorder) RecordAsync(rec *commonv1.DecisionRecord) error {
	b := r.buffers.Get().(*buffer)
	defer r.put(b)
	var err error
	if b.data, err = r.encode(b.data[:0], rec); err != nil {
		return err
	}
	return fromJournal(r.journal.AppendAsync(r.entry(rec, b.data)))
}

// RecordBatch appends records and waits once until all are on disk; more than once only when they take more than half of what
// the journal lets wait.
func (r *JournalRecorder) RecordBatch(ctx context.Context, recs []*commonv1.DecisionRecord) error {
	b := r.buffers.Get().(*buffer)
	defer r.put(b)
	b.data, b.entries = b.data[:0], b.entries[:0]
	for _, rec := range recs {
		start := len(b.data)
		var err error
		if b.data, err = r.encode(b.data, rec); err != nil {
			return err
		}
		// When the buffer grew it moved; entries before it still point at the old one, whose bytes are the same.
		b.entries = append(b.entries, r.entry(rec, b.data[start:]))
		if len(b.data) < r.maxBatch {
			continue
		}
		if err := r.flush(ctx, b); err != nil {
			return err
		}
	}
	return r.flush(ctx, b)
}

func (r *JournalRecorder) flush(ctx context.Context, b *buffer) error {
	if len(b.entries) == 0 {
		return nil
	}
	_, err := r.journal.AppendBatch(ctx, b.entries)
	clear(b.entries)
	b.data, b.entries = b.data[:0], b.entries[:0]
	return fromJournal(err)
}

// encode appends the encoded record. An input that is too large for one entry is left out: the decision itself, with the hash of its
// input, is always kept.
func (r *JournalRecorder) encode(to []byte, rec *commonv1.DecisionRecord) ([]byte, error) {
	start := len(to)
	out, err := proto.MarshalOptions{}.MarshalAppend(to, rec)
	if err == nil && len(out)-start > r.maxEntry && rec.GetInput() != nil {
		rec.Input, rec.InputRetention = nil, commonv1.InputRetention_INPUT_RETENTION_ABSENT
		out, err = proto.MarshalOptions{}.MarshalAppend(out[:start], rec)
	}
	if err != nil {
		return out, fmt.Errorf("encode decision record %s: %w", rec.GetDecision().GetDecisionId(), err)
	}
	return out, nil
}

func (r *JournalRecorder) entry(rec *commonv1.DecisionRecord, data []byte) journal.Entry {
	d := rec.GetDecision()
	return journal.Entry{Subject: r.subject(d.GetProject()), ID: d.GetDecisionId(), Data: data}
}

func (r *JournalRecorder) subject(project string) string {
	if s, ok := r.subjects.Load(project); ok {
		return s.(string)
	}
	s := "switchyard." + project + ".decisions"
	r.subjects.Store(project, s)
	return s
}

// fromJournal says what a caller may know of a journal's error.
func fromJournal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, journal.ErrFull):
		if full, ok := errors.AsType[*journal.FullError](err); ok {
			return fault.StorageFull(full.Limit).Cause(err)
		}
		return fault.StorageFull(0).Cause(err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.StorageFull(0).Cause(err) // the disk was full before the journal's own limit was reached
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fault.Unavailable("journal").Cause(err)
}
