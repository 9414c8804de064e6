package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// PublishTask stores a task, or finds that it is stored already.
func (s *Tasks) PublishTask(ctx context.Context, req *jobsv1.PublishTaskRequest) (*jobsv1.PublishTaskResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	headers, err := packHeaders(req.GetHeaders())
	if err != nil {
		return nil, err
	}
	key := queueKey{of, req.GetQueue()}
	digest := taskDigest(req)
	now := db.Micros(s.now())
	t := &task{
		id: req.GetTaskId(), state: ready, due: now + req.GetDelay().AsDuration().Microseconds(), published: now,
		size: int64(len(req.GetBody()) + len(headers) + len(req.GetTaskId()) + taskOverhead),
	}
	if t.due > now {
		t.state = delayed
	}
	published := now
	stored := false
	err = s.writer.Do(ctx, func(b *batch) error {
		stored = false
		q, err := b.makeQueue(key, s.config.MaxQueues)
		if err != nil {
			return err
		}
		known, err := readTask(b.tx, q.number, t.id)
		if err != nil {
			return err
		}
		if known != nil && known.remembered(now) {
			if !bytes.Equal(known.digest, digest) {
				return fault.AlreadyExists("task", t.id)
			}
			published = known.published
			return nil
		}
		if q.open() >= s.config.MaxTasks {
			return fault.QuotaExceeded("tasks in queue "+key.name, s.config.MaxTasks)
		}
		if known != nil {
			if err := b.forget(q, known); err != nil {
				return err
			}
		}
		q.last++
		t.number, published, stored = q.last, now, true
		return b.insert(q, t, digest, req.GetBody(), headers)
	})
	if err != nil {
		return nil, err
	}
	if stored {
		s.lines.wake(key) // also when it is delayed: whoever waits must learn until when
	}
	return &jobsv1.PublishTaskResponse{PublishTime: timestamppb.New(db.Time(published))}, nil
}

// insert adds a task that is not in the table.
func (b *batch) insert(q *queue, t *task, digest, body, headers []byte) error {
	_, err := b.tx.Exec(`INSERT INTO tasks (queue, id, number, state, due, attempt, lease, digest, size, published, reason)
		VALUES (?, ?, ?, ?, ?, 0, '', ?, ?, ?, '')`, q.number, t.id, t.number, t.state, t.due, digest, t.size, t.published)
	if err != nil {
		return err
	}
	if body == nil {
		body = []byte{} // an absent body is an empty one, never NULL
	}
	_, err = b.tx.Exec(`INSERT INTO task_bodies (queue, number, body, headers) VALUES (?, ?, ?, ?)`, q.number, t.number, body, headers)
	if err != nil {
		return err
	}
	q.move(0, t.state, 1)
	return nil
}

// taskDigest tells tasks apart: by body and headers, whatever the order of the headers.
func taskDigest(req *jobsv1.PublishTaskRequest) []byte {
	h := sha256.New()
	add := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		_, _ = h.Write(n[:])
		_, _ = h.Write(b)
	}
	add(req.GetBody())
	for _, name := range slices.Sorted(maps.Keys(req.GetHeaders())) {
		add([]byte(name))
		add([]byte(req.GetHeaders()[name]))
	}
	return h.Sum(nil)
}

// packHeaders returns headers as they are stored: as a Task that holds nothing else.
func packHeaders(headers map[string]string) ([]byte, error) {
	if len(headers) == 0 {
		return []byte{}, nil
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(&jobsv1.Task{Headers: headers})
}

func unpackHeaders(packed []byte) (map[string]string, error) {
	t := &jobsv1.Task{}
	if err := proto.Unmarshal(packed, t); err != nil {
		return nil, err
	}
	return t.GetHeaders(), nil
}
