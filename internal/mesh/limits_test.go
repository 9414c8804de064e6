package mesh_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/mesh"
)

func TestProjectsAreLimitedInFlight(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 8), make(chan struct{})
	wait := func(ctx context.Context) error {
		entered <- struct{}{}
		select {
		case <-leave:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r := &router{
		route: func(ctx context.Context, _ *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
			return answer(), wait(ctx)
		},
		stream: func(s grpc.BidiStreamingServer[routingv1.StreamRouteInquiryRequest, routingv1.StreamRouteInquiryResponse]) error {
			return wait(s.Context())
		},
	}
	s := start(t, options{register: routing(r), config: func(c *mesh.Config) { c.Limits = mesh.Limits{InFlight: 2} }})
	c := routingv1.NewRoutingServiceClient(s.tcp)
	ctx, cancel := context.WithTimeout(withKey(keyAll), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.RouteInquiry(ctx, inquiry()); err != nil {
			t.Error(err)
		}
	})
	stream, err := c.StreamRouteInquiry(ctx) // a stream takes a place too
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	<-entered
	_, err = c.RouteInquiry(ctx, inquiry())
	if f := fault.From(err); f == nil || f.ReasonName() != "CONCURRENCY_LIMITED" || f.Retry() <= 0 || f.Metadata("limit") != "2" {
		t.Errorf("third call: %v", err)
	}
	second, err := c.StreamRouteInquiry(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.Recv()
	wantReason(t, err, "CONCURRENCY_LIMITED")
	_, err = routingv1.NewRoutingServiceClient(s.Conn()).RouteInquiry(ctx, inquiry())
	wantReason(t, err, "CONCURRENCY_LIMITED")
	other := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(withKey(keyOther), time.Minute)
		defer cancel()
		_, err := c.RouteInquiry(ctx, inquiry())
		other <- err
	}()
	<-entered // another project is not affected
	close(leave)
	wg.Wait()
	if err := <-other; err != nil {
		t.Errorf("other project: %v", err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("stream: %v", err)
	}
	if _, err := c.RouteInquiry(ctx, inquiry()); err != nil {
		t.Errorf("after the others ended: %v", err)
	}
}

func TestProjectsAreLimitedInRate(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: routing(echoRouter()), config: func(c *mesh.Config) { c.Limits = mesh.Limits{PerSecond: 0.1, Burst: 3} }})
	c := routingv1.NewRoutingServiceClient(s.tcp)
	for range 3 {
		if _, err := c.RouteInquiry(withKey(keyAll), inquiry()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.RouteInquiry(withKey(keyAll), inquiry())
	if f := fault.From(err); f == nil || f.ReasonName() != "RATE_LIMITED" || f.Retry() < time.Second || f.Retry() > 10*time.Second {
		t.Errorf("fourth call: %v, retry after %v", err, f.Retry())
	}
	if _, err := c.RouteInquiry(withKey(keyOther), inquiry()); err != nil {
		t.Errorf("other project: %v", err)
	}
	for range 5 {
		if _, err := routingv1.NewRoutingServiceClient(s.Conn()).RouteInquiry(mesh.AsSystem(t.Context()), inquiry()); err != nil {
			t.Errorf("system: %v", err)
		}
	}
}

func TestStreamsAreSlowedDownNotRefused(t *testing.T) {
	t.Parallel()
	s := start(t, options{config: func(c *mesh.Config) { c.Limits = mesh.Limits{PerSecond: 100, Burst: 5} }, register: routing(echoStream())})
	key := map[string]string{"tcp": keyAll, "in process": keyOther} // a stream begins with a call, which can be refused
	for via, conn := range s.conns() {
		stream, err := routingv1.NewRoutingServiceClient(conn).StreamRouteInquiry(withKey(key[via]))
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for range 30 {
			if err := stream.Send(&routingv1.StreamRouteInquiryRequest{}); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took < 150*time.Millisecond {
			t.Errorf("30 messages at 100 per second took %v", took)
		}
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
	}
}

// echoStream answers each message of a stream with one.
func echoStream() *router {
	r := echoRouter()
	r.stream = func(s grpc.BidiStreamingServer[routingv1.StreamRouteInquiryRequest, routingv1.StreamRouteInquiryResponse]) error {
		for i := int64(0); ; i++ {
			_, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := s.Send(&routingv1.StreamRouteInquiryResponse{Index: i}); err != nil {
				return err
			}
		}
	}
	return r
}

func TestLimitsRememberABoundedNumberOfProjects(t *testing.T) {
	t.Parallel()
	if n := mesh.TenantsAfter(3*mesh.MaxTenants, strconv.Itoa); n > mesh.MaxTenants {
		t.Errorf("%d projects are remembered, bound is %d", n, mesh.MaxTenants)
	}
}
