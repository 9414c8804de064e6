package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

const (
	// connections that gRPC callers share: a service of some replicas.
	connections = 4
	grpcCallers = 64
	streams     = 8
)

// requests returns one message for each text, made beforehand: making them is not what is measured.
func requests(texts []string, deployment string) []*routingv1.RouteInquiryRequest {
	var all []*routingv1.RouteInquiryRequest
	for _, t := range texts {
		all = append(all, &routingv1.RouteInquiryRequest{Deployment: deployment, Body: t})
	}
	return all
}

// unary calls RouteInquiry from so many callers.
func unary(conns []*grpc.ClientConn, all []*routingv1.RouteInquiryRequest, callers int, m *meter) side {
	var clients []routingv1.RoutingServiceClient
	for _, c := range conns {
		clients = append(clients, routingv1.NewRoutingServiceClient(c))
	}
	return m.measure(func(ctx context.Context, window time.Duration) (float64, error) {
		return call(ctx, callers, window, func(ctx context.Context, worker int, i int64) error {
			_, err := clients[worker%len(clients)].RouteInquiry(ctx, all[(int64(worker)*7919+i)%int64(len(all))])
			return err
		})
	})
}

func measureGRPC(ctx context.Context, b *bench) error {
	s, err := b.product(ctx)
	if err != nil {
		return err
	}
	other, err := b.startPeer(ctx, "grpc", s.answer)
	if err != nil {
		return err
	}
	defer other.stop()
	var echoes []*grpc.ClientConn
	for range connections {
		conn, err := process.Dial(other.addr, s.server.Key)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		echoes = append(echoes, conn)
	}
	for _, mode := range []struct {
		deployment, name string
		figure           float64
	}{{recordAsync, "async", 0.50}, {recordSync, "sync", 0.35}} {
		all := requests(s.texts, mode.deployment)
		ours, theirs := &meter{pid: s.server.PID()}, &meter{pid: other.pid()}
		c, err := b.compare(ctx, unary(s.conns, all, grpcCallers, ours), unary(echoes, all, grpcCallers, theirs))
		if err != nil {
			return err
		}
		basis := c.basis("RouteInquiry", "bare grpc-go echo") + cost(ours, theirs)
		b.table.atLeast("`RouteInquiry` over gRPC, 64 callers, record "+mode.name, c.ratio(), mode.figure, basis, command("grpc"))
	}
	return nil
}

// streamed routes texts over so many streams at once, each with as many unanswered messages as flow control allows.
func streamed(conns []*grpc.ClientConn, texts []string, deployment string, m *meter) side {
	return m.measure(func(ctx context.Context, window time.Duration) (float64, error) {
		ctx, cancel := context.WithTimeout(ctx, window+time.Minute)
		defer cancel()
		type result struct {
			answers int64
			err     error
		}
		results := make(chan result, streams)
		start := time.Now()
		for i := range streams {
			go func() {
				n, err := oneStream(ctx, routingv1.NewRoutingServiceClient(conns[i%len(conns)]), texts, deployment, start.Add(window))
				results <- result{n, err}
			}()
		}
		var total int64
		var errs []error
		for range streams {
			r := <-results
			total += r.answers
			errs = append(errs, r.err)
		}
		return float64(total) / time.Since(start).Seconds(), errors.Join(errs...)
	})
}

// oneStream sends until the deadline and counts the answers that came.
func oneStream(ctx context.Context, client routingv1.RoutingServiceClient, texts []string, deployment string, deadline time.Time) (int64, error) {
	stream, err := client.StreamRouteInquiry(ctx)
	if err != nil {
		return 0, err
	}
	sent := make(chan error, 1)
	go func() {
		defer func() { _ = stream.CloseSend() }()
		for i := 0; i < maxCalls && time.Now().Before(deadline); i++ {
			err := stream.Send(&routingv1.StreamRouteInquiryRequest{Deployment: deployment, Item: &routingv1.InquiryItem{Body: texts[i%len(texts)]}})
			if err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	var n int64
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, <-sent
		}
		if err != nil {
			return n, err
		}
		if e := r.GetResult().GetError(); e != nil {
			return n, fmt.Errorf("stream item %d: %s %s", r.GetIndex(), e.GetReason(), e.GetMessage())
		}
		n++
	}
}

func measureStream(ctx context.Context, b *bench) error {
	s, err := b.product(ctx)
	if err != nil {
		return err
	}
	all := requests(s.texts, recordAsync)
	for _, callers := range []int{streams, grpcCallers} {
		ours, theirs := &meter{pid: s.server.PID()}, &meter{pid: s.server.PID()}
		c, err := b.compare(ctx, streamed(s.conns, s.texts, recordAsync, ours), unary(s.conns, all, callers, theirs))
		if err != nil {
			return err
		}
		r := row{
			what: fmt.Sprintf("streaming texts over 8 streams against unary with %d callers, record async", callers), measured: fmt.Sprintf("%.2f ×", c.ratio()),
			basis: c.basis("streams", "unary") + cost(ours, theirs), command: command("stream"),
		}
		if callers == streams {
			r.figure, r.met = "≥ 2.00 ×", c.ratio() >= 2
		}
		b.table.add(r)
	}
	return nil
}
