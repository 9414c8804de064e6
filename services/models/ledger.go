package models

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// The ledger of deployments is one chain of entries for each project. An entry holds the hash of the one before and of the whole deployment after the change, and is written in the
// transaction of the change. Rows are only ever added. Order is that of the sequence: the clock of the machine is written down, not relied on.

// ChangeEvents is the kind of the events that tell of changes, the last part of their subject. Their message is a DeploymentChange with its state.
const ChangeEvents = "deployments"

// Event is a change that others learn of. ID is unique for ever in its project.
type Event struct {
	Project, ID           string
	Operation, Deployment string // such as "routing" and "support"
	Time                  time.Time
	Message               *modelsv1.DeploymentChange
}

const changeColumns = `seq, recorded, operation, name, kind, revision_before, revision, restored, model, version, version_digest, policy_digest, certificates, actor, reason,
	state_sha, previous, hash`

// record appends the change to the ledger. c holds kind, reason and restored revision; the rest follows from the deployment before and after it, and from the chain.
func (s *store) record(tx *db.Tx, c *modelsv1.DeploymentChange, next *modelsv1.Deployment, state []byte, now time.Time) error {
	c.Project, c.Operation, c.Deployment = next.GetProject(), next.GetOperation(), next.GetName()
	c.RevisionBefore, c.Revision = next.GetRevision()-1, next.GetRevision()
	if !c.GetTrial() {
		c.Model, c.Version, c.VersionDigest = next.GetChampion().GetModel(), next.GetChampion().GetVersion(), next.GetChampion().GetDigest()
	}
	c.PolicyDigest, c.CertificateIds = next.GetPolicyDigest(), certificateIDs(next)
	return s.append(tx, c, state, now)
}

