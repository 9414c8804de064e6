package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// MonthOptions say which month is played.
type MonthOptions struct {
	// Bin is the built binary, Data the folder of data sets, Dir where everything is written.
	Bin, Data, Dir string
	// Seed fixes what arrives when, and what people say.
	Seed uint64
	// Days is how many there are, PerDay how many inquiries come on each.
	Days, PerDay int
	// Enough is how many days are played after automation went on again; the month ends then. All days when 0.
	Enough int
	// Examples is how many labelled inquiries of each queue the first version is trained on.
	Examples int
	// DriftDay is the day from whose morning on what belonged to one of two queues belongs to the other; none when 0.
	DriftDay int
	// Swapped are these queues.
	Swapped [2]string
	// MaxError is the promise; AuditRate and SecondOpinions are shares.
	MaxError, AuditRate, SecondOpinions float64
	// NewLabels is how many labels start a training run, Split how their rows are divided; by time when 0.
	NewLabels int64
	Split     trainingv1.SplitMethod
	// TestShare of the labels measures, HoldOut of the others certifies.
	TestShare, HoldOut float64
	// Margin is by how much a version may seem to be worse than the one before it: with some hundred rows to compare them on, chance alone explains some points.
	Margin float64
	// People work on the queue.
	People []Person
	// Say tells what is being done, Tick how a day was; both may be nil.
	Say  func(format string, args ...any)
	Tick func(summary.MonthDay)
}

// DefaultMonth returns the month as "make demo" plays it.
func DefaultMonth() MonthOptions {
	return MonthOptions{
		Seed: 1, Days: 30, PerDay: 400, Examples: 10, DriftDay: 18, Swapped: [2]string{"HR Support", "Access"}, MaxError: 0.08, AuditRate: 0.1, SecondOpinions: 0.1,
		TestShare: 0.2, HoldOut: 0.25, // of few labels many certify
		NewLabels: 800, Margin: 0.05, People: CarefulTeam(),
	}
}

// SmallMonth returns a month of fewer inquiries and a laxer promise, which fewer labels certify.
func SmallMonth() MonthOptions {
	o := DefaultMonth()
	o.Days, o.PerDay, o.DriftDay, o.NewLabels, o.MaxError, o.AuditRate = 28, 250, 10, 600, 0.12, 0.2
	o.Enough, o.Margin = 3, 0.1
	return o
}

// CarefulTeam is a team that errs in 2 % of the answers: what people say is what the model learns. It is large enough that somebody is left for an inquiry about which two people differ and two others are not sure.
func CarefulTeam() []Person {
	return []Person{
		{Name: "anna", Error: 0.01, NotSure: 0.005, Seconds: 34},
		{Name: "boris", Error: 0.02, NotSure: 0.005, Seconds: 30},
		{Name: "chloe", Error: 0.015, NotSure: 0.005, Seconds: 40},
		{Name: "deniz", Error: 0.03, NotSure: 0.005, Seconds: 20},
		{Name: "emil", Error: 0.025, NotSure: 0.005, Seconds: 50},
		{Name: "fatma", Error: 0.02, NotSure: 0.005, Seconds: 45},
	}
}

// Month is the product and everybody around it, day by day. Nothing depends on how fast the machine is: a day ends when its queue is empty, a night when what it started has ended.
type Month struct {
	o       MonthOptions
	w       *World // its desk, people and truths
	stream  []Ticket
	runs    trainingv1.RunServiceClient
	models  modelsv1.ModelServiceClient
	promise monitoringv1.MonitoringServiceClient
	review  reviewv1.ReviewServiceClient
	report  *summary.Month
	seen    map[string]bool // runs that were reported
	closed  int64           // items when the last run began
	put     bool            // whether the schedule is there
	audited auditCount      // on the evening before
	// after is called when a day and its night are over; may be nil.
	after func(ctx context.Context, day int) error
}

