package models

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// steps are the migrations of the registry's tables. Whole messages are stored as they are sent; columns are what queries need.
// deployment_ledger is only ever appended to: it is the history of who let which version answer when. deployment_events is what it was made from where an earlier release had
// written that.
var steps = []string{
	`CREATE TABLE models (
		project   TEXT   NOT NULL,
		name      TEXT   NOT NULL,
		operation BIGINT NOT NULL,
		latest    BIGINT NOT NULL,
		created   BIGINT NOT NULL,
		PRIMARY KEY (project, name)
	);
	CREATE TABLE versions (
		project    TEXT   NOT NULL,
		model      TEXT   NOT NULL,
		version    BIGINT NOT NULL,
		spec       TEXT   NOT NULL,
		message    BLOB   NOT NULL,
		samples    BLOB   NOT NULL,
		evaluation TEXT   NOT NULL,
		created    BIGINT NOT NULL,
		PRIMARY KEY (project, model, version),
		UNIQUE (project, model, spec),
		FOREIGN KEY (project, model) REFERENCES models (project, name)
	);
	CREATE TABLE deployments (
		project   TEXT   NOT NULL,
		operation BIGINT NOT NULL,
		name      TEXT   NOT NULL,
		revision  BIGINT NOT NULL,
		message   BLOB   NOT NULL,
		updated   BIGINT NOT NULL,
		PRIMARY KEY (project, operation, name)
	);
	CREATE TABLE deployment_events (
		project   TEXT   NOT NULL,
		operation BIGINT NOT NULL,
		name      TEXT   NOT NULL,
		revision  BIGINT NOT NULL,
		kind      TEXT   NOT NULL,
		caller    TEXT   NOT NULL,
		message   BLOB   NOT NULL,
		created   BIGINT NOT NULL,
		PRIMARY KEY (project, operation, name, revision)
	)`,
	`CREATE TABLE deployment_ledger (
		project         TEXT   NOT NULL,
		seq             BIGINT NOT NULL,
		recorded        BIGINT NOT NULL,
		operation       BIGINT NOT NULL,
		name            TEXT   NOT NULL,
		kind            BIGINT NOT NULL,
		revision_before BIGINT NOT NULL,
		revision        BIGINT NOT NULL,
		restored        BIGINT NOT NULL,
		model           TEXT   NOT NULL,
		version         BIGINT NOT NULL,
		version_digest  TEXT   NOT NULL,
		policy_digest   TEXT   NOT NULL,
		certificates    TEXT   NOT NULL,
		actor           TEXT   NOT NULL,
		reason          TEXT   NOT NULL,
		state_sha       BLOB   NOT NULL,
		previous        BLOB   NOT NULL,
		hash            BLOB   NOT NULL,
		state           BLOB   NOT NULL,
		PRIMARY KEY (project, seq),
		UNIQUE (project, operation, name, revision)
	)`,
	`CREATE TABLE comparisons (
		project    TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		name       TEXT   NOT NULL,
		champion   TEXT   NOT NULL,
		challenger TEXT   NOT NULL,
		message    BLOB   NOT NULL,
		updated    BIGINT NOT NULL,
		PRIMARY KEY (project, operation, name, champion, challenger)
	);
	CREATE TABLE traffic_reporters (
		reporter TEXT   NOT NULL PRIMARY KEY,
		sequence BIGINT NOT NULL,
		seen     BIGINT NOT NULL
	)`,
	`CREATE TABLE model_aliases (
		project  TEXT   NOT NULL,
		model    TEXT   NOT NULL,
		name     TEXT   NOT NULL,
		version  BIGINT NOT NULL,
		revision BIGINT NOT NULL,
		updated  BIGINT NOT NULL,
		PRIMARY KEY (project, model, name)
	);
	CREATE TABLE version_notes (
		project  TEXT   NOT NULL,
		model    TEXT   NOT NULL,
		version  BIGINT NOT NULL,
		notes    TEXT   NOT NULL,
		revision BIGINT NOT NULL,
		PRIMARY KEY (project, model, version)
	);
	CREATE TABLE version_tags (
		project TEXT   NOT NULL,
		model   TEXT   NOT NULL,
		version BIGINT NOT NULL,
		name    TEXT   NOT NULL,
		value   TEXT   NOT NULL,
		PRIMARY KEY (project, model, version, name)
	)`,
}

