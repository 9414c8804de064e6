package decision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/decision/decisiontest"
	"github.com/switchyard-ai/switchyard/internal/journal"
)

// log keeps copies of what is appended.
type log struct {
	entries []journal.Entry
	calls   int
	err     error
}

func (l *log) Append(ctx context.Context, e journal.Entry) (uint64, error) {
	return l.AppendBatch(ctx, []journal.Entry{e})
}

func (l *log) AppendBatch(_ context.Context, es []journal.Entry) (uint64, error) {
	l.calls++
	for _, e := range es {
		e.Data = append([]byte(nil), e.Data...)
		l.entries = append(l.entries, e)
	}
	return uint64(len(l.entries)), l.err
}

func (l *log) AppendAsync(e journal.Entry) error {
	_, err := l.Append(context.Background(), e)
	return err
}

func record(id, text string) *commonv1.DecisionRecord {
	return &commonv1.DecisionRecord{
		Decision:       &commonv1.Decision{DecisionId: id, Project: "acme"},
		Input:          &commonv1.RecordedInput{Text: text},
		InputRetention: commonv1.InputRetention_INPUT_RETENTION_FULL,
	}
}

func TestBatchIsOneAppendAndEveryRecordItsOwnEntry(t *testing.T) {
	t.Parallel()
	l := &log{}
	r := decision.NewJournalRecorder(l, journal.Default())
	var records []*commonv1.DecisionRecord
	for i := range 1000 {
		records = append(records, record(fmt.Sprint("id", i), strings.Repeat("x", i)))
	}
	if err := r.RecordBatch(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if l.calls != 1 || len(l.entries) != 1000 {
		t.Fatalf("%d entries in %d calls", len(l.entries), l.calls)
	}
	for i, e := range l.entries {
		var got commonv1.DecisionRecord
		if err := proto.Unmarshal(e.Data, &got); err != nil {
			t.Fatal(err)
		}
		if e.ID != fmt.Sprint("id", i) || e.Subject != "switchyard.acme.decisions" || !proto.Equal(&got, records[i]) {
			t.Fatalf("entry %d: %s %s %v", i, e.Subject, e.ID, &got)
		}
	}
}

func TestLargeBatchesAreAppendedInParts(t *testing.T) {
	t.Parallel()
	l := &log{}
	r := decision.NewJournalRecorder(l, journal.Default())
	var records []*commonv1.DecisionRecord
	for i := range 100 {
		records = append(records, record(fmt.Sprint("id", i), strings.Repeat("x", 200_000)))
	}
	if err := r.RecordBatch(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if l.calls < 4 || l.calls > 6 || len(l.entries) != 100 {
		t.Errorf("%d entries in %d calls", len(l.entries), l.calls)
	}
}

func TestInputTooLargeForAnEntryIsLeftOut(t *testing.T) {
	t.Parallel()
	l := &log{}
	r := decision.NewJournalRecorder(l, journal.Default())
	if err := r.Record(t.Context(), record("id", strings.Repeat("x", 2<<20))); err != nil {
		t.Fatal(err)
	}
	var got commonv1.DecisionRecord
	if err := proto.Unmarshal(l.entries[0].Data, &got); err != nil {
		t.Fatal(err)
	}
	if got.GetInput() != nil || got.GetInputRetention() != commonv1.InputRetention_INPUT_RETENTION_ABSENT || got.GetDecision().GetDecisionId() != "id" {
		t.Errorf("recorded %v", got.GetInputRetention())
	}
}

func TestJournalErrorsBecomeFaults(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]commonv1.ErrorReason{
		&journal.FullError{What: "disk quota", Used: 5, Limit: 5}:    commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL,
		fmt.Errorf("append: %w", journal.ErrFull):                    commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL,
		fmt.Errorf("append: %w", journal.ErrUnavailable):             commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE,
		fmt.Errorf("%w: %w", journal.ErrUnavailable, syscall.ENOSPC): commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL,
		journal.ErrClosed: commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE,
		fmt.Errorf("wait: %w", context.DeadlineExceeded): commonv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED,
		errors.New("something else"):                     commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE,
	} {
		r := decision.NewJournalRecorder(&log{err: err}, journal.Default())
		for _, got := range []error{
			r.Record(t.Context(), record("id", "")), r.RecordAsync(record("id", "")),
			r.RecordBatch(t.Context(), []*commonv1.DecisionRecord{record("id", "")}),
		} {
			if decisiontest.Reason(got) != want {
				t.Errorf("%v became %v, want %v", err, got, want)
			}
		}
	}
}
