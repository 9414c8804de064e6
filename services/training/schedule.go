package training

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// maxSchedules is how many schedules a project may have.
const maxSchedules = 100

// storedSchedule is a row of training_schedules.
type storedSchedule struct {
	*trainingv1.Schedule
	project, caller string
	next, looked    int64 // when cron is due, and when the other triggers were looked at last
}

const scheduleColumns = `project, caller, message, next, looked FROM training_schedules`

func readSchedules(tx *db.Tx, where string, args ...any) (list []*storedSchedule, err error) {
	err = tx.Each(`SELECT `+scheduleColumns+` `+where, args, func(scan func(...any) error) error {
		s := &storedSchedule{Schedule: &trainingv1.Schedule{}}
		var message []byte
		if err := scan(&s.project, &s.caller, &message, &s.next, &s.looked); err != nil {
			return err
		}
		if err := proto.Unmarshal(message, s.Schedule); err != nil {
			return fmt.Errorf("read schedule: %w", err)
		}
		list = append(list, s)
		return nil
	})
	return list, err
}

func writeSchedule(tx *db.Tx, s *storedSchedule) error {
	message, err := proto.Marshal(s.Schedule)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO training_schedules (project, name, caller, message, next, looked) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, name) DO UPDATE SET caller = excluded.caller, message = excluded.message, next = excluded.next, looked = excluded.looked`,
		s.project, s.GetName(), s.caller, message, s.next, s.looked)
	return err
}

// PutSchedule makes or changes a schedule. Its runs act as the key that put it.
func (s *Service) PutSchedule(ctx context.Context, req *trainingv1.PutScheduleRequest) (*trainingv1.PutScheduleResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	in := req.GetSchedule()
	if in.GetSpec().GetData() == nil {
		return nil, fault.InvalidField("schedule.spec.build", "must say what to learn from")
	}
	out := &storedSchedule{project: of, caller: auth.FromContext(ctx).KeyID, Schedule: &trainingv1.Schedule{
		Name: in.GetName(), Spec: proto.CloneOf(in.GetSpec()), Cron: in.GetCron(), NewLabels: in.GetNewLabels(), OnHalt: in.GetOnHalt(), Paused: in.GetPaused(),
	}}
	if err := out.plan(s.now()); err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		have, err := readSchedules(tx, `WHERE project = ? AND name = ?`, of, in.GetName())
		if err != nil {
			return err
		}
		if len(have) > 0 {
			out.LastRunId, out.LastTime, out.LastProblem = have[0].GetLastRunId(), have[0].GetLastTime(), have[0].GetLastProblem()
			return writeSchedule(tx, out)
		}
		var n int64
		if _, err := tx.Get(`SELECT count(*) FROM training_schedules WHERE project = ?`, []any{of}, &n); err != nil {
			return err
		}
		if n >= maxSchedules {
			return fault.QuotaExceeded("schedules", maxSchedules)
		}
		return writeSchedule(tx, out)
	})
	if err != nil {
		return nil, err
	}
	return &trainingv1.PutScheduleResponse{Schedule: out.Schedule}, nil
}

// plan works out when cron is due next.
func (c *storedSchedule) plan(now time.Time) error {
	c.next, c.NextTime = 0, nil
	if c.GetCron() == "" {
		return nil
	}
	next, err := nextTime(c.GetCron(), now)
	if err != nil {
		return err
	}
	if !c.GetPaused() {
		c.next, c.NextTime = db.Micros(next), timestamppb.New(next)
	}
	return nil
}

// ListSchedules lists the schedules by name.
func (s *Service) ListSchedules(ctx context.Context, req *trainingv1.ListSchedulesRequest) (*trainingv1.ListSchedulesResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), "schedules", "", 1)
	if err != nil {
		return nil, err
	}
	name := ""
	if ok {
		name = after[0]
	}
	size := db.PageSize(req.GetPage().GetSize())
	res := &trainingv1.ListSchedulesResponse{Page: &commonv1.PageResponse{}}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		list, err := readSchedules(tx, `WHERE project = ? AND name > ? ORDER BY name LIMIT ?`, of, name, size+1)
		for i, c := range list {
			if i == size {
				res.Page.NextToken = db.Token("schedules", "", list[i-1].GetName())
				break
			}
			res.Schedules = append(res.Schedules, c.Schedule)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// DeleteSchedule deletes a schedule.
func (s *Service) DeleteSchedule(ctx context.Context, req *trainingv1.DeleteScheduleRequest) (*trainingv1.DeleteScheduleResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`DELETE FROM training_schedules WHERE project = ? AND name = ?`, of, req.GetName())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &trainingv1.DeleteScheduleResponse{}, nil
}

// lookEvery is how often labels are counted and deployments looked at, for schedules that wait for them.
const lookEvery = 10 * time.Second

// keepSchedules starts what is due until the service ends.
func (s *Service) keepSchedules() {
	for {
		select {
		case <-time.After(s.config.PollInterval):
		case <-s.ctx.Done():
			return
		}
		if err := s.startDue(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Warn("schedules could not be looked at", "error", err)
		}
	}
}

func (s *Service) startDue(ctx context.Context) error {
	now := s.now()
	var due []*storedSchedule
	err := s.db.View(ctx, func(tx *db.Tx) (err error) {
		due, err = readSchedules(tx, `WHERE next > 0 AND next <= ? OR looked <= ? ORDER BY project, name`,
			db.Micros(now), db.Micros(now.Add(-min(lookEvery, 10*s.config.PollInterval))))
		return err
	})
	for _, c := range due {
		if err == nil {
			err = s.startOne(ctx, c, now)
		}
	}
	return err
}

// startOne starts the run of a schedule if something speaks for it.
func (s *Service) startOne(ctx context.Context, c *storedSchedule, now time.Time) error {
	was := *c
	c.Schedule = proto.CloneOf(c.Schedule)
	cause := ""
	if c.next > 0 && c.next <= db.Micros(now) {
		cause = "schedule " + c.GetName()
		if err := c.plan(now); err != nil {
			c.LastProblem = fault.From(err).Message() // it was planned before, so its expression has run out of times
		}
	}
	c.looked = db.Micros(now)
	var err error
	if cause == "" && !c.GetPaused() {
		if cause, err = s.triggered(ctx, c); err != nil {
			c.LastProblem = fault.From(err).Message()
		}
	}
	// Another process may have looked at the same time: one of them moves the row on.
	moved := func(tx *db.Tx) error {
		n, err := tx.Exec(`UPDATE training_schedules SET looked = ? WHERE project = ? AND name = ? AND looked = ? AND next = ?`,
			c.looked, c.project, c.GetName(), was.looked, was.next)
		if err == nil && n == 0 {
			return errLost
		}
		return err
	}
	err = nil
	if cause != "" {
		_, err = s.start(ctx, c.project, c.caller, c.GetSpec(), cause, func(tx *db.Tx, r *storedRun) error {
			if err := moved(tx); err != nil {
				return err
			}
			last, err := lastRun(tx, c)
			if err != nil {
				return err
			}
			if last != nil && open(last.GetState()) {
				return errOpen
			}
			c.LastRunId, c.LastTime, c.LastProblem = r.GetRunId(), r.GetCreateTime(), ""
			return writeSchedule(tx, c)
		})
	}
	switch {
	case errors.Is(err, errLost):
		return nil
	case cause != "" && err == nil:
		s.log.Info("run started", "project", c.project, "schedule", c.GetName(), "run", c.GetLastRunId(), "cause", cause)
		return nil
	case err != nil && !errors.Is(err, errOpen):
		c.LastProblem = fault.From(err).Message()
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := moved(tx); err != nil {
			return err
		}
		return writeSchedule(tx, c)
	})
	if errors.Is(err, errLost) {
		return nil
	}
	return err
}

// errOpen means that a run of the deployment has not ended; what speaks for another one will still do so.
var errOpen = errors.New("a run of the deployment is open")

// lastRun reads the newest run of a schedule's deployment, whoever started it; nil when there is none.
func lastRun(tx *db.Tx, c *storedSchedule) (r *storedRun, err error) {
	err = tx.Each(`SELECT `+runColumns+` WHERE project = ? AND operation = ? AND deployment = ? ORDER BY id DESC LIMIT 1`,
		[]any{c.project, c.GetSpec().GetOperation(), c.GetSpec().GetDeployment()}, func(scan func(...any) error) (err error) {
			r, err = scanRun(scan)
			return err
		})
	return r, err
}
