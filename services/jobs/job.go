package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

type jobKey struct{ project, id string }

// tally is what is counted of results.
type tally struct {
	decided, automated, review, failed, cost int64
	micros                                   int64 // time that deciding took
}

func (t *tally) add(o tally) {
	t.decided += o.decided
	t.automated += o.automated
	t.review += o.review
	t.failed += o.failed
	t.cost += o.cost
	t.micros += o.micros
}

// progress is how far a job came.
type progress struct {
	tally    tally
	inputAt  int64 // how much of the file of items has results
	resultAt int64 // how much of the file of results is whole
}

// job is a job that has not ended, or a row of jobs as it was read.
type job struct {
	jobKey
	uuid       string // the server's own id: where the files are, and what ids of decisions follow from
	digest     []byte
	operation  commonv1.Operation
	deployment string
	caller     string
	items      int64
	created    int64
	ordered    bool // ids of decisions sort as the items do

	mu       sync.Mutex
	state    jobsv1.JobState
	problem  *commonv1.ItemError
	ended    int64
	files    int64         // how often the files were written anew
	progress               // as it is now
	kept     progress      // as it is on disk, where results come before what counts them
	begun    time.Time     // the next frames may have been decided before, not before this time; zero when they were not
	keptAt   time.Time     // when kept was
	known    tally         // of earlier jobs of the deployment
	changed  chan struct{} // closed at the next change
}

// change runs fn under the lock and wakes whoever watches.
func (j *job) change(fn func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	fn()
	if j.changed != nil {
		close(j.changed)
	}
	j.changed = make(chan struct{})
}

// written returns how often the job's files were written anew: their names say so.
func (j *job) written() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.files
}

// now returns the job as it is, and a channel that is closed at the next change.
func (j *job) now() (*jobsv1.Job, int64, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	return j.message(), j.resultAt, j.changed
}

func (j *job) current() jobsv1.JobState {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state
}

// guess is what an item takes when nothing is known: 100 microseconds.
const guess = 100

func (j *job) message() *jobsv1.Job {
	m := &jobsv1.Job{
		JobId: j.id, Operation: j.operation, Deployment: j.deployment, State: j.state, Problem: j.problem, Items: j.items,
		Decided: j.tally.decided, Automated: j.tally.automated, Review: j.tally.review, Failed: j.tally.failed, CostMicros: j.tally.cost,
		CreateTime: timestamppb.New(db.Time(j.created)),
	}
	if j.ended != 0 {
		m.EndTime = timestamppb.New(db.Time(j.ended))
		return m
	}
	basis := j.tally
	if basis.decided == 0 {
		basis = j.known
	}
	left := float64(j.items - j.tally.decided)
	m.Estimate = &jobsv1.Estimate{Basis: basis.decided, Duration: durationpb.New(time.Duration(left * guess * 1000))}
	if basis.decided > 0 {
		n := float64(basis.decided)
		m.Estimate.Duration = durationpb.New(time.Duration(left * float64(basis.micros) / n * 1000))
		m.Estimate.CostMicros = int64(left * float64(basis.cost) / n)
	}
	return m
}

func over(s jobsv1.JobState) bool {
	return s == jobsv1.JobState_JOB_STATE_DONE || s == jobsv1.JobState_JOB_STATE_CANCELLED
}

// seed returns what the ids of a frame's decisions follow from: a UUIDv7 with the time of the job, always the same for the same frame. Kind tells the calls of
// one frame apart.
//
// Ids sort by time, and tables that have them in an index count on it: with one time for a million decisions each lies somewhere among all the others, in a page of its own. So the time of a frame is
// later by the least that an id can tell, some 250 ns, for each KiB of its place in the file. Jobs of earlier releases keep their ids.
func (j *job) seed(frame int64, kind string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s", j.uuid, frame, kind))
	h := hex.EncodeToString(sum[:8])
	return j.timeOf(frame) + h[:4] + "-" + h[4:16]
}

// timeOf returns the first 19 characters of a frame's ids: milliseconds, version, and a fraction of 12 bits.
func (j *job) timeOf(frame int64) string {
	head := j.uuid[:19]
	stamp, err := strconv.ParseInt(head[:8]+head[9:13]+head[15:18], 16, 64)
	if err != nil || !j.ordered {
		return head
	}
	h := fmt.Sprintf("%015x", stamp+frame>>10)
	return h[:8] + "-" + h[8:12] + "-7" + h[12:] + "-"
}

func encodeProblem(p *commonv1.ItemError) ([]byte, error) {
	if p == nil {
		return []byte{}, nil
	}
	return proto.Marshal(p)
}

func decodeProblem(b []byte) (*commonv1.ItemError, error) {
	if len(b) == 0 {
		return nil, nil
	}
	p := &commonv1.ItemError{}
	return p, proto.Unmarshal(b, p)
}
