package contract

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/internal/auth"
)

// split sends each call to the process that serves it.
type split struct{ front, back grpc.ClientConnInterface }

func (s split) pick(method string) grpc.ClientConnInterface {
	for _, service := range []string{".models.", ".identity.", ".training."} {
		if strings.Contains(method, service) {
			return s.back
		}
	}
	return s.front
}

// Invoke calls where the service runs.
func (s split) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return s.pick(method).Invoke(ctx, method, args, reply, opts...)
}

// NewStream calls where the service runs.
func (s split) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return s.pick(method).NewStream(ctx, desc, method, opts...)
}

// wrongKey is a key that is well formed and was never issued.
func wrongKey(t interface{ Fatal(...any) }) string {
	key, _, _, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
