package monitoring

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

const (
	firstWait = 100 * time.Millisecond
	longWait  = 10 * time.Second
)

// follow follows the deployments of all projects until ctx ends, and opens the watch again when it breaks. Until it is there, and while it is away, what was known stays known.
func (s *Service) follow(ctx context.Context) {
	for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, longWait) {
		begin := time.Now()
		err := s.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begin) > longWait {
			wait = firstWait // it worked for a while: not the same trouble
		}
		s.log.DebugContext(ctx, "watch of deployments broke, will open it again", "error", err, "wait", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (s *Service) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.system.WatchDeployments(ctx, &modelsv1.WatchDeploymentsRequest{AllProjects: true})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if d := m.GetDeployment(); d != nil {
			if err := s.Learn(ctx, d); err != nil {
				s.log.WarnContext(ctx, "a deployment could not be noted, will watch again", "deployment", d.GetName(), "error", err)
				return err
			}
		}
	}
}

// Learn notes what a deployment promises now. What is older than what is known has no effect.
func (s *Service) Learn(ctx context.Context, d *modelsv1.Deployment) error {
	k := key{d.GetProject(), int32(d.GetOperation()), d.GetName()}
	stops := false
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		old, err := loadDeployment(tx, k)
		if err != nil || old.GetRevision() >= d.GetRevision() {
			return err
		}
		message, err := proto.Marshal(d)
		if err != nil {
			return fmt.Errorf("encode deployment: %w", err)
		}
		_, err = tx.Exec(`INSERT INTO monitoring_deployments (project, operation, deployment, revision, message) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (project, operation, deployment) DO UPDATE SET revision = excluded.revision, message = excluded.message`,
			k.project, k.operation, k.deployment, d.GetRevision(), message)
		if err != nil {
			return err
		}
		for _, c := range d.GetCertificates() {
			stop, err := s.learnCertificate(tx, k, old, d, c)
			if err != nil {
				return err
			}
			stops = stops || stop
		}
		stop, err := s.learnTrials(tx, k, d)
		stops = stops || stop
		return err
	})
	if err != nil {
		return fmt.Errorf("learn of deployment %s: %w", d.GetName(), err)
	}
	if stops {
		s.signal()
	}
	return nil
}

// learnCertificate gives a certificate its root, and begins the audits anew where somebody let automation go on. It says whether automation has to be stopped, which is so when the
// root is that of a promise that was broken before: going back to an old version does not make it true.
func (s *Service) learnCertificate(tx *db.Tx, k key, old, d *modelsv1.Deployment, c *modelsv1.Certificate) (stops bool, err error) {
	now := db.Micros(s.now())
	root, err := s.learnRoot(tx, k, d.GetChampion().GetDigest(), c)
	if err != nil {
		return false, err
	}
	if haltOf(d, c) != nil {
		_, err := tx.Exec(`UPDATE monitoring_states SET due = '' WHERE project = ? AND root = ?`, k.project, root)
		return false, err
	}
	st, err := loadState(tx, k.project, root)
	if err != nil {
		return false, err
	}
	resumed := haltOf(old, c) != nil && old.GetChampion().GetDigest() == d.GetChampion().GetDigest()
	if resumed {
		st = &state{Since: db.Micros(d.GetUpdateTime().AsTime())}
	}
	if !resumed && st.Errors.Starts == 0 {
		return false, nil
	}
	return s.judge(tx, stateKey{k, root}, st, now)
}

// learnRoot gives a certificate of a version its root: that of the first certificate with the same promise.
func (s *Service) learnRoot(tx *db.Tx, k key, version string, c *modelsv1.Certificate) (root string, err error) {
	promise := fmt.Sprintf("%s|%s|%v|%v|%v|%v", version, c.GetSide(), c.GetMaxError(), c.GetConfidence(), c.GetThreshold(), c.GetCertified())
	root = c.GetCertificateId()
	_, err = tx.Get(`SELECT root FROM monitoring_certificates WHERE project = ? AND operation = ? AND deployment = ? AND promise = ? ORDER BY seen, id LIMIT 1`,
		[]any{k.project, k.operation, k.deployment, promise}, &root)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(`INSERT INTO monitoring_certificates (project, id, operation, deployment, promise, root, seen) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, id) DO NOTHING`, k.project, c.GetCertificateId(), k.operation, k.deployment, promise, root, db.Micros(s.now()))
	return root, err
}
