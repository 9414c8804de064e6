package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
)

// echo is a grpc-go server and nothing else: it receives the same requests and sends the same answer, encoded anew each time.
type echo struct {
	routingv1.UnimplementedRoutingServiceServer
	answer *routingv1.RouteInquiryResponse
}

// RouteInquiry answers every inquiry alike.
func (e echo) RouteInquiry(context.Context, *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
	return e.answer, nil
}

// jsonEcho is a net/http handler and nothing else, for the same messages as JSON.
func jsonEcho(answer *routingv1.RouteInquiryResponse) http.Handler {
	write := protojson.MarshalOptions{EmitDefaultValues: true}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var in routingv1.RouteInquiryRequest
		if err == nil {
			err = protojson.Unmarshal(body, &in)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := write.Marshal(answer)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(out)
	})
}

// serveRole is the other side of a measurement. It prints its address and serves until it is told to stop.
func serveRole(ctx context.Context, role, answerFile string) error {
	data, err := os.ReadFile(answerFile)
	if err != nil {
		return err
	}
	answer := &routingv1.RouteInquiryResponse{}
	if err := proto.Unmarshal(data, answer); err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	switch role {
	case "grpc":
		s := grpc.NewServer()
		routingv1.RegisterRoutingServiceServer(s, echo{answer: answer})
		context.AfterFunc(ctx, s.Stop)
		return s.Serve(ln)
	case "http":
		s := &http.Server{Handler: jsonEcho(answer), ReadHeaderTimeout: 5 * time.Second}
		context.AfterFunc(ctx, func() { _ = s.Close() })
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
	return fmt.Errorf("-role is %q, allowed are grpc and http", role)
}

// peer is the other side of a measurement: a child process that listens.
type peer struct {
	addr string
	cmd  *exec.Cmd
}

// startPeer starts this program again in the role.
func (b *bench) startPeer(ctx context.Context, role, answerFile string) (*peer, error) {
	cmd := exec.CommandContext(ctx, b.self, "-role", role, "-answer", answerFile)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{cmd: cmd}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start the other side: %w", err)
	}
	p.addr = strings.TrimSpace(line)
	return p, nil
}

func (p *peer) pid() int { return p.cmd.Process.Pid }

func (p *peer) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
