package routing_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/decision/decisiontest"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/journal"
)

const inquiryText = "my laptop does not start anymore since the update yesterday, I cannot log in to the vpn and the meeting starts soon, please help me"

func trained(tb testing.TB) engine.Predictor {
	return decisiontest.TextModel(tb,
		[2]string{"hardware", "my laptop does not start"}, [2]string{"hardware", "the printer is broken"}, [2]string{"hardware", "screen of the laptop is black"},
		[2]string{"access", "I forgot my password"}, [2]string{"access", "please unlock my account"}, [2]string{"access", "password reset needed"},
		[2]string{"billing", "the invoice is wrong"}, [2]string{"billing", "I was charged twice"}, [2]string{"billing", "refund for the invoice"},
	)
}

func TestRouteWithATrainedModel(t *testing.T) {
	t.Parallel()
	d := &decisiontest.Deployment{Name: "support", Model: trained(t), Thresholds: map[string]float64{"": 0.3}}
	client := start(t, &decisiontest.Recorder{}, d)
	for body, want := range map[string]string{"laptop does not start": "hardware", "I forgot the password of my account": "access", "wrong invoice": "billing"} {
		res, err := client.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, l := range res.GetDecision().GetLabels() {
			sum += l.GetProbability()
		}
		if res.GetQueue() != want || sum < 0.999 || sum > 1.001 || len(res.GetAlternatives()) != 3 || res.GetDecision().GetModel().GetDigest() != d.Model.Info().Digest {
			t.Errorf("%q: %v", body, res)
		}
	}
}

// BenchmarkStreamAgainstUnary compares decisions per second that are durable in a real journal: 8 streams against 8 callers one by one.
func BenchmarkStreamAgainstUnary(b *testing.B) {
	j, err := journal.Open(b.TempDir(), journal.Default())
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	client := start(b, decision.NewJournalRecorder(j, journal.Default()), &decisiontest.Deployment{Name: "support", Model: trained(b)})
	const callers, round = 8, 300 * time.Millisecond
	var unary, stream float64
	rounds := 0
	for b.Loop() {
		unary += perSecond(b, callers, round, func(ctx context.Context, done *atomic.Int64) error {
			req := &routingv1.RouteInquiryRequest{Deployment: "support", Body: inquiryText}
			for ctx.Err() == nil {
				if _, err := client.RouteInquiry(context.Background(), req); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
		stream += perSecond(b, callers, round, func(ctx context.Context, done *atomic.Int64) error { return drive(ctx, client, done) })
		rounds++
	}
	b.ReportMetric(unary/float64(rounds), "unary/s")
	b.ReportMetric(stream/float64(rounds), "stream/s")
	b.ReportMetric(stream/unary, "ratio")
}

// drive sends inquiries on one stream until the context ends, and counts the answers.
func drive(ctx context.Context, client routingv1.RoutingServiceClient, done *atomic.Int64) error {
	s, err := client.StreamRouteInquiry(context.Background())
	if err != nil {
		return err
	}
	go func() {
		req := &routingv1.StreamRouteInquiryRequest{Deployment: "support", Item: &routingv1.InquiryItem{Body: inquiryText}}
		for ctx.Err() == nil && s.Send(req) == nil {
		}
		_ = s.CloseSend()
	}()
	for {
		if _, err := s.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if ctx.Err() == nil {
			done.Add(1)
		}
	}
}

func perSecond(b *testing.B, callers int, round time.Duration, run func(context.Context, *atomic.Int64) error) float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), round)
	defer cancel()
	var done atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if err := run(ctx, &done); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / round.Seconds()
}
