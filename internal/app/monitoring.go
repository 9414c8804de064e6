package app

import (
	"context"
	"errors"
	"strings"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/services/monitoring"
)

// startMonitoring starts the service that watches the promises; it answers from what it has until feedMonitoring brings more.
func (a *App) startMonitoring(ctx context.Context) error {
	if !a.config.runs("monitoring") {
		return nil
	}
	conn, err := a.Conn("models")
	if err != nil {
		return err
	}
	a.monitoring = monitoring.New(monitoring.Deps{
		DB: a.db, System: modelsv1.NewModelServiceClient(asSystem{conn}), Replay: a.pastDecisions(asSystem{conn}), Config: a.config.Monitoring,
		Meter: a.tel.Meter("github.com/switchyard-ai/switchyard/services/monitoring"), Log: a.log,
	})
	if err := a.monitoring.Start(ctx); err != nil {
		return err
	}
	a.closers = append(a.closers, func() error { a.monitoring.Close(); return nil })
	a.monitoring.Register(a.server)
	return nil
}

// feedMonitoring brings decisions and verdicts from the bus to the service that watches the promises.
func (a *App) feedMonitoring(ctx context.Context) error {
	if a.monitoring == nil {
		return nil
	}
	// One consumer for both: a verdict is then hardly ever looked at before its decision. A batch is one transaction; waiting a moment for company makes them few.
	consumer := bus.Consumer{
		Name: "monitoring", Batch: 1000, MaxWait: 100 * time.Millisecond,
		Filters: []string{bus.Stream + ".*." + monitoring.DecisionEvents, bus.Stream + ".*." + monitoring.VerdictEvents},
	}
	source := ""
	a.background.Go(func() error {
		err := a.bus.Consume(ctx, consumer, func(ctx context.Context, batch []bus.Delivery) (err error) {
			if source == "" {
				if source, err = (eventLog{a.bus}).Identity(ctx); err != nil {
					return err
				}
			}
			events := make([]monitoring.Event, len(batch))
			for i, d := range batch {
				events[i] = monitoring.Event{Kind: d.Subject[strings.LastIndexByte(d.Subject, '.')+1:], ID: d.ID, Seq: d.Seq, Data: d.Data}
			}
			return a.monitoring.Apply(ctx, source, events)
		})
		if errors.Is(err, bus.ErrClosed) {
			err = nil
		}
		return err
	})
	return nil
}

// watched tells the service that watches the promises of a changed deployment at once, so that whoever deployed finds its promise at the next call. Elsewhere, and when this fails, the
// watch of the registry tells it.
func (a *App) watched(ctx context.Context, d *modelsv1.Deployment) {
	if a.monitoring == nil {
		return
	}
	if err := a.monitoring.Learn(ctx, d); err != nil {
		a.log.WarnContext(ctx, "a changed deployment is not watched yet", "deployment", d.GetName(), "error", err)
	}
}
