// Package sim plays a support team at work: inquiries that arrive, people who answer what is not certain, what the application hears later, all through the public interfaces of the built binary. It knows the
// true labels and tells nobody, so that what the product says of itself can be held against them.
//
// A World holds what lasts: the product, the clock, the people, the stream of inquiries. Day plays one day in it.
package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// Options say what is played.
type Options struct {
	// Bin is the built binary, Data the folder of data sets, Dir where everything is written.
	Bin, Data, Dir string
	// Seed fixes what arrives when, and what people say. Which person gets which item does not follow from it: that is the product's and the machine's.
	Seed uint64
	// TrainRows is how many rows are trained on; all when 0.
	TrainRows int
	// Hour is how long an hour really takes.
	Hour time.Duration
	// AuditRate, SecondOpinions and Gold are shares: of the automated decisions that are audited, of the items that two people judge, and of test items in what people get.
	AuditRate, SecondOpinions, Gold float64
	// ReviewerHour and ComputeHour are prices in euros; ReviewSeconds is what the policy expects of a person and an item.
	ReviewerHour, ComputeHour, ReviewSeconds float64
	// People work on the queue; at least three, or nobody could settle a disagreement.
	People []Person
	// Say tells what is being done, Tick the state of the day twice an hour; both may be nil.
	Say  func(format string, args ...any)
	Tick func(summary.Hour)
}

// Defaults returns the day as "make demo" plays it.
func Defaults() Options {
	return Options{
		Seed: 1, Hour: 5 * time.Second, AuditRate: 0.1, SecondOpinions: 0.2, Gold: 0.08,
		ReviewerHour: 32, ComputeHour: 0.1, ReviewSeconds: 40, People: Team(),
	}
}

// World is the product and everybody around it.
type World struct {
	Clock *Clock

	o       Options
	started time.Time
	rng     *rand.Rand // for what happens in one order; draw for the rest
	product *product
	stream  *Stream
	truth   map[string]string // label by inquiry; written between days only
	desk    *desk
	lead    patient
	people  []*reviewer
	tickets *ticketSystem
	events  *follower
	model   *summary.Model
	gold    int

	background *errgroup.Group
	ctx        context.Context //nolint:containedctx // of the background, which ends with Close
	cancel     context.CancelFunc

	mu       sync.Mutex
	chance   *rand.Rand
	today    time.Time // midnight of the day that is played
	heard    int       // feedback that was sent
	appealed int
	hours    []summary.Hour
}

// Open builds the world: starts the product on an empty folder, trains and certifies a model, makes keys for everybody, and sets up the queue. The first day can begin.
func Open(ctx context.Context, o Options) (*World, error) {
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	if err := CheckData(o.Data); err != nil {
		return nil, err
	}
	stream, err := OpenStream(o.Data, o.Seed)
	if err != nil {
		return nil, err
	}
	input, err := trainingData(o.Data, o.Dir, o.TrainRows, o.Seed)
	if err != nil {
		return nil, err
	}
	w := &World{
		o: o, started: time.Now(), stream: stream, truth: map[string]string{}, rng: rand.New(rand.NewPCG(o.Seed, 3)), chance: rand.New(rand.NewPCG(o.Seed, 4)),
		events: &follower{seen: map[string]bool{}, counts: map[string]int{}, items: map[reviewv1.HistoryKind]int{}}, Clock: NewClock(time.Time{}, o.Hour),
	}
	if w.product, err = startProduct(ctx, o.Bin, o.Dir); err != nil {
		return nil, err
	}
	var background context.Context
	background, w.cancel = context.WithCancel(ctx)
	w.background, w.ctx = errgroup.WithContext(background)
	if err := w.setUp(input); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// setUp does what is done once.
func (w *World) setUp(input string) (err error) {
	ctx, o := w.ctx, w.o
	o.Say("the server runs: REST http://%s, gRPC %s", w.product.server.HTTP, w.product.server.GRPC)
	o.Say("training on %s …", input)
	if w.model, err = w.product.train(ctx, input, filepath.Join(o.Data, arriveFile), o.Seed); err != nil {
		return err
	}
	d, err := w.product.setPolicy(ctx, func(p *modelsv1.Policy) {
		p.AuditRate, p.Currency, p.ReviewSeconds = o.AuditRate, "EUR", o.ReviewSeconds
		p.ReviewerHourMicros, p.ComputeHourMicros = int64(o.ReviewerHour*1e6), int64(o.ComputeHour*1e6)
	})
	if err != nil {
		return fmt.Errorf("set the policy: %w", err)
	}
	o.Say("trained on %d inquiries, certified on %d others: %s", w.model.TrainingRows, w.model.CertificationRows, d.GetStatement())
	if err := w.makeKeys(ctx); err != nil {
		return err
	}
	if err := w.setQueue(ctx); err != nil {
		return fmt.Errorf("set up the queue: %w", err)
	}
	if err := w.connectTicketSystem(ctx); err != nil {
		return err
	}
	w.background.Go(func() error { return w.follow(ctx, w.appeal) })
	return nil
}

// makeKeys gives everybody a key that may do what they need and nothing else.
func (w *World) makeKeys(ctx context.Context) (err error) {
	w.desk = &desk{http: w.product.server.HTTP, made: map[string]*made{}}
	if w.desk.key, w.desk.conn, err = w.product.key(ctx, "help desk", "routing:decide", "jobs:submit", "jobs:read", "feedback:write"); err != nil {
		return err
	}
	if _, w.lead, err = w.product.key(ctx, "team lead", "review:read", "review:write", "events:read", "events:write", "models:read", "decisions:read"); err != nil {
		return err
	}
	for i, p := range w.o.People {
		_, conn, err := w.product.key(ctx, p.Name, "review:read", "review:work")
		if err != nil {
			return err
		}
		w.people = append(w.people, &reviewer{Person: p, rng: rand.New(rand.NewPCG(w.o.Seed, 100+uint64(i))), key: reviewv1.NewReviewServiceClient(conn)})
	}
	return nil
}

// draw returns a random number in [0, 1) to whoever asks.
func (w *World) draw() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chance.Float64()
}

// evening returns when the present day ends.
func (w *World) evening() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return at(w.today, dayEnd)
}

// Close ends everything that runs.
func (w *World) Close() error {
	w.cancel()
	err := w.background.Wait()
	if w.tickets != nil {
		err = errors.Join(err, w.tickets.server.Close())
	}
	if w.product == nil {
		return err
	}
	p := w.product
	w.product = nil
	return errors.Join(err, p.kill())
}
