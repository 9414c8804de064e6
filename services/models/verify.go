package models

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Verify reads the ledger of deployments from the first entry of every project to the last, and holds it against the deployments as they are and the versions that it names. It returns
// what is wrong and how many entries it looked at; an error means that the tables could not be read. It needs no service that runs.
func Verify(ctx context.Context, d *db.DB) (problems []error, looked int64, err error) {
	v := newVerifier()
	if v.hasAliases, err = d.HasTable(ctx, "model_aliases"); err != nil {
		return nil, 0, err
	}
	if ok, err := hasTables(ctx, d); err != nil || !ok {
		return nil, 0, err
	}
	err = d.View(ctx, v.walk)
	return v.problems, v.looked, err
}

// walk looks at everything in one view: what is deployed meanwhile is in all of it or in none.
func (v *verifier) walk(tx *db.Tx) error {
	for _, step := range []func(*db.Tx) error{v.entries, v.deployments, v.aliased, v.noted, v.versions} {
		if err := step(tx); err != nil {
			return err
		}
	}
	return nil
}

// hasTables says whether the registry ever ran on this database.
func hasTables(ctx context.Context, d *db.DB) (bool, error) {
	return d.HasTable(ctx, "deployment_ledger")
}

// chain is where the walk over a project's entries is.
type chain struct {
	sequence, recorded int64
	hash               []byte
}

// state is what the ledger says of a deployment as it is now.
type state struct {
	revision int64
	sum      []byte
	seen     bool
}

type verifier struct {
	chains     map[string]*chain
	live       map[deploymentKey]*state
	aliases    map[deploymentKey]*aliasState // by their names in the ledger
	noteds     map[deploymentKey]*noted      // by their names in the ledger
	hasAliases bool                          // false where no release that knows them ever ran
	problems   []error
	looked     int64
}

// aliasState is what the ledger says of an alias as it is now.
type aliasState struct {
	revision, version int64
	seen              bool
}

func newVerifier() verifier {
	return verifier{chains: map[string]*chain{}, live: map[deploymentKey]*state{}, aliases: map[deploymentKey]*aliasState{}, noteds: map[deploymentKey]*noted{}}
}

func (v *verifier) problemf(format string, args ...any) {
	v.problems = append(v.problems, fmt.Errorf("ledger of deployments: "+format, args...))
}

// entries walks the chains.
func (v *verifier) entries(tx *db.Tx) error {
	return tx.Each(`SELECT `+changeColumns+`, project, state FROM deployment_ledger ORDER BY project, seq`, nil, func(scan func(...any) error) error {
		var project string
		var kept []byte
		c, err := scanChange(scan, "", &project, &kept)
		if err != nil {
			return err
		}
		c.Project = project
		v.looked++
		v.link(c)
		v.state(c, kept)
		return nil
	})
}

// link checks an entry against the one before.
func (v *verifier) link(c *modelsv1.DeploymentChange) {
	at := fmt.Sprintf("project %s, entry %d", c.GetProject(), c.GetSequence())
	last := v.chains[c.GetProject()]
	if last == nil {
		last = &chain{}
		v.chains[c.GetProject()] = last
	}
	recorded := db.Micros(c.GetRecordTime().AsTime())
	switch {
	case c.GetSequence() != last.sequence+1:
		v.problemf("%s: entries %d to %d are missing", at, last.sequence+1, c.GetSequence()-1)
	case !bytes.Equal(c.GetPreviousHash(), last.hash):
		v.problemf("%s: does not follow the entry before it: the chain of hashes is broken", at)
	case recorded < last.recorded:
		v.problemf("%s: was recorded before the entry before it", at)
	}
	if !bytes.Equal(hashOf(c), c.GetHash()) {
		v.problemf("%s, revision %d of %s/%s: was changed after it was written: its hash is another", at, c.GetRevision(), fault.OperationName(c.GetOperation()), c.GetDeployment())
	}
	*last = chain{c.GetSequence(), recorded, c.GetHash()}
}

