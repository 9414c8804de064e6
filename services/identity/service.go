// Package identity keeps projects and their API keys, and tells who calls. Of a key only the SHA-256 is stored; the key itself is
// shown once, when it is made.
package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Deps is what the service needs.
type Deps struct {
	// DB holds the tables.
	DB *db.DB
	// Config holds the limits; the zero value stands for Default.
	Config Config
	// Log receives what callers do not see; nil for none.
	Log *slog.Logger
	// Now tells the time; nil for time.Now.
	Now func() time.Time
}

// Service implements the IdentityService of the contract, and is the Authenticator of the process that it runs in.
type Service struct {
	identityv1.UnimplementedIdentityServiceServer

	store  *store
	config Config
	log    *slog.Logger
	now    func() time.Time
	known  keyring
	// changing makes a change of the tables and of known one step: of two changes to a key the later must win in both.
	changing sync.Mutex

	running sync.WaitGroup
	closing sync.Once
	closed  chan struct{}
}

var (
	_ identityv1.IdentityServiceServer = (*Service)(nil)
	_ auth.Authenticator               = (*Service)(nil)
)

// New returns the service. Call Start before the first request.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Config == (Config{}) {
		d.Config = Default()
	}
	return &Service{store: &store{db: d.DB}, config: d.Config, log: d.Log, now: d.Now, closed: make(chan struct{})}
}

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	identityv1.RegisterIdentityServiceServer(r, s)
}

// Start brings the tables up to date and reads the keys; from then on Authenticate asks no database. Close ends what Start began.
func (s *Service) Start(ctx context.Context) error {
	if err := s.config.Validate(); err != nil {
		return fmt.Errorf("start identity: %w", err)
	}
	if err := s.store.db.Migrate(ctx, "identity", steps); err != nil {
		return err
	}
	if err := s.store.db.Follow(ctx, topic, s.reload); err != nil { // before the keys are read: none falls in between
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.store.db.View(ctx, func(tx *db.Tx) error {
		return s.store.eachKey(tx, "", func(k *key) error {
			s.known.put(k)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	s.running.Go(s.followUse)
	return nil
}

// reload reads the keys of projects that another process has changed.
func (s *Service) reload(ctx context.Context, projects []string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	for _, project := range projects {
		keep := map[string]*key{}
		err := s.store.db.View(ctx, func(tx *db.Tx) error {
			return s.store.eachKey(tx, project, func(k *key) error { keep[k.id] = k; return nil })
		})
		if err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
		for _, k := range keep {
			s.known.put(k)
		}
		s.known.removeOthers(project, keep)
	}
	return nil
}

// Close writes down when keys were last used, for the last time. The database must still be open.
func (s *Service) Close() error {
	s.closing.Do(func() { close(s.closed) })
	s.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return s.writeLastUsed(ctx)
}

// followUse writes down now and then when keys were last used.
func (s *Service) followUse() {
	ctx := context.Background()
	tick := time.NewTicker(s.config.LastUsedInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.writeLastUsed(ctx); err != nil {
				s.log.WarnContext(ctx, "last use of keys could not be written", "error", err) // tried again at the next tick
			}
		case <-s.closed:
			return
		}
	}
}

func (s *Service) writeLastUsed(ctx context.Context) error {
	used := s.known.takeUsed()
	if len(used) == 0 {
		return nil
	}
	err := s.store.db.Tx(ctx, func(tx *db.Tx) error {
		for id, minute := range used {
			if err := s.store.setUsed(tx, id, minute); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.known.giveBack(used)
	}
	return err
}

// caller returns who calls, for handlers that act for a project.
func caller(ctx context.Context) (*auth.Caller, error) {
	c := auth.FromContext(ctx)
	if c == nil {
		return nil, fault.KeyMissing()
	}
	return c, nil
}

// member returns the caller when it belongs to a project.
func member(ctx context.Context) (*auth.Caller, error) {
	c, err := caller(ctx)
	if err == nil && c.Project == "" {
		err = fault.Internal(errors.New("the system calls for no project"))
	}
	return c, err
}
