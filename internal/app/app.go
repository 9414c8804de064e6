package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/gateway"
	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/idempotency"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/outbox"
	"github.com/switchyard-ai/switchyard/internal/pace"
	"github.com/switchyard-ai/switchyard/internal/relay"
	"github.com/switchyard-ai/switchyard/internal/serving"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
	"github.com/switchyard-ai/switchyard/services/classification"
	"github.com/switchyard-ai/switchyard/services/events"
	"github.com/switchyard-ai/switchyard/services/identity"
	"github.com/switchyard-ai/switchyard/services/jobs"
	"github.com/switchyard-ai/switchyard/services/models"
	"github.com/switchyard-ai/switchyard/services/moderation"
	"github.com/switchyard-ai/switchyard/services/monitoring"
	"github.com/switchyard-ai/switchyard/services/review"
	"github.com/switchyard-ai/switchyard/services/routing"
	"github.com/switchyard-ai/switchyard/services/training"
)

// Options are what a start needs beside the configuration.
type Options struct {
	// Version of the product, for traces and the metrics.
	Version string
	// Log is where log lines go; nil for standard error.
	Log io.Writer
	// NoListen starts no listener at all: the product is reached through Conn only.
	NoListen bool
}

// App is the running product, or the part of it that runs in this process.
type App struct {
	config Config
	tel    *telemetry.Telemetry
	log    *slog.Logger
	server *mesh.Server

	db *db.DB
	// idempotency is nil in a process that is a gateway only.
	idempotency mesh.IdempotencyStore
	answers     *idempotency.Store // the same, as an erasure needs it
	blobs       *blob.Store
	identity    *identity.Service
	models      *models.Service
	tasks       *jobs.Tasks
	jobs        *jobs.Jobs
	journal     *journal.Journal
	bus         *bus.Bus
	relay       *relay.Relay
	review      *review.Service
	monitoring  *monitoring.Service
	outbox      *outbox.Relay
	lake        lakePointer
	verified    verified
	events      *events.Service
	training    *training.Service
	serving     *serving.Table
	pace        pace.Pace
	httpLn      net.Listener
	http        *http.Server

	// DevKey is the development key when one was made at this start and not written to a file; it is shown once.
	DevKey string

	peers   map[string]io.Closer
	conns   map[string]grpc.ClientConnInterface
	connsMu sync.Mutex

	draining   atomic.Bool
	background errgroup.Group
	stop       context.CancelFunc // ends what follows and serves
	stopRelay  context.CancelFunc // ends the relay, after the last call
	closers    []func() error     // in the order of opening
}

// Start starts everything that the configuration asks for, in the order of need, and returns when it can answer.
func Start(ctx context.Context, c Config, o Options) (*App, error) {
	c.Fill()
	if c.GRPC.Socket == "none" {
		c.GRPC.Socket = ""
	}
	if o.NoListen {
		c.GRPC.Address, c.GRPC.Socket, c.HTTP = "", "", ""
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	a := &App{config: c, peers: map[string]io.Closer{}, conns: map[string]grpc.ClientConnInterface{}}
	if err := a.start(ctx, o); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) start(ctx context.Context, o Options) error {
	if err := os.MkdirAll(a.config.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.stop = stop
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"telemetry", func(context.Context) error { return a.startTelemetry(o) }},
		{"tables", a.openTables},
		{"identity", a.startIdentity},
		{"server", a.makeServer},
		{"events", a.makeBus},
		{"registry", a.startModels},
		{"first use", a.firstUse}, // before anything follows the registry: what is deployed here answers the first call
		{"decisions", a.startDecisions},
		{"review", a.startReview},
		{"monitoring", a.startMonitoring},
		{"reading", a.startReading},
		{"jobs", a.startJobs},
		{"training", func(ctx context.Context) error { return a.startTraining(ctx, o.Version) }},
		{"event service", a.startEvents},
		{"erasing", a.startErasing},
		{"gateway", a.makeGateway},
		{"models", a.waitForModels},
		{"listen", a.listen},
		{"relay", a.startRelay}, // last: nobody waits for the bus, and its start would take the processor from those that somebody waits for
		{"review's events", a.feedReview},
		{"monitoring's events", a.feedMonitoring},
		{"lake", a.feedLake},
		{"verification", a.keepVerifying},
	} {
		if err := step.do(running); err != nil {
			return fmt.Errorf("start %s: %w", step.what, err)
		}
	}
	return nil
}

func (a *App) startTelemetry(o Options) (err error) {
	a.tel, err = telemetry.New(a.config.Telemetry, telemetry.Options{Version: o.Version, Log: o.Log})
	if err != nil {
		return err
	}
	a.log = a.tel.Logger()
	a.closers = append(a.closers, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		return a.tel.Shutdown(ctx)
	})
	return nil
}

// openTables opens the database, which every part but the gateway needs: for its own tables, or for the answers of calls with an idempotency key.
func (a *App) openTables(ctx context.Context) (err error) {
	if slices.Equal(a.config.Target, []string{"gateway"}) {
		return nil
	}
	config := a.config.DB
	config.Log = a.log
	if a.db, err = db.Open(ctx, config); err != nil {
		return err
	}
	a.closers = append(a.closers, a.db.Close)
	store := idempotency.New(a.db, nil, a.log)
	a.idempotency, a.answers = store, store
	a.background.Go(func() error { return store.Run(ctx) })
	return store.Start(ctx)
}

func (a *App) startIdentity(ctx context.Context) error {
	if !a.config.runs("identity") {
		return nil
	}
	a.identity = identity.New(identity.Deps{DB: a.db, Log: a.log})
	if err := a.identity.Start(ctx); err != nil {
		return err
	}
	a.closers = append(a.closers, a.identity.Close)
	return nil
}

