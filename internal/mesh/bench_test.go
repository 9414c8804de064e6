package mesh_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

func answer() *routingv1.RouteInquiryResponse {
	return &routingv1.RouteInquiryResponse{Decision: &commonv1.Decision{
		DecisionId: "0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42", Project: "acme", Deployment: "support",
		Outcome: commonv1.Outcome_OUTCOME_AUTOMATED, Labels: []*commonv1.LabelProbability{{Label: "printer", Probability: 0.97}},
		ChosenLabels: []string{"printer"}, Model: &commonv1.ModelRef{Name: "support", Version: 3, Digest: "sha256:0190c6f2"},
	}}
}

func echoRouter() *router {
	a := answer()
	return &router{route: func(context.Context, *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		return a, nil
	}}
}

// bare starts grpc-go as it comes, with the same service.
func bare(tb testing.TB) *grpc.ClientConn {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	g := grpc.NewServer()
	routingv1.RegisterRoutingServiceServer(g, echoRouter())
	go func() { _ = g.Serve(l) }()
	tb.Cleanup(g.Stop)
	return plain(tb, l.Addr().String())
}

// callers is how many call at once.
const callers = 64

// load has callers call for d and returns calls per second, and per second of this process's CPU time: at full load the two tell the
// same, but the second does not depend on what else the machine does.
func load(tb testing.TB, conn grpc.ClientConnInterface, d time.Duration) (perSecond, perCPUSecond float64) {
	tb.Helper()
	cpu := cpuTime(tb)
	client := routingv1.NewRoutingServiceClient(conn)
	ctx, cancel := context.WithTimeout(withKey(keyAll), time.Minute)
	defer cancel()
	var stop atomic.Bool
	var calls atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range callers {
		wg.Go(func() {
			in := inquiry()
			for !stop.Load() {
				if _, err := client.RouteInquiry(ctx, in); err != nil {
					tb.Error(err)
					return
				}
				calls.Add(1)
			}
		})
	}
	time.Sleep(d)
	stop.Store(true)
	wg.Wait()
	n := float64(calls.Load())
	return n / time.Since(begin).Seconds(), n / (cpuTime(tb) - cpu).Seconds()
}

func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkChainAgainstEcho compares the whole chain (keys, scopes, limits, validation, metrics) with a bare grpc-go server that
// answers the same messages: five alternating rounds, medians.
func BenchmarkChainAgainstEcho(b *testing.B) {
	s := start(b, options{
		register: func(s *mesh.Server) { routingv1.RegisterRoutingServiceServer(s, echoRouter()) },
		deps:     func(d *mesh.Deps) { d.Logger = quiet(b) },
	})
	echo := bare(b)
	const round = 700 * time.Millisecond
	load(b, s.tcp, round/2)
	load(b, echo, round/2)
	b.ResetTimer()
	for range b.N {
		var wall, cpu, ours, theirs []float64
		for range 5 {
			a, aCPU := load(b, s.tcp, round)
			e, eCPU := load(b, echo, round)
			wall, cpu = append(wall, a/e), append(cpu, aCPU/eCPU)
			ours, theirs = append(ours, aCPU), append(theirs, eCPU)
		}
		b.ReportMetric(median(wall), "ratio")
		b.ReportMetric(median(cpu), "cpu-ratio")
		b.ReportMetric(median(ours), "chain/cpu-s")
		b.ReportMetric(median(theirs), "echo/cpu-s")
	}
}

func quiet(tb testing.TB) *slog.Logger {
	tb.Helper()
	tel, err := telemetry.New(telemetry.Default(), telemetry.Options{Log: &logBuffer{}})
	if err != nil {
		tb.Fatal(err)
	}
	return tel.Logger()
}

func unlimited(c *mesh.Config) { c.Limits.PerSecond = 1e9 }

// BenchmarkInProcess is one unary call inside the process, through the whole chain.
func BenchmarkInProcess(b *testing.B) {
	s := start(b, options{config: unlimited, register: routing(echoRouter()), deps: func(d *mesh.Deps) { d.Logger = quiet(b) }})
	invoke(b, s.Conn())
}

// BenchmarkInProcessGrpchan is the same call through grpchan's in-process channel without any middleware.
func BenchmarkInProcessGrpchan(b *testing.B) {
	var ch inprocgrpc.Channel
	routingv1.RegisterRoutingServiceServer(&ch, echoRouter())
	invoke(b, &ch)
}

// BenchmarkLoopback is the same call over loopback TCP, one caller.
func BenchmarkLoopback(b *testing.B) {
	s := start(b, options{register: func(s *mesh.Server) { routingv1.RegisterRoutingServiceServer(s, echoRouter()) }})
	invoke(b, s.tcp)
}

func invoke(b *testing.B, conn grpc.ClientConnInterface) {
	client := routingv1.NewRoutingServiceClient(conn)
	ctx, in := withKey(keyAll), inquiry()
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		if _, err := client.RouteInquiry(ctx, in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/op")
}

// BenchmarkMiddleware measures the chain cut off after each link, so that the difference of two lines is one link's cost.
func BenchmarkMiddleware(b *testing.B) {
	s := start(b, options{
		register: func(s *mesh.Server) { routingv1.RegisterRoutingServiceServer(s, echoRouter()) },
		config:   unlimited, deps: func(d *mesh.Deps) { d.Logger = quiet(b) },
	})
	for n := range len(s.Chain()) + 1 {
		name := "none"
		if n > 0 {
			name = s.Chain()[n-1].Name
		}
		b.Run(fmt.Sprintf("%d-%s", n, name), func(b *testing.B) {
			b.ReportAllocs()
			cpu := cpuTime(b)
			mesh.BenchPrefix(b, s.Server, n, withIncoming(keyAll), inquiry())
			b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/op")
		})
	}
}

func withIncoming(key string) context.Context {
	return metadata.NewIncomingContext(context.Background(), metadata.Pairs(
		"authorization", "Bearer "+key, ":authority", "localhost", "content-type", "application/grpc", "user-agent", "grpc-go"))
}
