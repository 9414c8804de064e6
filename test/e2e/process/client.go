package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// key sends an API key with every call, as any gRPC client would.
type key string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (k key) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(k)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: tests stay on loopback.
func (key) RequireTransportSecurity() bool { return false }

// Dial connects to a target with a plain grpc-go client, not with the product's own. An empty key is not sent.
func Dial(target, apiKey string) (*grpc.ClientConn, error) {
	opts := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20))}
	if apiKey != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(key(apiKey)))
	}
	conn, err := grpc.NewClient(target, opts...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	return conn, nil
}

// Answer is what a REST call returned.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Post sends body to a path of the server with its key, as "curl -d" does.
func (s *Server) Post(ctx context.Context, path, body string) (Answer, error) {
	return s.Do(ctx, http.MethodPost, path, []byte(body), map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + s.Key})
}

// Get reads a path of the server with its key.
func (s *Server) Get(ctx context.Context, path string) (Answer, error) {
	return s.Do(ctx, http.MethodGet, path, nil, map[string]string{"Authorization": "Bearer " + s.Key})
}

// Do sends any request; header values are sent as they are.
func (s *Server) Do(ctx context.Context, method, path string, body []byte, header map[string]string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.HTTP+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: data}, err
}

// Command runs one of the binary's client commands against the server and returns what it wrote. A failure's error holds standard error.
func (s *Server) Command(ctx context.Context, bin string, args ...string) (stdout, stderr []byte, err error) {
	args = append(args, "--server", s.GRPC, "--key-file", s.KeyFile)
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("switchyard %s: %w\n%s", args[0], err, errs.Bytes())
	}
	return out.Bytes(), errs.Bytes(), err
}
