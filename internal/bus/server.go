package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// embedded is the server inside this process. The connection asks it for the server of the moment, so it outlives restarts.
type embedded struct {
	mu  sync.Mutex
	srv *server.Server
}

// InProcessConn connects to the running server.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	srv := e.srv
	e.mu.Unlock()
	if srv == nil {
		return nil, ErrNotReady
	}
	return srv.InProcessConn()
}

// start starts a server unless one is running.
func (e *embedded) start(dir string, c Config, log *slog.Logger) error {
	e.mu.Lock()
	running := e.srv != nil
	e.mu.Unlock()
	if running {
		return nil
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "switchyard-embedded", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: dir, JetStreamMaxMemory: 64 << 20,
		// The stream reserves its MaxBytes; the rest is for consumers and for batches that are being taken in.
		JetStreamMaxStore: c.MaxBytes + c.MaxBytes/4 + 64<<20,
		// Without it a message is acknowledged up to two minutes before it is on disk.
		SyncAlways: true,
		MaxPayload: c.MessageBytes, MaxPending: max(64<<20, 4*int64(c.MessageBytes)),
	})
	if err != nil {
		return fmt.Errorf("start embedded server: %w", err)
	}
	srv.SetLoggerV2(serverLog{log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(c.AckTimeout) || !srv.JetStreamEnabled() {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("start embedded server: %w", errors.New("JetStream is not available; the server's log says why"))
	}
	e.mu.Lock()
	e.srv = srv
	e.mu.Unlock()
	return nil
}

// stop ends the server, waits for it, and says whether there was one.
func (e *embedded) stop() bool {
	e.mu.Lock()
	srv := e.srv
	e.srv = nil
	e.mu.Unlock()
	if srv == nil {
		return false
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	return true
}

// illness says what is wrong with the server, "" when nothing is.
func (e *embedded) illness() string {
	e.mu.Lock()
	srv := e.srv
	e.mu.Unlock()
	switch {
	case srv == nil:
		return ""
	case !srv.Running():
		return "the server stopped"
	case !srv.JetStreamEnabled():
		return "JetStream was disabled"
	}
	if h := srv.Healthz(&server.HealthzOptions{}); h.Error != "" {
		return h.Error
	}
	return ""
}

// serverLog passes on what an operator should see. The server reports each start at length, which is of interest only when debugging.
type serverLog struct{ log *slog.Logger }

func (l serverLog) write(level slog.Level, format string, args []any) {
	if ctx := context.Background(); l.log.Enabled(ctx, level) {
		r := slog.NewRecord(time.Now(), level, "embedded nats-server: "+fmt.Sprintf(format, args...), 0)
		_ = l.log.Handler().Handle(ctx, r)
	}
}

// Noticef logs at debug level.
func (l serverLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Warnf logs a warning.
func (l serverLog) Warnf(format string, v ...any) { l.write(slog.LevelWarn, format, v) }

// Fatalf logs an error; the watchdog, not the server, decides what happens then.
func (l serverLog) Fatalf(format string, v ...any) { l.write(slog.LevelError, format, v) }

// Errorf logs an error.
func (l serverLog) Errorf(format string, v ...any) { l.write(slog.LevelError, format, v) }

// Debugf logs at debug level.
func (l serverLog) Debugf(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Tracef does nothing: traces hold payloads.
func (serverLog) Tracef(string, ...any) {}
