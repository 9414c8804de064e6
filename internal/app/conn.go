package app

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/internal/mesh"
)

// Conn returns the connection to a service: inside the process when it runs here, to its peer when it does not. This is the
// whole difference between one process and ten.
func (a *App) Conn(service string) (grpc.ClientConnInterface, error) {
	if a.config.runs(service) {
		return a.server.Conn(), nil
	}
	a.connsMu.Lock()
	defer a.connsMu.Unlock()
	if conn := a.conns[service]; conn != nil {
		return conn, nil
	}
	address := a.config.Peers[service]
	if address == "" {
		return nil, fmt.Errorf("%s runs neither here nor at an address in peers", service)
	}
	key, err := a.peerKey()
	if err != nil {
		return nil, err
	}
	conn, err := mesh.Dial(address, mesh.DialOptions{
		TLS: a.config.PeerTLS, Key: key, Forward: true, TracerProvider: a.tel.TracerProvider(),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", service, err)
	}
	a.conns[service], a.peers[service] = conn, conn
	return conn, nil
}

// peerKey returns the key that this process calls peers with when it does not forward a caller's.
func (a *App) peerKey() (string, error) {
	if a.config.PeerKeyFile == "" {
		return "", nil
	}
	data, err := os.ReadFile(a.config.PeerKeyFile)
	if err != nil {
		return "", fmt.Errorf("read peer_key_file: %w", err)
	}
	return trimKey(data), nil
}

// asSystem makes every call through a connection one of the product itself.
type asSystem struct{ grpc.ClientConnInterface }

// Invoke calls as the system.
func (s asSystem) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return s.ClientConnInterface.Invoke(mesh.AsSystem(ctx), method, args, reply, opts...)
}

// NewStream calls as the system.
func (s asSystem) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return s.ClientConnInterface.NewStream(mesh.AsSystem(ctx), desc, method, opts...)
}
