package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"
)

const (
	// flushTimeout bounds how long a shutdown waits for telemetry that is not sent yet.
	flushTimeout = 2 * time.Second
	// drainNotice is how long a process that is not ready any more goes on taking calls.
	drainNotice = 100 * time.Millisecond
	// relayTimeout bounds how long a shutdown lets the relay catch up. What it does not carry stays in the journal.
	relayTimeout = 2 * time.Second
)

// listen opens every address; connections wait until Run.
func (a *App) listen(ctx context.Context) error {
	if err := a.server.Listen(); err != nil {
		return err
	}
	if a.http == nil {
		return nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.config.HTTP)
	if err != nil {
		return err
	}
	if a.config.HTTPTLS.CertFile != "" {
		config, err := a.config.HTTPTLS.HTTPServer()
		if err != nil {
			return err
		}
		ln = tls.NewListener(ln, config)
	}
	a.httpLn = ln
	return nil
}

// Addresses are where the product listens, for people and for tests. Empty where it does not.
type Addresses struct{ GRPC, HTTP, Socket string }

// Addresses returns where the product listens.
func (a *App) Addresses() Addresses {
	out := Addresses{Socket: a.config.GRPC.Socket}
	if addr := a.server.Addr(); addr != nil {
		out.GRPC = addr.String()
	}
	if a.httpLn != nil {
		out.HTTP = a.httpLn.Addr().String()
	}
	return out
}

// Run answers calls until ctx ends or a listener fails, then drains: calls in flight are answered, and nothing acknowledged is lost.
func (a *App) Run(ctx context.Context) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	a.server.SetServing("", true)
	for name := range a.server.GetServiceInfo() {
		a.server.SetServing(name, true)
	}
	if a.jobs != nil {
		a.jobs.Run()
	}
	a.runTraining()
	failed := make(chan error, 2)
	grpcDone := make(chan struct{})
	go func() {
		defer close(grpcDone)
		if err := a.server.Serve(serving); err != nil {
			failed <- fmt.Errorf("serve gRPC: %w", err)
		}
	}()
	if a.httpLn != nil {
		go func() {
			if err := a.http.Serve(a.httpLn); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve HTTP: %w", err)
			}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	return errors.Join(err, a.drain(stop, grpcDone))
}

// drain ends the gateway first, because its calls need the services.
func (a *App) drain(stop context.CancelFunc, grpcDone <-chan struct{}) error {
	a.log.Info("draining")
	a.draining.Store(true)
	a.server.SetServing("", false)
	// Balancers need a moment to notice, and connections that the kernel has taken already would be reset by closing the listener.
	time.Sleep(drainNotice)
	if a.models != nil {
		a.models.Close() // watches never end by themselves
	}
	if a.events != nil {
		a.events.Close() // and neither do subscriptions
	}
	if a.review != nil {
		a.review.Close()
	}
	a.drainJobs()
	a.drainTraining()
	var err error
	if a.httpLn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), a.config.GRPC.DrainTimeout)
		defer cancel()
		if err = a.http.Shutdown(ctx); err != nil {
			err = errors.Join(fmt.Errorf("drain HTTP: %w", err), a.http.Close())
		}
	}
	stop()
	<-grpcDone
	return err
}

// Close ends everything in the reverse order of starting. It is called after Run, or without it.
func (a *App) Close() error {
	var errs []error
	if a.models != nil {
		a.models.Close()
	}
	if a.events != nil {
		a.events.Close()
	}
	if a.stop != nil {
		a.stop()
	}
	if a.stopRelay != nil {
		a.catchUp()
		a.stopRelay()
	}
	errs = append(errs, a.background.Wait())
	for _, peer := range a.peers {
		errs = append(errs, peer.Close())
	}
	for _, close := range slices.Backward(a.closers) {
		errs = append(errs, close())
	}
	if a.httpLn != nil {
		if err := a.httpLn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// catchUp lets the relays carry what is left, for a moment.
func (a *App) catchUp() {
	deadline := time.After(relayTimeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for a.bus.Ready() && a.lag() {
		select {
		case <-deadline:
			return
		case <-tick.C:
		}
	}
}

// firstUse makes what a fresh installation needs: a project with a development key, and starter models.
func (a *App) firstUse(ctx context.Context) error {
	if a.identity != nil {
		if err := a.developmentKey(ctx); err != nil {
			return fmt.Errorf("make the development key: %w", err)
		}
	}
	if a.models != nil && a.config.Starter {
		if err := a.deployStarters(ctx); err != nil {
			return fmt.Errorf("deploy the starter models: %w", err)
		}
	}
	return nil
}

// developmentKey sees to it that a first start has a key. With a file, the file holds a valid key afterwards: the one that it
// holds already, or a new one. Without, the key of a first start is shown once.
func (a *App) developmentKey(ctx context.Context) error {
	key, created, err := a.identity.Bootstrap(ctx)
	if err != nil {
		return err
	}
	path := a.config.DevKeyFile
	if path == "" {
		a.DevKey = key
		return nil
	}
	if !created {
		if a.holdsValidKey(ctx, path) {
			return nil
		}
		if key, err = a.identity.NewDevelopmentKey(ctx); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(key+"\n"), 0o600)
}

func (a *App) holdsValidKey(ctx context.Context, path string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	_, err = a.identity.Authenticate(ctx, trimKey(data))
	return err == nil
}