// append adds an entry to the chain of its project. state is what the entry is about, as it is after the change.
func (*store) append(tx *db.Tx, c *modelsv1.DeploymentChange, state []byte, now time.Time) error {
	sum := sha256.Sum256(state)
	c.StateSha256 = sum[:]
	recorded := db.Micros(now)
	var last int64
	_, err := tx.Get(`SELECT seq, recorded, hash FROM deployment_ledger WHERE project = ? ORDER BY seq DESC LIMIT 1`,
		[]any{c.GetProject()}, &c.Sequence, &last, &c.PreviousHash)
	if err != nil {
		return err
	}
	c.Sequence++
	recorded = max(recorded, last)
	c.RecordTime = timestamppb.New(db.Time(recorded))
	c.Hash = hashOf(c)
	previous := c.PreviousHash
	if previous == nil {
		previous = []byte{}
	}
	// The keys of the table refuse a second change to the same revision, and a second entry at the same place, whoever makes it.
	_, err = tx.Exec(`INSERT INTO deployment_ledger (project, `+changeColumns+`, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.GetProject(), c.GetSequence(), recorded, c.GetOperation(), c.GetDeployment(), c.GetKind(), c.GetRevisionBefore(), c.GetRevision(), restoredOf(c),
		c.GetModel(), c.GetVersion(), c.GetVersionDigest(), c.GetPolicyDigest(), strings.Join(c.GetCertificateIds(), " "), c.GetActor(), c.GetReason(),
		c.GetStateSha256(), previous, c.GetHash(), state)
	if err != nil {
		return fmt.Errorf("append to the ledger of deployments: %w", err)
	}
	return nil
}

// hashOf returns the SHA-256 of an entry: of each field in the order of the contract, texts and bytes after their length in 8 bytes, numbers in 8 bytes, all big-endian. It
// is written out because the encoding of a message is not promised to stay the same.
func hashOf(c *modelsv1.DeploymentChange) []byte {
	h := sha256.New()
	text(h, "switchyard deployment ledger 1")
	text(h, c.GetProject())
	numbers(h, c.GetSequence(), db.Micros(c.GetRecordTime().AsTime()), int64(c.GetOperation()))
	text(h, c.GetDeployment())
	numbers(h, int64(c.GetKind()), c.GetRevisionBefore(), c.GetRevision(), restoredOf(c))
	text(h, c.GetModel())
	numbers(h, int64(c.GetVersion()))
	text(h, c.GetVersionDigest())
	text(h, c.GetPolicyDigest())
	numbers(h, int64(len(c.GetCertificateIds())))
	for _, id := range c.GetCertificateIds() {
		text(h, id)
	}
	text(h, c.GetActor())
	text(h, c.GetReason())
	text(h, string(c.GetStateSha256()))
	text(h, string(c.GetPreviousHash()))
	return h.Sum(nil)
}

// aTrial stands in the place of the restored revision, in the table and in the hash, where an entry is about a version on trial: such an entry restores nothing.
const aTrial = -1

func restoredOf(c *modelsv1.DeploymentChange) int64 {
	if c.GetTrial() {
		return aTrial
	}
	return c.GetRestoredRevision()
}

func text(h hash.Hash, s string) {
	numbers(h, int64(len(s)))
	_, _ = h.Write([]byte(s)) // never fails
}

func numbers(h hash.Hash, values ...int64) {
	for _, v := range values {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(v)))
	}
}

func certificateIDs(d *modelsv1.Deployment) []string {
	var ids []string
	for _, c := range d.GetCertificates() {
		ids = append(ids, c.GetCertificateId())
	}
	return ids
}

// actorOf names who makes a change.
func actorOf(ctx context.Context) string {
	if c := auth.FromContext(ctx); c != nil && c.KeyID != "" {
		return c.KeyID
	}
	return system
}

// system is the actor of what nobody asked for.
const system = "system"

// scanChange reads an entry that was selected by changeColumns; further is what was selected after them.
func scanChange(scan func(...any) error, project string, further ...any) (*modelsv1.DeploymentChange, error) {
	c := &modelsv1.DeploymentChange{Project: project}
	var recorded int64
	var certificates string
	err := scan(append([]any{
		&c.Sequence, &recorded, &c.Operation, &c.Deployment, &c.Kind, &c.RevisionBefore, &c.Revision, &c.RestoredRevision, &c.Model, &c.Version, &c.VersionDigest,
		&c.PolicyDigest, &certificates, &c.Actor, &c.Reason, &c.StateSha256, &c.PreviousHash, &c.Hash,
	}, further...)...)
	c.RecordTime, c.CertificateIds = timestamppb.New(db.Time(recorded)), strings.Fields(certificates)
	if len(c.CertificateIds) == 0 {
		c.CertificateIds = nil
	}
	if c.GetRestoredRevision() == aTrial {
		c.Trial, c.RestoredRevision = true, 0
	}
	return c, err
}

// lastChange reads the newest entry of a deployment; nil when there is none.
func (*store) lastChange(tx *db.Tx, project string, op commonv1.Operation, name string) (c *modelsv1.DeploymentChange, err error) {
	err = tx.Each(`SELECT `+changeColumns+` FROM deployment_ledger WHERE project = ? AND operation = ? AND name = ? ORDER BY revision DESC LIMIT 1`,
		[]any{project, op, name}, func(scan func(...any) error) (err error) {
			c, err = scanChange(scan, project)
			return err
		})
	return c, err
}

// deploymentAt reads a deployment as it was: in a revision, or at a time when the revision is 0. Nil when there is no such state.
func (*store) deploymentAt(tx *db.Tx, project string, op commonv1.Operation, name string, revision int64, at time.Time) (*modelsv1.Deployment, error) {
	where, value := `revision = ?`, revision
	if revision == 0 {
		where, value = `recorded <= ?`, db.Micros(at)
	}
	var state, sum []byte
	ok, err := tx.Get(`SELECT state, state_sha FROM deployment_ledger WHERE project = ? AND operation = ? AND name = ? AND `+where+` ORDER BY revision DESC LIMIT 1`,
		[]any{project, op, name, value}, &state, &sum)
	if err != nil || !ok {
		return nil, err
	}
	if got := sha256.Sum256(state); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("deployment %s/%s of project %s: its state in the ledger is damaged", fault.OperationName(op), name, project)
	}
	d := &modelsv1.Deployment{}
	return d, decode("deployment", state, d)
}

// maxEventState bounds the state in an event, which has to fit a message of the bus with everything else.
const maxEventState = 512 << 10

// told returns the change as others are told of it.
func told(c *modelsv1.DeploymentChange, d *modelsv1.Deployment) Event {
	m := proto.CloneOf(c)
	m.State = proto.CloneOf(d)
	if v := m.GetState().GetChampion(); v != nil {
		v.Labels, v.HarmlessLabels = nil, nil
	}
	if proto.Size(m.GetState()) > maxEventState {
		m.State.Certificates, m.State.Policy, m.State.PreviousCertificates = nil, nil, nil
	}
	return Event{
		Project: c.GetProject(), ID: fmt.Sprintf("%s/%s/%d", fault.OperationName(c.GetOperation()), c.GetDeployment(), c.GetRevision()),
		Operation: fault.OperationName(c.GetOperation()), Deployment: c.GetDeployment(), Time: c.GetRecordTime().AsTime(), Message: m,
	}
}

// adopt writes the history of a registry that had no ledger into one, in the order of time. It does nothing when there is a ledger.
func (s *store) adopt(ctx context.Context) error {
	empty := false
	err := s.db.View(ctx, func(tx *db.Tx) error {
		var events, entries int64
		_, err := tx.Get(`SELECT (SELECT count(*) FROM deployment_events), (SELECT count(*) FROM deployment_ledger)`, nil, &events, &entries)
		empty = events > 0 && entries == 0
		return err
	})
	if err != nil || !empty {
		return err
	}
	type event struct {
		kind, actor string
		state       []byte
		created     int64
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		var all []event
		err := tx.Each(`SELECT kind, caller, message, created FROM deployment_events ORDER BY created, project, operation, name, revision`, nil,
			func(scan func(...any) error) error {
				var e event
				err := scan(&e.kind, &e.actor, &e.state, &e.created)
				all = append(all, e)
				return err
			})
		if err != nil {
			return err
		}
		for e := range slices.Values(all) {
			d := &modelsv1.Deployment{}
			if err := decode("deployment", e.state, d); err != nil {
				return err
			}
			c := &modelsv1.DeploymentChange{Kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_DEPLOY, Actor: e.actor}
			if e.kind == "policy" {
				c.Kind = modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_POLICY
			}
			if err := s.record(tx, c, d, e.state, db.Time(e.created)); err != nil {
				return err
			}
		}
		return nil
	})
}