// OpenMonth starts the product on an empty folder with a version that was trained on a few examples, and makes keys for everybody.
func OpenMonth(ctx context.Context, o MonthOptions) (_ *Month, err error) {
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	if o.Tick == nil {
		o.Tick = func(summary.MonthDay) {}
	}
	if o.Split == 0 {
		o.Split = trainingv1.SplitMethod_SPLIT_METHOD_TIME
	}
	examples, stream, err := monthData(o)
	if err != nil {
		return nil, err
	}
	w := &World{
		o: Options{Bin: o.Bin, Data: o.Data, Dir: o.Dir, Seed: o.Seed, People: o.People}, started: time.Now(), truth: map[string]string{},
		rng: rand.New(rand.NewPCG(o.Seed, 13)), chance: rand.New(rand.NewPCG(o.Seed, 14)),
	}
	m := &Month{o: o, w: w, stream: stream, seen: map[string]bool{}, report: &summary.Month{
		Seed: o.Seed, Started: w.started, MaxError: o.MaxError, AuditRate: o.AuditRate, Examples: len(examples), DriftDay: o.DriftDay, Swapped: o.Swapped,
	}}
	// What a night waits for comes quickly: the lake is written twice a second, and schedules are looked at once.
	w.product, err = startProduct(ctx, o.Bin, o.Dir, "SWITCHYARD_LAKE_FLUSH=500ms", "SWITCHYARD_TRAINING_POLL_INTERVAL=100ms")
	if err != nil {
		return nil, err
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	if err := m.setUp(w.ctx, examples); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// monthData divides the data into examples and what arrives, in a random order.
func monthData(o MonthOptions) (examples [][]byte, stream []Ticket, err error) {
	lines, err := readLines(filepath.Join(o.Data, trainFile))
	if err != nil {
		return nil, nil, err
	}
	rand.New(rand.NewPCG(o.Seed, 11)).Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	taken := map[string]int{}
	for i, line := range lines {
		t, err := parseTicket(line)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("%s, row %d: %w", trainFile, i+1, err)
		case taken[t.Label] < o.Examples:
			taken[t.Label]++
			examples = append(examples, line)
		case len(stream) < o.Days*o.PerDay:
			t.ID = fmt.Sprintf("INC-%05d", len(stream)+1)
			stream = append(stream, t)
		}
	}
	if len(stream) < o.Days*o.PerDay {
		return nil, nil, fmt.Errorf("%d days of %d inquiries: the data set has %d", o.Days, o.PerDay, len(stream))
	}
	return examples, stream, nil
}

func (m *Month) setUp(ctx context.Context, examples [][]byte) error {
	path := filepath.Join(m.o.Dir, "examples.jsonl")
	var file []byte
	for _, line := range examples {
		file = append(append(file, line...), '\n')
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return err
	}
	if _, err := m.w.product.train(ctx, path, filepath.Join(m.o.Data, arriveFile), m.o.Seed); err != nil {
		return err
	}
	d, err := m.w.product.setPolicy(ctx, func(p *modelsv1.Policy) { p.AuditRate, p.MaxError = m.o.AuditRate, m.o.MaxError })
	if err != nil {
		return fmt.Errorf("set the policy: %w", err)
	}
	m.report.Confidence, m.report.Beginning = d.GetPolicy().GetConfidence(), d.GetStatement()
	m.o.Say("trained on %d examples: %s", len(examples), d.GetStatement())
	return m.join(ctx)
}

// join makes the keys and sets up the queue.
func (m *Month) join(ctx context.Context) (err error) {
	w := m.w
	w.desk = &desk{http: w.product.server.HTTP, made: map[string]*made{}}
	if w.desk.key, w.desk.conn, err = w.product.key(ctx, "help desk", "routing:decide"); err != nil {
		return err
	}
	if _, w.lead, err = w.product.key(ctx, "team lead", "review:read", "review:write", "models:read", "models:write", "monitoring:read", "training:read", "training:write"); err != nil {
		return err
	}
	m.runs, m.models = trainingv1.NewRunServiceClient(w.lead), modelsv1.NewModelServiceClient(w.lead)
	m.promise, m.review = monitoringv1.NewMonitoringServiceClient(w.lead), reviewv1.NewReviewServiceClient(w.lead)
	for i, p := range m.o.People {
		_, conn, err := w.product.key(ctx, p.Name, "review:read", "review:work")
		if err != nil {
			return err
		}
		w.people = append(w.people, &reviewer{Person: p, rng: rand.New(rand.NewPCG(m.o.Seed, 100+uint64(i))), key: reviewv1.NewReviewServiceClient(conn)})
	}
	_, err = m.review.UpdateQueue(ctx, &reviewv1.UpdateQueueRequest{
		Operation: operation, Deployment: deployment, Settings: &reviewv1.QueueSettings{
			SecondOpinionShare: m.o.SecondOpinions, Lease: durationpb.New(time.Minute), UndoWindow: durationpb.New(0),
		},
	})
	return err
}

// Play plays all days, stops the product, verifies the ledger, and holds the figures against the labels.
func (m *Month) Play() (*summary.Month, error) {
	for day := 1; day <= m.o.Days; day++ {
		if err := m.day(m.w.ctx, day); err != nil {
			return nil, fmt.Errorf("day %d: %w", day, err)
		}
		if n := len(m.report.Halts); m.o.Enough > 0 && n > 0 && m.report.Halts[n-1].ResumedDay > 0 && day >= m.report.Halts[n-1].ResumedDay+m.o.Enough {
			break
		}
	}
	r := m.report
	answers, wrong := 0, 0
	for _, p := range m.w.people {
		answers, wrong = answers+p.record.answers, wrong+p.record.wrong
	}
	r.ReviewerError = float64(wrong) / float64(max(1, answers))
	p := m.w.product
	m.w.product = nil
	if err := p.stop(); err != nil {
		return nil, err
	}
	out, err := p.local(context.WithoutCancel(m.w.ctx), "ledger", "verify")
	r.Ledger = summary.Ledger{Clean: err == nil, Output: out}
	m.check()
	r.TookSeconds = time.Since(r.Started).Seconds()
	return r, nil
}

// Close ends everything that runs.
func (m *Month) Close() error {
	m.w.cancel()
	if m.w.product == nil {
		return nil
	}
	p := m.w.product
	m.w.product = nil
	return p.kill()
}
