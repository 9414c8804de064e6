package training

// steps are the migrations of the service's tables. Rows, artifacts and reports are blobs, named by their digests; a message is what the contract shows.
//
// training_uses remembers which run compared candidates on which evaluation rows, so that rows that serve again are judged more strictly.
var steps = []string{
	`CREATE TABLE training_datasets (
		project TEXT   NOT NULL,
		name    TEXT   NOT NULL,
		version BIGINT NOT NULL,
		digest  TEXT   NOT NULL,
		blob    TEXT   NOT NULL,
		message BLOB   NOT NULL,
		deleted BIGINT NOT NULL,
		created BIGINT NOT NULL,
		PRIMARY KEY (project, name, version)
	);
	CREATE INDEX training_datasets_digest ON training_datasets (project, name, digest);
	CREATE INDEX training_datasets_blob ON training_datasets (blob);
	CREATE TABLE training_runs (
		project     TEXT   NOT NULL,
		id          TEXT   NOT NULL,
		operation   BIGINT NOT NULL,
		deployment  TEXT   NOT NULL,
		caller      TEXT   NOT NULL,
		message     BLOB   NOT NULL,
		state       BIGINT NOT NULL,
		changes     BIGINT NOT NULL,
		model       TEXT   NOT NULL,
		version     BIGINT NOT NULL,
		lease       TEXT   NOT NULL,
		lease_until BIGINT NOT NULL,
		created     BIGINT NOT NULL,
		ended       BIGINT NOT NULL,
		PRIMARY KEY (project, id)
	);
	CREATE INDEX training_runs_open ON training_runs (lease_until) WHERE state <= 2;
	CREATE INDEX training_runs_model ON training_runs (project, model, version);
	CREATE TABLE training_steps (
		project TEXT   NOT NULL,
		run     TEXT   NOT NULL,
		step    BIGINT NOT NULL,
		output  BLOB   NOT NULL,
		PRIMARY KEY (project, run, step)
	);
	CREATE TABLE training_logs (
		project TEXT   NOT NULL,
		run     TEXT   NOT NULL,
		number  BIGINT NOT NULL,
		time    BIGINT NOT NULL,
		step    BIGINT NOT NULL,
		line    TEXT   NOT NULL,
		PRIMARY KEY (project, run, number)
	);
	CREATE TABLE training_uses (
		project TEXT   NOT NULL,
		digest  TEXT   NOT NULL,
		run     TEXT   NOT NULL,
		number  BIGINT NOT NULL,
		PRIMARY KEY (project, digest, run)
	);
	CREATE TABLE training_schedules (
		project TEXT   NOT NULL,
		name    TEXT   NOT NULL,
		caller  TEXT   NOT NULL,
		message BLOB   NOT NULL,
		next    BIGINT NOT NULL,
		looked  BIGINT NOT NULL,
		PRIMARY KEY (project, name)
	)`,
	// next is the step that comes next, so that whoever may do it finds the run; the others belong to steps that worker processes do.
	`ALTER TABLE training_runs ADD COLUMN next BIGINT NOT NULL DEFAULT 0;
	ALTER TABLE training_runs ADD COLUMN deliveries BIGINT NOT NULL DEFAULT 0;
	ALTER TABLE training_runs ADD COLUMN delivery TEXT NOT NULL DEFAULT '';
	ALTER TABLE training_runs ADD COLUMN inputs TEXT NOT NULL DEFAULT '';
	CREATE INDEX training_runs_lease ON training_runs (lease) WHERE lease <> ''`,
	// On Postgres the column had the name of a type, which is another there, so that nobody found it.
	`ALTER TABLE training_datasets RENAME COLUMN blob TO content`,
	// Which data sets held rows of a person who was erased: who repeats an erasure must learn the same of what was trained. A person is 16 bytes of a hash.
	`CREATE TABLE training_erasures (
		project TEXT   NOT NULL,
		person  BLOB   NOT NULL,
		name    TEXT   NOT NULL,
		version BIGINT NOT NULL,
		train   BIGINT NOT NULL,
		test    BIGINT NOT NULL,
		erased  BIGINT NOT NULL,
		PRIMARY KEY (project, person, name, version)
	);
	CREATE INDEX training_erasures_erased ON training_erasures (erased)`,
}
