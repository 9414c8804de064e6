// Package gateway serves every method of the contracts as REST with JSON, and the pages that belong to it: the OpenAPI
// document, the API reference, health and metrics. It reaches services only through connections that run the full
// interceptor chain, so that nothing holds over gRPC that does not hold over REST.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/klauspost/compress/gzhttp"
	"github.com/rs/cors"
	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/gateway/console"
	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
)

// Deps is what the gateway needs.
type Deps struct {
	// Conn returns the connection to a service, by the name of its package: "moderation", "models" and so on.
	Conn func(service string) (grpc.ClientConnInterface, error)
	// Ready returns nil when the process can answer, else what it waits for.
	Ready func(context.Context) error
	// State returns what the readiness page says beside that, in lines; nil for nothing. Anybody may read the page.
	State func() string
	// SessionKey seals the sessions of the console, 32 bytes; nil serves no console.
	SessionKey []byte
	// Metrics serves the metrics page.
	Metrics http.Handler
	// Log receives what goes wrong in the gateway itself.
	Log *slog.Logger
}

// service registers the routes of one service; adding a service adds a line to services.
type service struct {
	name     string
	register func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error
}

var services = []service{
	{"moderation", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return moderationv1.RegisterModerationServiceHandlerClient(ctx, m, moderationv1.NewModerationServiceClient(c))
	}},
	{"routing", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return routingv1.RegisterRoutingServiceHandlerClient(ctx, m, routingv1.NewRoutingServiceClient(c))
	}},
	{"classification", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return classificationv1.RegisterClassificationServiceHandlerClient(ctx, m, classificationv1.NewClassificationServiceClient(c))
	}},
	{"decisions", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return errors.Join(decisionsv1.RegisterDecisionServiceHandlerClient(ctx, m, decisionsv1.NewDecisionServiceClient(c)),
			decisionsv1.RegisterErasureServiceHandlerClient(ctx, m, decisionsv1.NewErasureServiceClient(c)))
	}},
	{"models", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return modelsv1.RegisterModelServiceHandlerClient(ctx, m, modelsv1.NewModelServiceClient(c))
	}},
	{"monitoring", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return monitoringv1.RegisterMonitoringServiceHandlerClient(ctx, m, monitoringv1.NewMonitoringServiceClient(c))
	}},
	{"events", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return errors.Join(eventsv1.RegisterEventServiceHandlerClient(ctx, m, eventsv1.NewEventServiceClient(c)),
			eventsv1.RegisterWebhookServiceHandlerClient(ctx, m, eventsv1.NewWebhookServiceClient(c)))
	}},
	{"review", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return reviewv1.RegisterReviewServiceHandlerClient(ctx, m, reviewv1.NewReviewServiceClient(c))
	}},
	{"jobs", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		if err := jobsv1.RegisterJobServiceHandlerClient(ctx, m, jobsv1.NewJobServiceClient(c)); err != nil {
			return err
		}
		return jobsv1.RegisterTaskServiceHandlerClient(ctx, m, jobsv1.NewTaskServiceClient(c))
	}},
	{"training", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return errors.Join(trainingv1.RegisterDatasetServiceHandlerClient(ctx, m, trainingv1.NewDatasetServiceClient(c)),
			trainingv1.RegisterRunServiceHandlerClient(ctx, m, trainingv1.NewRunServiceClient(c)))
	}},
	{"identity", func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
		return identityv1.RegisterIdentityServiceHandlerClient(ctx, m, identityv1.NewIdentityServiceClient(c))
	}},
}

// New returns the handler for everything that the gateway serves.
func New(c Config, d Deps) (http.Handler, error) {
	routes, err := newRoutes()
	if err != nil {
		return nil, fmt.Errorf("read routes from the contracts: %w", err)
	}
	answers := &errorWriter{routes: routes}
	api := runtime.NewServeMux(
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithWriteContentLength(),
		runtime.WithIncomingHeaderMatcher(incomingHeader),
		runtime.WithOutgoingHeaderMatcher(outgoingHeader),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(answers.handle),
		runtime.WithStreamErrorHandler(answers.stream),
		runtime.WithRoutingErrorHandler(answers.routing),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, unaryJSON{}),
		runtime.WithMarshalerOption(ndjsonType, streamJSON{maxLine: c.MaxBodyBytes}),
	)
	for _, s := range services {
		conn, err := d.Conn(s.name)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", s.name, err)
		}
		if err := s.register(context.Background(), api, conn); err != nil {
			return nil, fmt.Errorf("register routes of %s: %w", s.name, err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", limited{config: c, routes: routes, errors: answers, next: api})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := d.Ready(r.Context()); err != nil {
			writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		text := "ready\n"
		if d.State != nil {
			text += d.State()
		}
		writeText(w, http.StatusOK, text)
	})
	mux.Handle("GET /metrics", d.Metrics)
	registerPages(mux, routes)
	if err := registerConsole(mux, d); err != nil {
		return nil, err
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { answers.notFound(w, r) })
	return outside(c, d.Log, answers, mux), nil
}

// registerConsole serves the pages for people.
func registerConsole(mux *http.ServeMux, d Deps) error {
	if d.SessionKey == nil {
		return nil
	}
	conns := map[string]grpc.ClientConnInterface{}
	for _, name := range []string{"review", "decisions", "models", "monitoring", "training", "identity"} {
		conn, err := d.Conn(name)
		if err != nil {
			return fmt.Errorf("connect the console: %w", err)
		}
		conns[name] = conn
	}
	pages, err := console.New(console.Deps{
		Review: reviewv1.NewReviewServiceClient(conns["review"]), Decisions: decisionsv1.NewDecisionServiceClient(conns["decisions"]),
		Models: modelsv1.NewModelServiceClient(conns["models"]), Monitoring: monitoringv1.NewMonitoringServiceClient(conns["monitoring"]),
		Identity: identityv1.NewIdentityServiceClient(conns["identity"]),
		Training: trainingv1.NewRunServiceClient(conns["training"]), Datasets: trainingv1.NewDatasetServiceClient(conns["training"]),
		SessionKey: d.SessionKey, Log: d.Log,
	})
	if err != nil {
		return err
	}
	mux.Handle("/console", pages)
	mux.Handle("/console/", pages)
	return nil
}

// Server returns an HTTP server for the handler with the limits of c. HTTP/2 without TLS is accepted beside HTTP/1.
func Server(c Config, h http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           h,
		MaxHeaderBytes:    c.MaxHeaderBytes,
		ReadHeaderTimeout: c.ReadHeaderTimeout,
		IdleTimeout:       c.IdleTimeout,
		Protocols:         &protocols,
	}
}

// outside wraps what holds for every path: recovery, CORS, compression, safe headers.
func outside(c Config, log *slog.Logger, answers *errorWriter, next http.Handler) http.Handler {
	h := next
	if c.GzipMinBytes > 0 {
		wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(c.GzipMinBytes), gzhttp.ExceptContentTypes([]string{ndjsonType}))
		if err == nil {
			h = wrap(h)
		}
	}
	if len(c.AllowedOrigins) > 0 {
		h = cors.New(cors.Options{
			AllowedOrigins: c.AllowedOrigins,
			AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodDelete},
			AllowedHeaders: []string{"Authorization", "Content-Type", "Idempotency-Key", "Traceparent", "X-Request-Id"},
			MaxAge:         600,
		}).Handler(h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p) //nolint:forbidigo // how net/http is told to cut the connection
				}
				log.ErrorContext(r.Context(), "gateway panicked", "path", r.URL.Path, "panic", fmt.Sprint(p))
				answers.panicked(w, r)
			}
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
