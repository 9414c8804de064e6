package app

import (
	"context"
	"errors"
	"strings"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/internal/outbox"
	"github.com/switchyard-ai/switchyard/services/review"
)

// startReview starts the review queue; it answers from what it has until feedReview brings more.
func (a *App) startReview(ctx context.Context) error {
	if !a.config.runs("review") {
		return nil
	}
	conn, err := a.Conn("models")
	if err != nil {
		return err
	}
	labels := review.NewLabelTable()
	a.background.Go(func() error {
		labels.Follow(ctx, modelsv1.NewModelServiceClient(asSystem{conn}))
		return nil
	})
	a.review = review.New(review.Deps{
		DB: a.db, Config: a.config.Review, Emit: emitReview, Labels: labels, Decision: a.recordedDecision, Meter: a.tel.Meter("github.com/switchyard-ai/switchyard/services/review"), Log: a.log,
	})
	if err := a.review.Start(ctx); err != nil {
		return err
	}
	a.closers = append(a.closers, func() error { a.review.Close(); return nil })
	a.review.Register(a.server)
	return nil
}

func emitReview(tx *db.Tx, e review.Event) error {
	return outbox.Put(tx, outbox.Event{
		Project: e.Project, Kind: e.Kind, ID: e.ID, Message: e.Message,
		Attributes: cloudevent.Attributes{Time: e.Time, Subject: e.Subject, Operation: e.Operation, Deployment: e.Deployment},
	})
}

// recordedDecision returns the record of a decision that was never a review item, nil when there is none.
func (a *App) recordedDecision(ctx context.Context, project, id string) (*commonv1.DecisionRecord, error) {
	key, ok := ledger.NewKey(project, strings.ToLower(id))
	if !ok {
		return nil, nil // no decision has such an id
	}
	r, err := a.records().Find(ctx, key)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil, nil
	case err != nil && ctx.Err() == nil:
		return nil, fault.Unavailable("record of decisions").Cause(err)
	}
	return r, err
}