// makeServer makes the server of all services that run here; nothing listens yet.
func (a *App) makeServer(context.Context) (err error) {
	var authenticator auth.Authenticator = a.identity
	if a.identity == nil {
		conn, err := a.Conn("identity")
		if err != nil {
			return err
		}
		authenticator = mesh.NewPeerAuthenticator(conn)
	}
	a.server, err = mesh.NewServer(a.config.GRPC, mesh.Deps{
		Authenticator: authenticator, Logger: a.log, RPC: a.tel.RPC(), TracerProvider: a.tel.TracerProvider(), Idempotency: a.idempotency,
	})
	if err == nil && a.identity != nil {
		a.identity.Register(a.server)
	}
	return err
}

func (a *App) startModels(ctx context.Context) (err error) {
	if !a.config.runs("models") {
		return nil
	}
	if a.blobs, err = blob.Open(filepath.Join(a.config.DataDir, "artifacts"), a.config.Models.MaxArtifactBytes); err != nil {
		return err
	}
	a.closers = append(a.closers, a.blobs.Close)
	a.models = models.New(models.Deps{DB: a.db, Blobs: a.blobs, Open: load.Open, Config: a.config.Models, Log: a.log, Applied: a.applied, Emit: emitChange})
	if err := a.models.Start(ctx); err != nil {
		return err
	}
	a.models.Register(a.server)
	return nil
}

// startDecisions starts what the operations share (journal, bus, live models) and the operations that run here.
func (a *App) startDecisions(ctx context.Context) (err error) {
	if !a.config.decides() {
		return nil
	}
	a.journal, err = journal.Open(filepath.Join(a.config.DataDir, "journal"), a.config.Journal, journal.WithLogger(a.log))
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.journal.Close)
	if err := a.followModels(ctx); err != nil {
		return err
	}
	traffic, err := a.compareVersions(ctx)
	if err != nil {
		return err
	}
	recorder := decision.NewJournalRecorder(a.journal, a.config.Journal)
	resume, err := a.newResume(recorder)
	if err != nil {
		return err
	}
	maker := decision.New(decision.Deps{
		Recorder: recorder, Metrics: a.tel.Decisions(), Log: a.log, Pace: &a.pace, Traffic: traffic,
	})
	source := decision.FromTable(a.serving)
	if a.config.runs("moderation") {
		service := moderation.New(moderation.Deps{Maker: maker, Source: source, DB: a.db})
		if err := service.Start(ctx); err != nil {
			return err
		}
		moderationv1.RegisterModerationServiceServer(a.server, moderates{service, resume})
	}
	if a.config.runs("routing") {
		routingv1.RegisterRoutingServiceServer(a.server, routes{routing.New(routing.Deps{Maker: maker, Source: source}), resume})
	}
	if a.config.runs("classification") {
		classificationv1.RegisterClassificationServiceServer(a.server, classifies{classification.New(classification.Deps{Maker: maker, Source: source}), resume})
	}
	return nil
}

// followModels keeps the live models as the registry says, wherever that runs.
func (a *App) followModels(ctx context.Context) error {
	conn, err := a.Conn("models")
	if err != nil {
		return err
	}
	a.serving = serving.New(modelsv1.NewModelServiceClient(asSystem{conn}), filepath.Join(a.config.DataDir, "artifacts"), a.log)
	a.background.Go(func() error { return a.serving.Run(ctx) })
	return nil
}

// compareVersions counts how versions on trial do, and reports it to the registry.
func (a *App) compareVersions(ctx context.Context) (*decision.Traffic, error) {
	conn, err := a.Conn("models")
	if err != nil {
		return nil, err
	}
	traffic := decision.NewTraffic(modelsv1.NewModelServiceClient(asSystem{conn}), a.log)
	a.background.Go(func() error { return traffic.Run(ctx) })
	return traffic, nil
}

// appliedTimeout bounds how long a deployment waits until this process answers with it; a version that cannot be loaded never does.
const appliedTimeout = 2 * time.Second

// applied waits until this process answers with a changed deployment.
func (a *App) applied(ctx context.Context, d *modelsv1.Deployment) {
	a.watched(ctx, d)
	if a.serving == nil {
		return // the first deployments are made before anything answers
	}
	ctx, cancel := context.WithTimeout(ctx, appliedTimeout)
	defer cancel()
	a.serving.WaitFor(ctx, serving.Key{Project: d.GetProject(), Operation: d.GetOperation(), Name: d.GetName()}, d.GetRevision())
}

// waitForModels waits until what is deployed is loaded, so that the first call finds it. A registry elsewhere may be late: then
// readiness waits, not the start.
func (a *App) waitForModels(ctx context.Context) error {
	if a.serving == nil || a.models == nil {
		return nil
	}
	select {
	case <-a.serving.Synced():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *App) makeGateway(context.Context) error {
	if !a.config.runs("gateway") || a.config.HTTP == "" {
		return nil
	}
	key, err := a.sessionKey()
	if err != nil {
		return err
	}
	handler, err := gateway.New(a.config.Gateway, gateway.Deps{Conn: a.Conn, Ready: a.Ready, State: a.verified.text, SessionKey: key, Metrics: a.tel.Handler(), Log: a.log})
	if err != nil {
		return err
	}
	a.http = gateway.Server(a.config.Gateway, handler)
	a.http.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)
	return nil
}

// Ready returns nil when this process can answer, else what it waits for.
func (a *App) Ready(context.Context) error {
	if a.draining.Load() {
		return errors.New("shutting down")
	}
	if a.serving == nil {
		return nil
	}
	select {
	case <-a.serving.Synced():
		return nil
	default:
		return errors.New("waiting for the registry")
	}
}
