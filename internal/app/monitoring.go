package app

import (
	"context"
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

const (
	// monitoringConsumer is the name of the watch over the promises in the stream, and of its place in the inbox.
	monitoringConsumer = "monitoring"
	// A batch is one transaction; waiting a moment for company makes them few.
	monitoringBatch = 1000
	monitoringWait  = 100 * time.Millisecond
)

// Both kinds come to one follower: a verdict is then hardly ever looked at before its decision.
var monitoringFilters = []string{bus.Stream + ".*." + monitoring.DecisionEvents, bus.Stream + ".*." + monitoring.VerdictEvents}

// feedMonitoring brings decisions and verdicts from the bus to the service that watches the promises.
func (a *App) feedMonitoring(ctx context.Context) error {
	if a.monitoring == nil {
		return nil
	}
	a.inBackground(ctx, (&monitoringFeed{App: a}).run)
	return nil
}

// monitoringFeed carries events to the service that watches the promises.
type monitoringFeed struct {
	*App
	source  string // the stream
	pending []monitoring.Event
	since   time.Time // when the first of pending came
	seen    uint64
}

// run follows the stream of this process, and shares that of a cluster with the other processes that watch.
func (f *monitoringFeed) run(ctx context.Context) error {
	if f.bus.Embedded() {
		return (&follower{App: f.App, name: monitoringConsumer, filters: monitoringFilters, idle: monitoringWait, take: f.follow, done: f.done}).run(ctx)
	}
	consumer := bus.Consumer{Name: monitoringConsumer, Batch: monitoringBatch, MaxWait: monitoringWait, Filters: monitoringFilters}
	return f.bus.Consume(ctx, consumer, func(ctx context.Context, batch []bus.Delivery) error {
		events := make([]monitoring.Event, 0, len(batch))
		for i := range batch {
			events = append(events, monitoringEvent(&batch[i]))
		}
		return f.apply(ctx, events)
	})
}

func monitoringEvent(d *bus.Delivery) monitoring.Event {
	return monitoring.Event{Kind: d.Subject[strings.LastIndexByte(d.Subject, '.')+1:], ID: d.ID, Seq: d.Seq, Data: d.Data}
}

// follow lets events wait for company, and then counts them, however long that takes.
func (f *monitoringFeed) follow(ctx context.Context, batch []bus.Delivery) error {
	for i := range batch {
		if len(f.pending) == 0 {
			f.since = time.Now()
		}
		f.pending = append(f.pending, monitoringEvent(&batch[i]))
		f.seen = batch[i].Seq
	}
	if len(f.pending) == 0 || len(f.pending) < monitoringBatch && time.Since(f.since) < monitoringWait {
		return nil
	}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := f.apply(ctx, f.pending)
		if err == nil {
			clear(f.pending) // what they hold
			f.pending = f.pending[:0]
			return nil
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of the context is how this is meant to end
		}
		f.log.WarnContext(ctx, "decisions and verdicts could not be counted", "events", len(f.pending), "error", err, "next_attempt_in", pause)
		wait(ctx, pause)
	}
}

// done returns up to where everything is counted.
func (f *monitoringFeed) done() uint64 {
	if len(f.pending) > 0 {
		return f.pending[0].Seq - 1
	}
	return f.seen
}

func (f *monitoringFeed) apply(ctx context.Context, events []monitoring.Event) (err error) {
	if f.source == "" {
		if f.source, err = (eventLog{f.bus}).Identity(ctx); err != nil {
			return err
		}
	}
	return f.monitoring.Apply(ctx, f.source, events)
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
