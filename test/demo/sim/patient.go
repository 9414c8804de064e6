package sim

import (
	"context"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	keyHeader = "idempotency-key"
	// tries and firstPause bound how long a call is tried, with pauses that double: some seconds. A busy machine answers late, not never.
	tries      = 7
	firstPause = 50 * time.Millisecond
)

// patient is a connection as a good client has it: every change carries an idempotency key, and a call that was not answered in time is sent again with it. The product promises that it happens once.
type patient struct {
	grpc.ClientConnInterface
	again *atomic.Int64 // calls that were sent again
}

// Invoke calls until there is an answer.
func (p patient) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if md, _ := metadata.FromOutgoingContext(ctx); len(md.Get(keyHeader)) == 0 && changes(path.Base(method)) {
		ctx = metadata.AppendToOutgoingContext(ctx, keyHeader, uuid.NewString())
	}
	return p.retry(ctx, func() (bool, error) {
		err := p.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
		code := status.Code(err)
		return code == codes.DeadlineExceeded || code == codes.Unavailable, err
	})
}

// changes says whether a method changes what must not be changed twice. A lease that nobody took up ends by itself.
func changes(method string) bool {
	for _, prefix := range []string{"Get", "List", "Lease"} {
		if strings.HasPrefix(method, prefix) {
			return false
		}
	}
	return true
}

// retry calls do until it says that there is an answer.
func (p patient) retry(ctx context.Context, do func() (late bool, err error)) error {
	for pause, n := firstPause, 1; ; pause, n = 2*pause, n+1 {
		late, err := do()
		if !late || n == tries || ctx.Err() != nil {
			return err
		}
		p.again.Add(1)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// answersLate says whether a status of REST means that the call may be sent again.
func answersLate(code int) bool {
	return code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout
}
