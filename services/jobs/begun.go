package jobs

import (
	"context"
	"os"
	"slices"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// A decision is recorded before its result is written, so that a crash between the two leaves a record without a result. The frame is decided again with the same ids, perhaps by another
// deployment, and the record counts, not what would be decided now. So frames after a crash, or after results that could not be written, are asked for as calls that were begun before
// (internal/telemetry, WithBegun), which are answered as their records say. The first frame without a record ends it: those after it were never asked for.

// lost is how long before a file of results was last written its end can have been decided that a power cut took: results are synced every second, and a frame takes some time itself.
const lost = 15 * time.Second

// mayHaveBegun notes that the next frames may have been decided before, not before a time. The caller holds the lock, or the only reference.
func (j *job) mayHaveBegun(after time.Time) {
	if j.begun.IsZero() || after.Before(j.begun) {
		j.begun = after
	}
	if j.begun.IsZero() {
		j.begun = time.UnixMicro(j.created)
	}
}

// maySince notes that the frames may have been decided whose results are not in the file.
func (j *job) maySince(results *os.File) error {
	info, err := results.Stat()
	if err == nil {
		j.mayHaveBegun(info.ModTime().Add(-lost))
	}
	return err
}

// again returns the context of a call that may have been begun before; a zero time says that it was not.
func again(ctx context.Context, begun time.Time) context.Context {
	if begun.IsZero() {
		return ctx
	}
	return telemetry.WithBegun(ctx, begun)
}

// areNew says whether there are decisions among the results, and all of them were made since a time.
func areNew(results []*jobsv1.JobResult, since time.Time) bool {
	some := false
	old := slices.ContainsFunc(results, func(r *jobsv1.JobResult) bool {
		d, _ := answerOf(r)
		some = some || d != nil
		return d != nil && d.GetTime().AsTime().Before(since)
	})
	return some && !old
}

// refused says whether a call failed before anything was decided.
func refused(err error) bool {
	switch fault.From(err).Reason() { //nolint:exhaustive // all others may come late
	case commonv1.ErrorReason_ERROR_REASON_RATE_LIMITED, commonv1.ErrorReason_ERROR_REASON_CONCURRENCY_LIMITED:
		return true
	}
	return false
}
