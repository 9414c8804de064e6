package jobs

import (
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// jobSteps are the migrations of the jobs' tables. Items and results are in files; job_rates is what the items of a deployment have taken so far.
var jobSteps = []string{
	`CREATE TABLE jobs (
		project    TEXT   NOT NULL,
		id         TEXT   NOT NULL,
		uuid       TEXT   NOT NULL UNIQUE,
		digest     BLOB   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		caller     TEXT   NOT NULL,
		items      BIGINT NOT NULL,
		state      BIGINT NOT NULL,
		problem    BLOB   NOT NULL,
		decided    BIGINT NOT NULL,
		automated  BIGINT NOT NULL,
		review     BIGINT NOT NULL,
		failed     BIGINT NOT NULL,
		cost       BIGINT NOT NULL,
		micros     BIGINT NOT NULL,
		input_at   BIGINT NOT NULL,
		result_at  BIGINT NOT NULL,
		created    BIGINT NOT NULL,
		ended      BIGINT NOT NULL,
		PRIMARY KEY (project, id)
	);
	CREATE INDEX jobs_newest ON jobs (project, created DESC, id DESC);
	CREATE INDEX jobs_ended ON jobs (ended);
	CREATE TABLE job_rates (
		project    TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		decided    BIGINT NOT NULL,
		cost       BIGINT NOT NULL,
		micros     BIGINT NOT NULL,
		PRIMARY KEY (project, operation, deployment)
	)`,
	`ALTER TABLE jobs ADD COLUMN files BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE jobs ADD COLUMN ordered BIGINT NOT NULL DEFAULT 0`,
}

const jobColumns = `project, id, uuid, digest, operation, deployment, caller, items, state, problem, decided, automated, review, failed, cost, micros,
	input_at, result_at, created, ended, files, ordered`

func scanJob(scan func(...any) error) (*job, error) {
	j := &job{}
	var problem []byte
	var ordered int
	err := scan(&j.project, &j.id, &j.uuid, &j.digest, &j.operation, &j.deployment, &j.caller, &j.items, &j.state, &problem, &j.tally.decided,
		&j.tally.automated, &j.tally.review, &j.tally.failed, &j.tally.cost, &j.tally.micros, &j.inputAt, &j.resultAt, &j.created, &j.ended, &j.files, &ordered)
	if err == nil {
		j.kept, j.ordered = j.progress, ordered != 0
		j.problem, err = decodeProblem(problem)
	}
	return j, err
}

// readJobs reads jobs by any condition.
func readJobs(tx *db.Tx, where string, args ...any) (out []*job, err error) {
	err = tx.Each(`SELECT `+jobColumns+` FROM jobs `+where, args, func(scan func(...any) error) error {
		j, err := scanJob(scan)
		out = append(out, j)
		return err
	})
	return out, err
}

// readJob reads a job; nil when the project has none of that id.
func readJob(tx *db.Tx, key jobKey) (*job, error) {
	rows, err := readJobs(tx, `WHERE project = ? AND id = ?`, key.project, key.id)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

func insertJob(tx *db.Tx, j *job) error {
	_, err := tx.Exec(`INSERT INTO jobs (`+jobColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, ?, 0, 0, ?)`,
		j.project, j.id, j.uuid, j.digest, j.operation, j.deployment, j.caller, j.items, j.state, []byte{}, j.created, j.ordered)
	return err
}

// saveJob writes what changes of a job. Its lock is held.
func saveJob(tx *db.Tx, j *job) error {
	problem, err := encodeProblem(j.problem)
	if err != nil {
		return err
	}
	t := j.kept.tally
	_, err = tx.Exec(`UPDATE jobs SET state = ?, problem = ?, decided = ?, automated = ?, review = ?, failed = ?, cost = ?, micros = ?,
		input_at = ?, result_at = ?, ended = ?, files = ? WHERE project = ? AND id = ?`,
		j.state, problem, t.decided, t.automated, t.review, t.failed, t.cost, t.micros, j.kept.inputAt, j.kept.resultAt, j.ended, j.files, j.project, j.id)
	return err
}

// readRate returns what the items of a deployment have taken so far.
func readRate(tx *db.Tx, project string, op commonv1.Operation, deployment string) (t tally, err error) {
	_, err = tx.Get(`SELECT decided, cost, micros FROM job_rates WHERE project = ? AND operation = ? AND deployment = ?`,
		[]any{project, op, deployment}, &t.decided, &t.cost, &t.micros)
	return t, err
}

// addRate adds what a job has taken.
func addRate(tx *db.Tx, j *job) error {
	_, err := tx.Exec(`INSERT INTO job_rates (project, operation, deployment, decided, cost, micros) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, operation, deployment) DO UPDATE SET decided = job_rates.decided + excluded.decided,
		cost = job_rates.cost + excluded.cost, micros = job_rates.micros + excluded.micros`,
		j.project, j.operation, j.deployment, j.kept.tally.decided, j.kept.tally.cost, j.kept.tally.micros)
	return err
}