// maxPageBytes bounds a page of a list: 500 versions of 16,384 labels each would not fit a message.
const maxPageBytes = 2 << 20

type store struct{ db *db.DB }

// model reads one model; nil when the project has none of that name.
func (*store) model(tx *db.Tx, project, name string) (*modelsv1.Model, error) {
	m := &modelsv1.Model{Name: name}
	var created int64
	ok, err := tx.Get(`SELECT operation, latest, created FROM models WHERE project = ? AND name = ?`,
		[]any{project, name}, &m.Operation, &m.LatestVersion, &created)
	if err != nil || !ok {
		return nil, err
	}
	m.CreateTime = timestamppb.New(db.Time(created))
	return m, nil
}

// nextVersion counts up the model's versions and makes the model at its first one.
func (*store) nextVersion(tx *db.Tx, project, name string, op commonv1.Operation, now time.Time) (int32, error) {
	var n int32
	_, err := tx.Get(`INSERT INTO models (project, name, operation, latest, created) VALUES (?, ?, ?, 1, ?)
		ON CONFLICT (project, name) DO UPDATE SET latest = models.latest + 1 RETURNING latest`,
		[]any{project, name, op, db.Micros(now)}, &n)
	return n, err
}

func (*store) addVersion(tx *db.Tx, project, specDigest string, v *modelsv1.ModelVersion, samples []byte, evaluation string) error {
	message, err := proto.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode version: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO versions (project, model, version, spec, message, samples, evaluation, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		project, v.GetModel(), v.GetVersion(), specDigest, message, samples, evaluation, db.Micros(v.GetCreateTime().AsTime()))
	return err
}

// versionOf reads the version that was registered with that specification; nil when there is none.
func (*store) versionOf(tx *db.Tx, project, model, specDigest string) (*modelsv1.ModelVersion, error) {
	var message []byte
	ok, err := tx.Get(`SELECT message FROM versions WHERE project = ? AND model = ? AND spec = ?`,
		[]any{project, model, specDigest}, &message)
	if err != nil || !ok {
		return nil, err
	}
	v := &modelsv1.ModelVersion{}
	return v, decode("version", message, v)
}

// stored is a version with what lists leave out.
type stored struct {
	version    *modelsv1.ModelVersion
	samples    []*modelsv1.CertificationSample
	reviewers  *modelsv1.ReviewerRecord // who labelled them
	evaluation string
}

// version reads one version; nil when the model has none of that number.
func (*store) version(tx *db.Tx, project, model string, number int32) (*stored, error) {
	var message, samples []byte
	s := &stored{version: &modelsv1.ModelVersion{}}
	ok, err := tx.Get(`SELECT message, samples, evaluation FROM versions WHERE project = ? AND model = ? AND version = ?`,
		[]any{project, model, number}, &message, &samples, &s.evaluation)
	if err != nil || !ok {
		return nil, err
	}
	if err := decode("version", message, s.version); err != nil {
		return nil, err
	}
	spec := &modelsv1.VersionSpec{} // the samples are stored inside an otherwise empty specification
	if err := decode("samples", samples, spec); err != nil {
		return nil, err
	}
	s.samples, s.reviewers = spec.GetSamples(), spec.GetReviewers()
	return s, nil
}

func (*store) countModels(tx *db.Tx, project string) (n int, err error) {
	_, err = tx.Get(`SELECT count(*) FROM models WHERE project = ?`, []any{project}, &n)
	return n, err
}

func (*store) countDeployments(tx *db.Tx, project string) (n int, err error) {
	_, err = tx.Get(`SELECT count(*) FROM deployments WHERE project = ?`, []any{project}, &n)
	return n, err
}

func (*store) models(tx *db.Tx, project, after string, size int) (out []*modelsv1.Model, more bool, err error) {
	err = tx.Each(`SELECT name, operation, latest, created FROM models WHERE project = ? AND name > ? ORDER BY name LIMIT ?`,
		[]any{project, after, size + 1}, func(scan func(...any) error) error {
			m, created := &modelsv1.Model{}, int64(0)
			if err := scan(&m.Name, &m.Operation, &m.LatestVersion, &created); err != nil {
				return err
			}
			m.CreateTime = timestamppb.New(db.Time(created))
			out = append(out, m)
			return nil
		})
	if len(out) > size {
		out, more = out[:size], true
	}
	return out, more, err
}

