package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Listen opens the configured addresses; connections wait until Serve.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners != nil {
		return errors.New("mesh: listens already")
	}
	opened := []listener{}
	if s.config.Address != "" {
		l, err := s.openTCP()
		if err != nil {
			return fmt.Errorf("mesh: %w", err)
		}
		opened = append(opened, l)
	}
	if s.config.Socket != "" {
		l, err := listenUnix(s.config)
		if err != nil {
			for _, o := range opened {
				_ = o.Close()
			}
			return fmt.Errorf("mesh: %w", err)
		}
		opened = append(opened, listener{Listener: l})
	}
	s.listeners = opened
	return nil
}

func (s *Server) openTCP() (listener, error) {
	var out listener
	if s.config.TLS.CertFile != "" {
		k, err := openKeyring(s.config.TLS)
		if err != nil {
			return out, err
		}
		out.creds = credentials.NewTLS(k.server())
	}
	l, err := listenTCP(s.config)
	out.Listener = l
	return out, err
}

// Addr returns the TCP address that Listen opened, nil when there is none.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if _, ok := l.Addr().(*net.TCPAddr); ok {
			return l.Addr()
		}
	}
	return nil
}

// Serve answers calls until ctx ends, then drains: health checks fail, no connection and no call begins, calls in flight have
// DrainTimeout to end, streams that only wait end at once. It returns nil after an orderly end, also when the time was not enough for
// all. Without addresses it serves Conn only.
func (s *Server) Serve(ctx context.Context) error {
	s.mu.Lock()
	if s.listeners == nil {
		s.mu.Unlock()
		return errors.New("mesh: Serve before Listen")
	}
	if _, err := s.rules(); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("mesh: %w", err)
	}
	var group errgroup.Group
	failed := make(chan struct{}, len(s.listeners))
	for _, l := range s.listeners {
		g := s.newGRPC(l.creds)
		s.servers = append(s.servers, g)
		group.Go(func() error {
			err := g.Serve(l.Listener)
			if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				failed <- struct{}{}
				return fmt.Errorf("mesh: serve %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-failed:
	}
	s.shutdown()
	return group.Wait()
}

// shutdown drains all servers and the connection inside the process.
func (s *Server) shutdown() {
	s.drain.begun.Store(true)
	s.health.Shutdown()
	began := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var group errgroup.Group
		for _, g := range s.servers {
			group.Go(func() error { g.GracefulStop(); return nil })
		}
		_ = group.Wait()
		s.local.wait()
	}()
	tick := time.NewTicker(idleWatch / 2)
	defer tick.Stop()
	timeout := time.NewTimer(s.config.DrainTimeout)
	defer timeout.Stop()
	for {
		select {
		case <-done:
			s.drain.stopped.Store(true)
			s.log.Info("drained", "seconds", time.Since(began).Seconds())
			return
		case now := <-tick.C:
			s.drain.endIdle(now)
		case <-timeout.C:
			s.log.Warn("calls in flight are cut off: they did not end in time", "drain_timeout", s.config.DrainTimeout.String())
			s.abort(done)
			return
		}
	}
}

// abort closes what is left. Handlers see their contexts end; one that does not listen is left behind.
func (s *Server) abort(done <-chan struct{}) {
	s.drain.stopped.Store(true)
	s.local.cancelAll()
	for _, g := range s.servers {
		go g.Stop() // waits for handlers, like GracefulStop
	}
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		s.log.Error("handlers do not end although their calls are over")
	}
}
