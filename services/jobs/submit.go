package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"syscall"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// maxLine bounds one item.
	maxLine = 1 << 20
	// frameBytes is with how many bytes a frame is full, whatever the number of its items.
	frameBytes = 1 << 20
)

// SubmitBatch stores a job and lets it run.
func (s *Jobs) SubmitBatch(stream grpc.ClientStreamingServer[jobsv1.SubmitBatchRequest, jobsv1.SubmitBatchResponse]) error {
	j, input, err := s.begin(stream)
	if err != nil {
		return err
	}
	recv := stream.Recv
	if input != "" {
		if recv, err = s.fromStorage(stream, j.project, input); err != nil {
			return err
		}
	}
	stored, err := s.store(stream.Context(), j, recv)
	if stored != j {
		if err := os.RemoveAll(s.folder(j)); err != nil {
			s.log.WarnContext(stream.Context(), "files of a job that was not taken stay until the next start", "error", err)
		}
	}
	if err != nil {
		return diskFault(err)
	}
	m, _, _ := stored.now()
	return stream.SendAndClose(&jobsv1.SubmitBatchResponse{Job: m})
}

// fromStorage returns the pieces of a file in blob storage, for a caller who sends nothing further.
func (s *Jobs) fromStorage(
	stream grpc.ClientStreamingServer[jobsv1.SubmitBatchRequest, jobsv1.SubmitBatchResponse], project, input string,
) (func() (*jobsv1.SubmitBatchRequest, error), error) {
	switch _, err := stream.Recv(); {
	case err == nil:
		return nil, fault.InvalidField("lines", "must be absent when spec.input names a file")
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	o, err := s.openInput(stream.Context(), project, input)
	if err != nil {
		return nil, err
	}
	return o.recv, nil
}

// begin reads the specification and checks what the caller may ask. It returns the name of the file that holds the items, "" when the caller sends them.
func (s *Jobs) begin(stream grpc.ClientStreamingServer[jobsv1.SubmitBatchRequest, jobsv1.SubmitBatchResponse]) (*job, string, error) {
	ctx := stream.Context()
	of, err := project(ctx)
	if err != nil {
		return nil, "", err
	}
	first, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	spec := first.GetSpec()
	if spec == nil {
		return nil, "", fault.InvalidField("spec", "must be in the first message")
	}
	c := auth.FromContext(ctx)
	if scope := scopeOf(spec.GetOperation()); !c.Has(scope) {
		return nil, "", fault.ScopeMissing(scope)
	}
	if !s.deciders.has(spec.GetOperation()) {
		return nil, "", fault.Unimplemented(fault.OperationName(spec.GetOperation()) + " of a job")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, "", fmt.Errorf("make the id of a job: %w", err)
	}
	j := &job{
		jobKey: jobKey{of, spec.GetJobId()}, uuid: id.String(), operation: spec.GetOperation(), deployment: spec.GetDeployment(), caller: c.KeyID,
		created: db.Micros(s.now()), state: jobsv1.JobState_JOB_STATE_RUNNING, ordered: true,
	}
	if j.id == "" {
		j.id = j.uuid
	}
	if spec.GetPaused() {
		j.state = jobsv1.JobState_JOB_STATE_PAUSED
	}
	return j, spec.GetInput(), nil
}

// store writes the items and the job. It returns the job that counts: an earlier one of the same id and content.
func (s *Jobs) store(ctx context.Context, j *job, recv func() (*jobsv1.SubmitBatchRequest, error)) (*job, error) {
	if err := os.Mkdir(s.folder(j), 0o700); err != nil {
		return nil, err
	}
	file, err := createFrames(s.itemsPath(j))
	if err != nil {
		return nil, err
	}
	u := &upload{limits: s.config, file: file, hash: sha256.New()}
	_, _ = fmt.Fprintf(u.hash, "%d\x00%s\x00", j.operation, j.deployment)
	err = u.receive(recv)
	if err = errors.Join(err, file.close()); err != nil {
		return nil, err
	}
	if err := errors.Join(syncDir(s.folder(j)), syncDir(s.dir)); err != nil {
		return nil, err
	}
	j.items, j.digest = u.items, u.hash.Sum(nil)
	var earlier *job
	err = s.db.Tx(ctx, func(tx *db.Tx) (err error) {
		if earlier, err = readJob(tx, j.jobKey); err != nil {
			return err
		}
		if earlier != nil {
			if !bytes.Equal(earlier.digest, j.digest) {
				return fault.AlreadyExists("job", j.id)
			}
			return nil
		}
		var n int64
		if _, err := tx.Get(`SELECT count(*) FROM jobs WHERE project = ?`, []any{j.project}, &n); err != nil {
			return err
		}
		if n >= s.config.MaxJobs {
			return fault.QuotaExceeded("jobs", s.config.MaxJobs)
		}
		if j.known, err = readRate(tx, j.project, j.operation, j.deployment); err != nil {
			return err
		}
		return insertJob(tx, j)
	})
	if err != nil {
		return nil, err
	}
	if earlier != nil {
		return s.find(ctx, j.id) // as it is now
	}
	s.mu.Lock()
	s.active[j.jobKey] = j
	s.mu.Unlock()
	s.enqueue(j)
	return j, nil
}

// upload turns pieces of a JSONL file into frames.
type upload struct {
	limits JobConfig
	file   *frames
	hash   hash.Hash
	line   []byte // that has not ended yet
	frame  [][]byte
	size   int
	bytes  int64
	items  int64
}

func (u *upload) receive(recv func() (*jobsv1.SubmitBatchRequest, error)) error {
	for {
		req, err := recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if req.GetSpec() != nil {
			return fault.InvalidField("spec", "must be in the first message only")
		}
		if err := u.piece(req.GetLines()); err != nil {
			return err
		}
	}
	if err := u.item(u.line); err != nil { // a last line without its end
		return err
	}
	if u.items == 0 {
		return fault.InvalidField("lines", "must hold at least one item")
	}
	return u.flush()
}

func (u *upload) piece(p []byte) error {
	_, _ = u.hash.Write(p)
	if u.bytes += int64(len(p)); u.bytes > u.limits.MaxInputBytes {
		return fault.RequestTooLarge(u.limits.MaxInputBytes)
	}
	for len(p) > 0 {
		line, rest, ends := bytes.Cut(p, []byte{'\n'})
		p = rest
		if !ends || len(u.line) > 0 {
			u.line = append(u.line, line...)
			line = u.line
		}
		if len(line) > 2*maxLine { // twice: spaces around an item do not count
			return lineTooLong(u.items)
		}
		if ends {
			if err := u.item(line); err != nil {
				return err
			}
			u.line = u.line[:0]
		}
	}
	return nil
}

func (u *upload) item(line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil
	}
	if len(line) > maxLine {
		return lineTooLong(u.items)
	}
	if u.items++; u.items > u.limits.MaxItems {
		return fault.InvalidField("lines", "hold more than %d items", u.limits.MaxItems)
	}
	if len(u.frame) > 0 && (len(u.frame) >= u.limits.FrameItems || u.size+len(line) > frameBytes) {
		if err := u.flush(); err != nil {
			return err
		}
	}
	u.frame = append(u.frame, bytes.Clone(line))
	u.size += len(line)
	return nil
}

func lineTooLong(item int64) error {
	return fault.InvalidField("lines", "item %d has more than %d bytes", item, maxLine)
}

func (u *upload) flush() error {
	if len(u.frame) == 0 {
		return nil
	}
	err := u.file.append(u.frame)
	u.frame, u.size = u.frame[:0], 0
	return err
}

// diskFault says STORAGE_FULL where a file could not grow.
func diskFault(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.StorageFull(0).Cause(err)
	}
	return err
}

// syncDir brings the names in a folder to disk.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
