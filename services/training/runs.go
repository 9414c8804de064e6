package training

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// StartRun stores a run.
func (s *Service) StartRun(ctx context.Context, req *trainingv1.StartRunRequest) (*trainingv1.StartRunResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	r, err := s.start(ctx, of, auth.FromContext(ctx).KeyID, req.GetSpec(), "call", func(_ *db.Tx, r *storedRun) error {
		r.Reason = req.GetReason()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &trainingv1.StartRunResponse{Run: r.Run}, nil
}

// start stores a run and wakes a worker. also happens in the same transaction; it may refuse.
func (s *Service) start(ctx context.Context, of, key string, spec *trainingv1.RunSpec, cause string, also func(tx *db.Tx, r *storedRun) error) (*storedRun, error) {
	if s.models == nil {
		return nil, fault.Unimplemented("training beside a registry in another process")
	}
	if spec.GetData() == nil {
		return nil, fault.InvalidField("spec.dataset", "or spec.build must say what to learn from")
	}
	if b := spec.GetBuild(); b != nil {
		if b.GetQuery().GetOperation() != spec.GetOperation() {
			return nil, fault.OperationMismatch(spec.GetOperation(), b.GetQuery().GetOperation())
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make the id of a run: %w", err)
	}
	r := &storedRun{project: of, caller: key, Run: &trainingv1.Run{
		RunId: id.String(), Spec: proto.CloneOf(spec), State: trainingv1.RunState_RUN_STATE_QUEUED, Cause: cause,
		CreateTime: timestamppb.New(s.now().Truncate(time.Microsecond)),
	}}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		for field, ref := range map[string]*trainingv1.DatasetRef{
			"spec.dataset": spec.GetDataset(), "spec.evaluation": spec.GetEvaluation(), "spec.tuning": spec.GetTuning(), "spec.golden": spec.GetGolden(),
		} {
			if err := checkRef(tx, of, field, ref, spec.GetOperation()); err != nil {
				return err
			}
		}
		var n int64
		if _, err := tx.Get(`SELECT count(*) FROM training_runs WHERE project = ? AND state <= 2`, []any{of}, &n); err != nil {
			return err
		}
		if n >= s.config.MaxOpenRuns {
			return fault.QuotaExceeded("open runs", s.config.MaxOpenRuns)
		}
		if also != nil {
			if err := also(tx, r); err != nil {
				return err
			}
		}
		return insertRun(tx, r)
	})
	if err != nil {
		return nil, err
	}
	s.nudge()
	return r, nil
}

// checkRef looks whether a data set exists and is of the operation.
func checkRef(tx *db.Tx, of, field string, ref *trainingv1.DatasetRef, op commonv1.Operation) error {
	if ref == nil {
		return nil
	}
	if ref.GetName() == "" {
		return fault.InvalidField(field+".name", "must be set")
	}
	d, err := readDataset(tx, of, ref.GetName(), ref.GetVersion())
	if err != nil {
		return err
	}
	if d == nil || d.GetDeleted() {
		return fault.NotFound("data set", refName(ref.GetName(), ref.GetVersion()))
	}
	if d.GetOperation() != op {
		return fault.OperationMismatch(op, d.GetOperation())
	}
	return nil
}

// GetRun returns a run.
func (s *Service) GetRun(ctx context.Context, req *trainingv1.GetRunRequest) (*trainingv1.GetRunResponse, error) {
	r, err := s.findRun(ctx, req.GetRunId())
	if err != nil {
		return nil, err
	}
	return &trainingv1.GetRunResponse{Run: r.Run}, nil
}

// ListRuns lists runs, newest first.
func (s *Service) ListRuns(ctx context.Context, req *trainingv1.ListRunsRequest) (*trainingv1.ListRunsResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	filter := fmt.Sprintf("%d/%s", req.GetOperation(), req.GetDeployment())
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), "runs", filter, 1)
	if err != nil {
		return nil, err
	}
	before := "g" // after every id, which is hexadecimal
	if ok {
		before = after[0]
	}
	where, args := `project = ? AND id < ?`, []any{of, before}
	if req.GetOperation() != 0 {
		where, args = where+` AND operation = ?`, append(args, req.GetOperation())
	}
	if req.GetDeployment() != "" {
		where, args = where+` AND deployment = ?`, append(args, req.GetDeployment())
	}
	size := db.PageSize(req.GetPage().GetSize())
	res := &trainingv1.ListRunsResponse{Page: &commonv1.PageResponse{}}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT `+runColumns+` WHERE `+where+` ORDER BY id DESC LIMIT ?`, append(args, size+1), func(scan func(...any) error) error {
			r, err := scanRun(scan)
			if err == nil {
				res.Runs = append(res.Runs, r.Run)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if len(res.GetRuns()) > size {
		res.Runs = res.GetRuns()[:size]
		res.Page.NextToken = db.Token("runs", filter, res.GetRuns()[size-1].GetRunId())
	}
	return res, nil
}

// watchPause is how often a watch looks for changes; what another process does is seen as soon as what this one does.
const watchPause = 200 * time.Millisecond

// WatchRun sends a run whenever it has changed.
func (s *Service) WatchRun(req *trainingv1.WatchRunRequest, stream grpc.ServerStreamingServer[trainingv1.WatchRunResponse]) error {
	ctx := stream.Context()
	of, err := project(ctx)
	if err != nil {
		return err
	}
	line, seen := req.GetAfterLine(), int64(0)
	for {
		var r *storedRun
		var lines []*trainingv1.LogLine
		err := s.db.View(ctx, func(tx *db.Tx) (err error) {
			if r, err = readRun(tx, of, req.GetRunId()); err == nil && r != nil && r.changes != seen {
				lines, err = readLines(tx, of, req.GetRunId(), line)
			}
			return err
		})
		if err != nil {
			return err
		}
		if r == nil {
			return fault.NotFound("run", req.GetRunId())
		}
		if r.changes != seen || len(lines) > 0 {
			if seen = r.changes; len(lines) > 0 {
				line = lines[len(lines)-1].GetNumber()
			}
			if err := stream.Send(&trainingv1.WatchRunResponse{Run: r.Run, Lines: lines}); err != nil {
				return err
			}
		}
		if !open(r.GetState()) {
			return nil
		}
		select {
		case <-time.After(watchPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ctx.Done():
			return fault.ShuttingDown()
		}
	}
}

// CancelRun ends a run.
func (s *Service) CancelRun(ctx context.Context, req *trainingv1.CancelRunRequest) (*trainingv1.CancelRunResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	var r *storedRun
	err = s.db.Tx(ctx, func(tx *db.Tx) (err error) {
		if r, err = readRun(tx, of, req.GetRunId()); err != nil {
			return err
		}
		if r == nil {
			return fault.NotFound("run", req.GetRunId())
		}
		if !open(r.GetState()) {
			return nil
		}
		r.State, r.EndTime = trainingv1.RunState_RUN_STATE_CANCELLED, timestamppb.New(s.now())
		r.Statement = "cancelled"
		if r.GetStep() != 0 {
			r.Statement += " in step " + stepName(r.GetStep())
		}
		if why := req.GetReason(); why != "" {
			r.Statement += ": " + why
		}
		message, err := proto.Marshal(r.Run)
		if err != nil {
			return err
		}
		// Without its lease the worker cannot write any more; it stops when it next looks.
		_, err = tx.Exec(`UPDATE training_runs SET message = ?, state = ?, changes = changes + 1, lease = '', lease_until = 0, ended = ? WHERE project = ? AND id = ?`,
			message, r.GetState(), db.Micros(s.now()), of, r.GetRunId())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &trainingv1.CancelRunResponse{Run: r.Run}, nil
}

// stepName is a step as people write it, such as "train".
func stepName(step trainingv1.RunStep) string {
	return strings.ToLower(strings.TrimPrefix(step.String(), "RUN_STEP_"))
}