// state checks the deployment in an entry against the entry, and the revisions of the deployment.
func (v *verifier) state(c *modelsv1.DeploymentChange, kept []byte) {
	at := fmt.Sprintf("project %s, entry %d", c.GetProject(), c.GetSequence())
	if sum := sha256.Sum256(kept); !bytes.Equal(sum[:], c.GetStateSha256()) {
		v.problemf("%s: the deployment in it was changed after it was written", at)
	}
	switch c.GetKind() { //nolint:exhaustive // all others are about a deployment
	case aliasKind:
		v.alias(c, kept)
		return
	case tagsKind:
		v.notes(c, kept)
		return
	}
	d := &modelsv1.Deployment{}
	if err := proto.Unmarshal(kept, d); err != nil {
		v.problemf("%s: the deployment in it cannot be read: %w", at, err)
	} else if !describes(c, d) {
		v.problemf("%s: says something else than the deployment in it", at)
	}
	key := deploymentKey{c.GetProject(), c.GetOperation(), c.GetDeployment()}
	now := v.live[key]
	if now == nil {
		now = &state{}
		v.live[key] = now
	}
	if c.GetRevisionBefore() != now.revision || c.GetRevision() != now.revision+1 {
		v.problemf("%s: goes from revision %d to %d of %s/%s, which was at %d", at, c.GetRevisionBefore(), c.GetRevision(), fault.OperationName(key.operation), key.name, now.revision)
	}
	now.revision, now.sum = c.GetRevision(), c.GetStateSha256()
}

// alias checks the alias in an entry against the entry, and its revisions.
func (v *verifier) alias(c *modelsv1.DeploymentChange, kept []byte) {
	at := fmt.Sprintf("project %s, entry %d", c.GetProject(), c.GetSequence())
	a := &modelsv1.ModelAlias{}
	if err := proto.Unmarshal(kept, a); err != nil {
		v.problemf("%s: the alias in it cannot be read: %w", at, err)
	} else if aliasEntry(a) != c.GetDeployment() || a.GetModel() != c.GetModel() || a.GetVersion() != c.GetVersion() || a.GetRevision() != c.GetRevision() {
		v.problemf("%s: says something else than the alias in it", at)
	}
	key := deploymentKey{project: c.GetProject(), name: c.GetDeployment()}
	now := v.aliases[key]
	if now == nil {
		now = &aliasState{}
		v.aliases[key] = now
	}
	if c.GetRevisionBefore() != now.revision || c.GetRevision() != now.revision+1 {
		v.problemf("%s: goes from revision %d to %d of %s, which was at %d", at, c.GetRevisionBefore(), c.GetRevision(), key.name, now.revision)
	}
	now.revision, now.version = c.GetRevision(), int64(c.GetVersion())
}

// aliased checks what aliases stand for now against the newest entry of each.
func (v *verifier) aliased(tx *db.Tx) error {
	if !v.hasAliases {
		return nil
	}
	err := tx.Each(`SELECT project, model, name, version, revision FROM model_aliases`, nil, func(scan func(...any) error) error {
		var project, model, name string
		var is aliasState
		if err := scan(&project, &model, &name, &is.version, &is.revision); err != nil {
			return err
		}
		v.looked++
		key := deploymentKey{project: project, name: model + aliasSign + name}
		now := v.aliases[key]
		if now == nil {
			v.problemf("project %s, alias %s: has no entry", project, key.name)
			return nil
		}
		if now.seen = true; is.version != now.version || is.revision != now.revision {
			v.problemf("project %s, alias %s: stands for version %d in revision %d, its last entry says version %d in revision %d", project, key.name, is.version, is.revision, now.version, now.revision)
		}
		return nil
	})
	for key, now := range v.aliases {
		if err == nil && !now.seen {
			v.problemf("project %s, alias %s: is in the ledger and does not exist", key.project, key.name)
		}
	}
	return err
}

// describes says whether an entry and the deployment in it are about the same.
func describes(c *modelsv1.DeploymentChange, d *modelsv1.Deployment) bool {
	return c.GetProject() == d.GetProject() && c.GetOperation() == d.GetOperation() && c.GetDeployment() == d.GetName() && c.GetRevision() == d.GetRevision() &&
		(c.GetTrial() || c.GetModel() == d.GetChampion().GetModel() && c.GetVersion() == d.GetChampion().GetVersion() && c.GetVersionDigest() == d.GetChampion().GetDigest()) &&
		c.GetPolicyDigest() == d.GetPolicyDigest() && slices.Equal(c.GetCertificateIds(), certificateIDs(d))
}

