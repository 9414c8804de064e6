package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"

	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/services/decisions"
)

// startErasing lets this process erase persons from what it keeps by itself.
func (a *App) startErasing(context.Context) error {
	if a.db != nil {
		decisionsv1.RegisterErasureServiceServer(a.server, &erasure{app: a})
	}
	return nil
}

// erasers are where EraseSubject erases, in this order: what every process keeps by itself, with which its last events come into the stream; stream and lake; and once more
// what processes keep, since some of the events may have been on their way to them.
func (a *App) erasers() []decisions.Eraser {
	parts := eraseParts{a}
	return []decisions.Eraser{parts, ledger.Eraser{Log: eventLog{a.bus}, Open: a.lake.Load}, parts}
}

// eraseParts erases from what this process and its peers keep by themselves.
type eraseParts struct{ app *App }

// Erase asks this process and every peer, each once.
func (e eraseParts) Erase(ctx context.Context, project, subject string) (*ledger.Erasure, error) {
	out := &ledger.Erasure{Time: time.Now()}
	ask := func(conn grpc.ClientConnInterface) error {
		r, err := decisionsv1.NewErasureServiceClient(asSystem{conn}).ErasePart(ctx, &decisionsv1.ErasePartRequest{Project: project, SubjectId: subject})
		for _, p := range r.GetPlaces() {
			out.Places = append(out.Places, ledger.Erased{Place: p.GetPlace(), Records: p.GetRecords()})
		}
		out.Trained = append(out.Trained, r.GetTrainedModels()...)
		return err
	}
	if err := ask(e.app.server.Conn()); err != nil {
		return nil, err
	}
	asked := map[string]bool{}
	for _, service := range slices.Sorted(maps.Keys(e.app.config.Peers)) {
		address := e.app.config.Peers[service]
		if service == "gateway" || service == "identity" || e.app.config.runs(service) || asked[address] {
			continue // they keep nothing of persons, or are asked already
		}
		asked[address] = true
		conn, err := e.app.Conn(service)
		if err == nil {
			err = ask(conn)
		}
		if err != nil {
			return nil, fmt.Errorf("erase in the process of %s: %w", service, err)
		}
	}
	return out, nil
}

// erasure implements ErasureService: it erases from what this process keeps by itself.
type erasure struct {
	decisionsv1.UnimplementedErasureServiceServer

	app *App
}

// ErasePart stops work about the person first, then erases what waits, and in the end what the files still hold of it.
func (e *erasure) ErasePart(ctx context.Context, req *decisionsv1.ErasePartRequest) (*decisionsv1.ErasePartResponse, error) {
	a, project, subject, res := e.app, req.GetProject(), req.GetSubjectId(), &decisionsv1.ErasePartResponse{}
	count := func(place string, n int64, err error) error {
		res.Places = append(res.Places, &decisionsv1.ErasedPlace{Place: place, Records: n})
		return err
	}
	for _, step := range []struct {
		here  bool
		erase func() error
	}{
		{a.jobs != nil, func() error { n, err := a.jobs.Erase(ctx, project, subject); return count("jobs", n, err) }},
		{a.tasks != nil, func() error { n, err := a.tasks.Erase(ctx, project, subject); return count("tasks", n, err) }},
		{a.review != nil, func() error {
			n, err := a.review.Erase(ctx, project, subject)
			return errors.Join(err, count("review/items", int64(n.Items), nil), count("review/verdicts", int64(n.Verdicts), nil),
				count("review/feedback", int64(n.Feedback), nil), count("review/gold", int64(n.GoldItems), nil))
		}},
		{a.bus != nil, func() error { return a.carryAll(ctx) }},
		{a.events != nil, func() error { n, err := a.events.Erase(ctx, project, subject); return count("webhooks", n, err) }},
		{a.answers != nil, func() error { n, err := a.answers.Erase(ctx, project, subject); return count("answers", n, err) }},
		{a.training != nil, func() error {
			n, err := a.training.Erase(ctx, project, subject)
			if err := count("training/datasets", n, err); err != nil {
				return err
			}
			res.TrainedModels, err = a.training.Learned(ctx, project, subject)
			return err
		}},
		{true, func() error { return a.db.Scrub(ctx) }},
	} {
		if !step.here {
			continue
		}
		if err := step.erase(); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// carryAll waits until every event of this process is in the stream, and takes the journal's files off the disk that held them. While the stream is away nothing can be
// erased from it either.
func (a *App) carryAll(ctx context.Context) error {
	if a.journal != nil {
		if _, err := a.journal.Purge(ctx); err != nil {
			return fault.Unavailable("event store").Cause(err)
		}
	}
	for {
		n, _, err := a.outbox.Lag(ctx)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fault.Unavailable("event store").Cause(errors.Join(fmt.Errorf("%d events wait", n), ctx.Err()))
		}
	}
}
