package sim

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// late answers each call with the errors in turn, and remembers the keys that came.
type late struct {
	grpc.ClientConnInterface
	errs []error
	keys []string
}

func (l *late) Invoke(ctx context.Context, _ string, _, _ any, _ ...grpc.CallOption) error {
	md, _ := metadata.FromOutgoingContext(ctx)
	l.keys = append(l.keys, strings.Join(md.Get(keyHeader), ","))
	err := l.errs[0]
	l.errs = l.errs[1:]
	return err
}

func TestALateCallIsSentAgainWithItsKey(t *testing.T) {
	t.Parallel()
	deadline, refused := status.Error(codes.DeadlineExceeded, "late"), status.Error(codes.FailedPrecondition, "no")
	conn := &late{errs: []error{deadline, deadline, nil, refused, nil, nil}}
	p := patient{conn, &atomic.Int64{}}
	if err := p.Invoke(t.Context(), "/switchyard.review.v1.ReviewService/SubmitVerdict", nil, nil); err != nil {
		t.Fatal(err)
	}
	if k := conn.keys; len(k) != 3 || k[0] == "" || k[1] != k[0] || k[2] != k[0] || p.again.Load() != 2 {
		t.Errorf("keys %q, %d sent again", k, p.again.Load())
	}
	if err := p.Invoke(t.Context(), "/switchyard.review.v1.ReviewService/UndoVerdict", nil, nil); !errors.Is(err, refused) || len(conn.keys) != 4 || conn.keys[3] == conn.keys[0] {
		t.Errorf("a refusal is an answer: %v, keys %q", err, conn.keys)
	}
	own := metadata.AppendToOutgoingContext(t.Context(), keyHeader, "mine")
	for _, call := range []struct {
		ctx         context.Context //nolint:containedctx // of a case
		method, key string
	}{{t.Context(), "/s/GetQueue", ""}, {own, "/s/RouteInquiry", "mine"}} {
		if err := p.Invoke(call.ctx, call.method, nil, nil); err != nil || conn.keys[len(conn.keys)-1] != call.key {
			t.Errorf("%s: %v, key %q", call.method, err, conn.keys[len(conn.keys)-1])
		}
	}
}