// versions reads versions below the number before that have all of the tags, newest first.
func (*store) versions(tx *db.Tx, project, model string, tags []tagFilter, before int64, size int) ([]*modelsv1.ModelVersion, bool, error) {
	p := page[*modelsv1.ModelVersion]{size: size, make: func() *modelsv1.ModelVersion { return &modelsv1.ModelVersion{} }}
	where, args := "", []any{project, model, before}
	for _, t := range tags {
		where += ` AND EXISTS (SELECT 1 FROM version_tags t WHERE t.project = v.project AND t.model = v.model AND t.version = v.version AND t.name = ?`
		if args = append(args, t.key); !t.any {
			where, args = where+` AND t.value = ?`, append(args, t.value)
		}
		where += `)`
	}
	err := tx.Each(`SELECT message FROM versions v WHERE project = ? AND model = ? AND version < ?`+where+` ORDER BY version DESC LIMIT ?`, append(args, size+1), p.add)
	return p.rows, p.more, err
}

// deployment reads one deployment; nil when the project has none of that name.
func (*store) deployment(tx *db.Tx, project string, op commonv1.Operation, name string) (*modelsv1.Deployment, error) {
	var message []byte
	ok, err := tx.Get(`SELECT message FROM deployments WHERE project = ? AND operation = ? AND name = ?`,
		[]any{project, op, name}, &message)
	if err != nil || !ok {
		return nil, err
	}
	d := &modelsv1.Deployment{}
	return d, decode("deployment", message, d)
}

// putDeployment stores the deployment as it is now and appends the change to the ledger.
func (s *store) putDeployment(tx *db.Tx, d *modelsv1.Deployment, c *modelsv1.DeploymentChange, now time.Time) error {
	message, err := proto.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode deployment: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO deployments (project, operation, name, revision, message, updated) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, operation, name) DO UPDATE
		SET revision = excluded.revision, message = excluded.message, updated = excluded.updated`,
		d.GetProject(), d.GetOperation(), d.GetName(), d.GetRevision(), message, db.Micros(d.GetUpdateTime().AsTime()))
	if err != nil {
		return err
	}
	return s.record(tx, c, d, message, now)
}

// deployments reads the deployments after a position, by operation and name; of one operation only unless op is 0.
func (*store) deployments(
	tx *db.Tx, project string, op commonv1.Operation, afterOp int64, afterName string, size int,
) ([]*modelsv1.Deployment, bool, error) {
	p := page[*modelsv1.Deployment]{size: size, make: func() *modelsv1.Deployment { return &modelsv1.Deployment{} }}
	err := tx.Each(`SELECT message FROM deployments WHERE project = ? AND (? = 0 OR operation = ?)
		AND (operation > ? OR (operation = ? AND name > ?)) ORDER BY operation, name LIMIT ?`,
		[]any{project, op, op, afterOp, afterOp, afterName, size + 1}, p.add)
	return p.rows, p.more, err
}

// eachDeployment calls fn for every deployment of a project, or of all projects when it is empty.
func (*store) eachDeployment(tx *db.Tx, project string, fn func(*modelsv1.Deployment) error) error {
	return tx.Each(`SELECT message FROM deployments WHERE ? = '' OR project = ? ORDER BY project, operation, name`,
		[]any{project, project}, func(scan func(...any) error) error {
			var message []byte
			if err := scan(&message); err != nil {
				return err
			}
			d := &modelsv1.Deployment{}
			if err := decode("deployment", message, d); err != nil {
				return err
			}
			return fn(d)
		})
}

// page collects rows that hold one message each, until it is full by count or by bytes.
type page[M proto.Message] struct {
	size  int
	make  func() M
	rows  []M
	bytes int
	more  bool
}

func (p *page[M]) add(scan func(...any) error) error {
	if p.more {
		return nil
	}
	var message []byte
	if err := scan(&message); err != nil {
		return err
	}
	if p.bytes += len(message); len(p.rows) == p.size || (p.bytes > maxPageBytes && len(p.rows) > 0) {
		p.more = true
		return nil
	}
	m := p.make()
	p.rows = append(p.rows, m)
	return decode("row", message, m)
}

func decode(what string, b []byte, m proto.Message) error {
	if err := proto.Unmarshal(b, m); err != nil {
		return fmt.Errorf("decode stored %s: %w", what, err)
	}
	return nil
}