// deployments checks what answers now against the newest entry of each deployment.
func (v *verifier) deployments(tx *db.Tx) error {
	err := tx.Each(`SELECT project, operation, name, revision, message FROM deployments`, nil, func(scan func(...any) error) error {
		var key deploymentKey
		var revision int64
		var message []byte
		if err := scan(&key.project, &key.operation, &key.name, &revision, &message); err != nil {
			return err
		}
		name := fmt.Sprintf("project %s, deployment %s/%s", key.project, fault.OperationName(key.operation), key.name)
		now := v.live[key]
		if now == nil {
			v.problemf("%s: has no entry", name)
			return nil
		}
		now.seen = true
		sum := sha256.Sum256(message)
		switch {
		case revision != now.revision:
			v.problemf("%s: is at revision %d, its last entry is revision %d", name, revision, now.revision)
		case !bytes.Equal(sum[:], now.sum):
			v.problemf("%s: is not what its last entry, revision %d, says", name, revision)
		}
		return nil
	})
	for key, now := range v.live {
		if err == nil && !now.seen {
			v.problemf("project %s, deployment %s/%s: is in the ledger and does not exist", key.project, fault.OperationName(key.operation), key.name)
		}
	}
	return err
}

// versions checks that every version can be read, is numbered without gaps and is what its specification said, and that versions which answered exist.
func (v *verifier) versions(tx *db.Tx) error {
	type model struct{ project, name string }
	latest, known := map[model]int64{}, map[model]map[int64]string{}
	err := tx.Each(`SELECT project, name, latest FROM models`, nil, func(scan func(...any) error) error {
		var m model
		var n int64
		err := scan(&m.project, &m.name, &n)
		latest[m] = n
		return err
	})
	if err != nil {
		return err
	}
	err = tx.Each(`SELECT project, model, version, message, samples FROM versions ORDER BY project, model, version`, nil, func(scan func(...any) error) error {
		var m model
		var n int64
		var message, samples []byte
		if err := scan(&m.project, &m.name, &n, &message, &samples); err != nil {
			return err
		}
		v.looked++
		version := &modelsv1.ModelVersion{}
		err := errors.Join(proto.Unmarshal(message, version), proto.Unmarshal(samples, &modelsv1.VersionSpec{}))
		if err != nil || version.GetModel() != m.name || int64(version.GetVersion()) != n {
			v.problems = append(v.problems, fmt.Errorf("registry: project %s, version %d of model %s cannot be read", m.project, n, m.name))
		}
		if known[m] == nil {
			known[m] = map[int64]string{}
		}
		known[m][n] = version.GetDigest()
		return nil
	})
	for m, n := range latest {
		if err == nil && int64(len(known[m])) != n {
			v.problems = append(v.problems, fmt.Errorf("registry: project %s, model %s has %d of %d versions", m.project, m.name, len(known[m]), n))
		}
	}
	if err != nil {
		return err
	}
	return tx.Each(`SELECT DISTINCT project, model, version, version_digest FROM deployment_ledger WHERE model <> '' AND version > 0`, nil, func(scan func(...any) error) error {
		var m model
		var n int64
		var digest string
		if err := scan(&m.project, &m.name, &n, &digest); err != nil {
			return err
		}
		if known[m][n] != digest {
			v.problems = append(v.problems, fmt.Errorf("registry: project %s, version %d of model %s answered with %s and is not there with that digest", m.project, n, m.name, digest))
		}
		return nil
	})
}

// Artifacts returns the digests of all artifacts that versions name.
func Artifacts(ctx context.Context, d *db.DB) (digests []string, err error) {
	ok, err := hasTables(ctx, d)
	if err != nil || !ok {
		return nil, err
	}
	err = d.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT message FROM versions`, nil, func(scan func(...any) error) error {
			var message []byte
			if err := scan(&message); err != nil {
				return err
			}
			v := &modelsv1.ModelVersion{}
			if proto.Unmarshal(message, v) == nil && !slices.Contains(digests, v.GetDigest()) {
				digests = append(digests, v.GetDigest())
			}
			return nil
		})
	})
	return digests, err
}
