// Package console is the pages of the people behind the decisions. Those who review have queues, one item at a time, and the history of a decision; those who look after models have
// deployments with what they promise, versions and runs. It is plain HTML from the server over the contracts, with a little script for the keyboard; it can do nothing that a caller with the same API
// key cannot do over gRPC.
package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

//go:embed template/*.html
var templates embed.FS

//go:embed static/*
var static embed.FS

const (
	root = "/console"
	// maxForm bounds what a form may send; a note has at most 4,000 characters, an answer to a group 500 ids.
	maxForm = 64 << 10
	// callTimeout bounds what one page waits for.
	callTimeout = 10 * time.Second
)

// Deps is what the console needs.
type Deps struct {
	Review    reviewv1.ReviewServiceClient
	Decisions decisionsv1.DecisionServiceClient
	// Models explains what weighed on a suggestion, and serves the pages of deployments and models.
	Models modelsv1.ModelServiceClient
	// Monitoring knows the live error of what is promised.
	Monitoring monitoringv1.MonitoringServiceClient
	// Training and Datasets serve the pages of runs.
	Training trainingv1.RunServiceClient
	Datasets trainingv1.DatasetServiceClient
	// Identity tells what a key may do.
	Identity identityv1.IdentityServiceClient
	// SessionKey seals the sessions: 32 bytes that outlive a restart, so that nobody is signed out by one.
	SessionKey []byte
	// Now is the clock; nil for time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// Console serves the pages.
type Console struct {
	review     reviewv1.ReviewServiceClient
	decisions  decisionsv1.DecisionServiceClient
	models     modelsv1.ModelServiceClient
	monitoring monitoringv1.MonitoringServiceClient
	training   trainingv1.RunServiceClient
	datasets   trainingv1.DatasetServiceClient
	identity   identityv1.IdentityServiceClient
	sessions   *sessions
	now        func() time.Time
	log        *slog.Logger
	pages      map[string]*template.Template
	assets     map[string]asset
}

// asset is one static file. Its address holds its digest, so that it may be cached for ever.
type asset struct {
	data   []byte
	digest string
	kind   string
}

// New returns the handler for everything below /console.
func New(d Deps) (http.Handler, error) {
	sealed, err := newSessions(d.SessionKey)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	c := &Console{review: d.Review, decisions: d.Decisions, models: d.Models, monitoring: d.Monitoring, training: d.Training, datasets: d.Datasets, identity: d.Identity, sessions: sealed, now: d.Now, log: d.Log}
	if c.now == nil {
		c.now = time.Now
	}
	if err := errors.Join(c.loadAssets(), c.parse()); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"/static/{name}", c.asset)
	mux.HandleFunc("GET "+root+"/sign-in", c.signInPage)
	mux.HandleFunc("POST "+root+"/sign-in", c.signIn)
	mux.HandleFunc("POST "+root+"/sign-out", c.signOut)
	for pattern, h := range map[string]page{
		"GET " + root:                                         c.home,
		"GET " + root + "/{$}":                                c.home,
		"GET " + root + "/queues":                             c.queues,
		"GET " + root + "/items":                              c.items,
		"GET " + root + "/decisions/{id}":                     c.decision,
		"GET " + root + "/work/{operation}/{deployment}":      c.waiting,
		"POST " + root + "/work/{operation}/{deployment}":     c.next,
		"GET " + root + "/work/{operation}/{deployment}/{id}": c.work,
		"POST " + root + "/items/{id}/verdict":                c.verdict,
		"POST " + root + "/items/{id}/undo":                   c.undo,
		"POST " + root + "/items/{id}/release":                c.release,
		"POST " + root + "/items/{id}/extend":                 c.extend,
		"POST " + root + "/items/{id}/reopen":                 c.reopen,
		"POST " + root + "/items/{id}/withdraw":               c.withdraw,
		"POST " + root + "/preferences":                       c.preferences,

		"GET " + root + "/deployments":                                 c.deployments,
		"GET " + root + "/deployments/{operation}/{deployment}":        c.deployment,
		"GET " + root + "/deployments/{operation}/{deployment}/{act}":  c.actPage,
		"POST " + root + "/deployments/{operation}/{deployment}/{act}": c.act,
		"GET " + root + "/runs":                                        c.runs,
		"GET " + root + "/runs/start":                                  c.startRunPage,
		"POST " + root + "/runs/start":                                 c.startRun,
		"GET " + root + "/runs/{id}":                                   c.run,
		"GET " + root + "/runs/{id}/report":                            c.runReport,
		"POST " + root + "/runs/{id}/cancel":                           c.cancelRun,
		"GET " + root + "/models":                                      c.modelList,
		"GET " + root + "/models/{model}":                              c.model,
		"GET " + root + "/models/{model}/compare":                      c.compareVersions,
		"GET " + root + "/models/{model}/versions/{version}":           c.version,
	} {
		mux.Handle(pattern, c.signedIn(h))
	}
	return c.guard(http.NewCrossOriginProtection().Handler(mux)), nil
}

