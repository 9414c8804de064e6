package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/services/identity"
)

// clientFlags say which server a command asks, and as whom.
type clientFlags struct {
	server  string
	keyFile string
	local   bool
	dataDir string
	caFile  string
}

// register adds the flags.
func (f *clientFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.server, "server", "", "address of the server: unix:PATH or HOST:PORT (default $SWITCHYARD_SERVER, else the socket of ./switchyard-data, else 127.0.0.1:9090)")
	s.StringVar(&f.keyFile, "key-file", "", "file that holds the API key (default $SWITCHYARD_KEY, else ./switchyard-data/dev.key)")
	s.StringVar(&f.caFile, "ca-file", "", "certificates that a server beyond this machine is checked against (default those of the system)")
	s.StringVar(&f.dataDir, "data-dir", "switchyard-data", "data folder of a server on this machine")
	s.BoolVar(&f.local, "local", false, "work on the data folder directly, without a server; none may be running on it")
}

// connect returns a connection that carries the key, and what ends it.
func (f *clientFlags) connect(c *cobra.Command) (grpc.ClientConnInterface, func(), error) {
	if f.local {
		return f.connectLocal(c)
	}
	key, err := f.key()
	if err != nil {
		return nil, nil, err
	}
	address := f.address()
	options := mesh.DialOptions{Key: key, TLS: mesh.TLSFiles{CAFile: f.caFile}, UseTLS: f.caFile != "" || !isLocal(address)}
	conn, err := mesh.Dial(address, options)
	if err != nil {
		return nil, nil, err
	}
	return conn, func() { _ = conn.Close() }, nil
}

// connectLocal runs the product inside this process, without any listener.
func (f *clientFlags) connectLocal(c *cobra.Command) (grpc.ClientConnInterface, func(), error) {
	config := app.Default()
	config.DataDir = f.dataDir
	config.Target = []string{"moderation", "routing", "classification", "decisions", "models", "identity"}
	config.Telemetry.LogLevel = "error"
	a, err := app.Start(c.Context(), config, app.Options{Version: version, Log: c.ErrOrStderr(), NoListen: true})
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", f.dataDir, err)
	}
	conn, err := a.Conn("models")
	if err != nil {
		return nil, nil, err
	}
	closed := func() {
		if err := a.Close(); err != nil {
			slog.Error("close", "error", err)
		}
	}
	return asOwner{conn}, closed, nil
}

// asOwner calls with the rights of whoever owns the data folder: all of them.
type asOwner struct{ grpc.ClientConnInterface }

// Invoke calls as the owner.
func (o asOwner) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return o.ClientConnInterface.Invoke(owner(ctx), method, args, reply, opts...)
}

// NewStream calls as the owner.
func (o asOwner) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return o.ClientConnInterface.NewStream(owner(ctx), desc, method, opts...)
}

func owner(ctx context.Context) context.Context {
	return auth.WithCaller(ctx, &auth.Caller{Project: identity.DefaultProject, KeyID: "local", System: true})
}

func (f *clientFlags) address() string {
	if f.server != "" {
		return f.server
	}
	if s := os.Getenv("SWITCHYARD_SERVER"); s != "" {
		return s
	}
	socket := filepath.Join(f.dataDir, "switchyard.sock")
	if info, err := os.Stat(socket); err == nil && info.Mode()&os.ModeSocket != 0 {
		return "unix:" + socket
	}
	return "127.0.0.1:9090"
}

// isLocal says whether an address cannot leave this machine, so that no TLS is needed.
func isLocal(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func (f *clientFlags) key() (string, error) {
	path := f.keyFile
	if path == "" {
		if key := os.Getenv("SWITCHYARD_KEY"); key != "" {
			return strings.TrimSpace(key), nil
		}
		path = filepath.Join(f.dataDir, "dev.key")
	}
	data, err := os.ReadFile(path)
	if f.keyFile == "" && errors.Is(err, fs.ErrNotExist) {
		return "", nil // the server says that a key is missing, and the hint says how to name one
	}
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
