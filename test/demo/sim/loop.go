package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// DefaultLoop returns 20,000 inquiries in a world that does not change, with the promise and the audits that a new deployment has.
func DefaultLoop() MonthOptions {
	o := DefaultMonth()
	o.Days, o.PerDay, o.DriftDay, o.NewLabels, o.MaxError, o.AuditRate, o.SecondOpinions = 40, 500, 0, 800, 0.05, 0.05, 0
	o.Split, o.HoldOut, o.People = trainingv1.SplitMethod_SPLIT_METHOD_RANDOM, 0.35, Reviewers(0)
	return o
}

// Reviewers are people who err in that share of their answers, and always have one.
func Reviewers(wrong float64) []Person {
	out := CarefulTeam()
	for i := range out {
		out[i].Error, out[i].NotSure = wrong, 0
	}
	return out
}

// Loop is what came of the product and of two other ways to automate the same inquiries.
type Loop struct {
	Month *summary.Month
	// Product learns; Frozen keeps its first version that was certified; Naive learns from what people answered, without audits and certificates.
	Product, Frozen, Naive *Arm
	// FrozenSince is the day from whose morning on the frozen version answers.
	FrozenSince int
}

// PlayLoop lets inquiries arrive at the product as Month does, and then plays the other ways on the same inquiries in the same order.
func PlayLoop(ctx context.Context, o MonthOptions) (_ *Loop, err error) {
	m, err := OpenMonth(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	days := make([][]Ticket, 0, o.Days)
	for day := range slices.Chunk(slices.Clone(m.stream), o.PerDay) {
		days = append(days, day)
	}
	out := &Loop{}
	var first *decider
	m.after = func(ctx context.Context, day int) (err error) {
		if first == nil {
			if first, err = m.certified(ctx); first != nil {
				out.FrozenSince = day + 1
			}
		}
		return err
	}
	if out.Month, err = m.Play(); err != nil {
		return nil, err
	}
	out.Product = &Arm{Name: "product", Trained: len(out.Month.Runs)}
	for _, d := range out.Month.Days {
		out.Product.Days = append(out.Product.Days, ArmDay{d.Inquiries, d.Automated, d.Wrong})
		out.Product.Labels, out.Product.Audits = out.Product.Labels+int(d.Answers), out.Product.Audits+d.Audits
	}
	out.Product.sum()
	if first == nil {
		return nil, errors.New("nothing was ever certified")
	}
	if out.Frozen, err = frozen(first, days, out.FrozenSince-1); err != nil {
		return nil, err
	}
	out.Naive, err = Learn(ctx, o, false)
	return out, err
}

// Learn plays the inquiries without a server: certified as the product decides, by the same code for training and certificates but without gates and halts, or naively.
func Learn(ctx context.Context, o MonthOptions, certified bool) (*Arm, error) {
	lines, stream, err := monthData(o)
	if err != nil {
		return nil, err
	}
	examples := make([]Ticket, len(lines))
	for i, line := range lines {
		if examples[i], err = parseTicket(line); err != nil {
			return nil, err
		}
	}
	l := &learner{o: o, certified: certified, Arm: Arm{Name: "naive"}}
	if certified {
		l.Name = "certified"
	}
	var days [][]Ticket
	for day := range slices.Chunk(stream, o.PerDay) {
		days = append(days, day)
	}
	return l.learn(ctx, examples, days)
}

// certified returns what answers now with its certificate, nil when it has none.
func (m *Month) certified(ctx context.Context) (*decider, error) {
	d, err := m.deployed(ctx)
	if err != nil || len(d.GetCertificates()) == 0 || !d.GetCertificates()[0].GetCertified() {
		return nil, err
	}
	v := d.GetChampion()
	stream, err := m.models.DownloadArtifact(ctx, &modelsv1.DownloadArtifactRequest{Model: v.GetModel(), Version: v.GetVersion()})
	if err != nil {
		return nil, err
	}
	var artifact []byte
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return newDecider(artifact, d.GetCertificates()[0].GetThreshold())
		}
		if err != nil {
			return nil, fmt.Errorf("download version %d: %w", v.GetVersion(), err)
		}
		artifact = append(artifact, piece.GetChunk()...)
	}
}