// guard sets what holds for every page: nothing but our own style and script, no frames, no caching of what people see.
func (c *Console) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

func (c *Console) loadAssets() error {
	c.assets = map[string]asset{}
	kinds := map[string]string{"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}
	for name, kind := range kinds {
		data, err := fs.ReadFile(static, "static/"+name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		c.assets[name] = asset{data: data, digest: hex.EncodeToString(sum[:8]), kind: kind}
	}
	return nil
}

func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := c.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.URL.RawQuery == a.digest {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", a.kind)
	_, _ = w.Write(a.data)
}

// parse reads each page together with the frame around it, and the parts that several share.
func (c *Console) parse() error {
	c.pages = map[string]*template.Template{}
	names, err := fs.Glob(templates, "template/*.html")
	if err != nil {
		return err
	}
	for _, path := range names {
		name := path[len("template/"):]
		if name == "frame.html" || name == "parts.html" {
			continue
		}
		t, err := template.New("frame.html").Funcs(c.funcs()).ParseFS(templates, "template/frame.html", "template/parts.html", path)
		if err != nil {
			return err
		}
		c.pages[name] = t
	}
	return nil
}

// frame is what every page knows.
type frame struct {
	Title   string
	Session *session
	Notice  string // one sentence about what just happened
	Page    any
}

func (c *Console) render(w http.ResponseWriter, code int, name string, f frame) {
	var out bytes.Buffer
	if err := c.pages[name].Execute(&out, f); err != nil {
		c.log.Error("console page cannot be rendered", "page", name, "error", err)
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes())
}

// page answers one request of somebody who is signed in. What it returns as an error is shown on a page of its own.
type page func(w http.ResponseWriter, r *http.Request, s *session) error

// signedIn lets only sessions through; others come back to where they wanted to go after signing in.
func (c *Console) signedIn(h page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := c.sessions.read(r, c.now())
		if s == nil {
			back := ""
			if r.Method == http.MethodGet {
				back = r.URL.RequestURI()
			}
			c.toSignIn(w, r, back, "")
			return
		}
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(r.Context(), "authorization", "Bearer "+s.Key), callTimeout)
		defer cancel()
		if err := h(w, r.WithContext(ctx), s); err != nil {
			c.failed(w, r, s, err)
		}
	})
}

// failed says in words what went wrong.
func (c *Console) failed(w http.ResponseWriter, r *http.Request, s *session, err error) {
	f := asFault(err)
	reason := f.ReasonName()
	code := http.StatusBadGateway
	say := f.Message()
	switch reason {
	case "KEY_INVALID", "KEY_EXPIRED", "KEY_REVOKED", "KEY_MISSING":
		c.sessions.clear(w, r)
		c.toSignIn(w, r, "", reason)
		return
	case "SCOPE_MISSING":
		code, say = http.StatusForbidden, "Your API key lacks the scope "+f.Metadata("scope")+", which this needs. Ask whoever made the key."
	case "NOT_FOUND":
		code, say = http.StatusNotFound, "There is no such thing in this project. It may have been erased."
	case "LEASE_LOST":
		code, say = http.StatusConflict, "This item is not yours any more: your time with it ended, and it waits again or somebody else has it. Nothing was saved."
	case "ITEM_CLOSED":
		code, say = http.StatusConflict, "This item has been answered in the meantime. Nothing was saved."
	case "DEPLOYMENT_NOT_FOUND", "MODEL_NOT_FOUND", "VERSION_NOT_FOUND", "REVISION_NOT_FOUND":
		code = http.StatusNotFound
	case "INVALID_ARGUMENT", "LABEL_UNKNOWN", "VERSION_CONFLICT":
		code = http.StatusBadRequest
	case "DEADLINE_EXCEEDED", "DEPENDENCY_UNAVAILABLE", "SHUTTING_DOWN", "UNIMPLEMENTED":
		code, say = http.StatusServiceUnavailable, "The service behind this page cannot be reached at the moment. Nothing was saved; try again in a moment."
	case "INTERNAL":
		c.log.Error("console call failed", "path", r.URL.Path, "error", err)
		say = "Something went wrong on the server. Nothing was saved. Request " + f.Metadata("requestId") + " is in its log."
	}
	if r.Header.Get("Accept") == "application/json" {
		http.Error(w, say, code)
		return
	}
	c.render(w, code, "failed.html", frame{Title: "That did not work", Session: s, Page: map[string]string{"Say": say, "Reason": reason}})
}

// asFault reads a failure of a call, or of a form.
func asFault(err error) *fault.Error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return fault.FromStatus(status.Convert(err))
}
