package monitoring

// steps are the migrations of the service's tables.
//
// A root is what audits are counted for: certificates of one deployment and side that speak of the same version at the same threshold with the same promise have
// the same root, so that a changed audit rate or price does not begin anew. An audit has two halves, the decision that was drawn and the verdict on it; either may arrive first, and the
// second one counts (state 1: drawn, 2: judged, 3: counted).
var steps = []string{
	`CREATE TABLE monitoring_deployments (
		project    TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		revision   BIGINT NOT NULL,
		message    BLOB   NOT NULL,
		PRIMARY KEY (project, operation, deployment)
	);
	CREATE TABLE monitoring_certificates (
		project    TEXT   NOT NULL,
		id         TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		promise    TEXT   NOT NULL,
		root       TEXT   NOT NULL,
		seen       BIGINT NOT NULL,
		PRIMARY KEY (project, id)
	);
	CREATE INDEX monitoring_certificates_promise ON monitoring_certificates (project, operation, deployment, promise);
	CREATE TABLE monitoring_states (
		project    TEXT   NOT NULL,
		root       TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		state      BLOB   NOT NULL,
		audits     BIGINT NOT NULL,
		live       DOUBLE PRECISION NOT NULL,
		lower      DOUBLE PRECISION NOT NULL,
		upper      DOUBLE PRECISION NOT NULL,
		due        TEXT   NOT NULL,
		updated    BIGINT NOT NULL,
		PRIMARY KEY (project, root)
	);
	CREATE INDEX monitoring_states_due ON monitoring_states (project, root) WHERE due <> '';
	CREATE TABLE monitoring_audits (
		project     TEXT   NOT NULL,
		decision    TEXT   NOT NULL,
		certificate TEXT   NOT NULL,
		operation   BIGINT NOT NULL,
		deployment  TEXT   NOT NULL,
		propensity  DOUBLE PRECISION NOT NULL,
		decided     BIGINT NOT NULL,
		wrong       BIGINT NOT NULL,
		truth       TEXT   NOT NULL,
		state       BIGINT NOT NULL,
		PRIMARY KEY (project, decision)
	);
	CREATE INDEX monitoring_audits_waiting ON monitoring_audits (project, certificate) WHERE state = 1;
	CREATE INDEX monitoring_audits_decided ON monitoring_audits (decided);
	CREATE TABLE monitoring_traffic (
		project      TEXT   NOT NULL,
		operation    BIGINT NOT NULL,
		deployment   TEXT   NOT NULL,
		hour         BIGINT NOT NULL,
		decisions    BIGINT NOT NULL,
		automated    BIGINT NOT NULL,
		out_of_scope BIGINT NOT NULL,
		halted       BIGINT NOT NULL,
		audits       BIGINT NOT NULL,
		PRIMARY KEY (project, operation, deployment, hour)
	);
	CREATE TABLE monitoring_people (
		project      TEXT   NOT NULL,
		operation    BIGINT NOT NULL,
		deployment   TEXT   NOT NULL,
		answers      BIGINT NOT NULL,
		wrong        BIGINT NOT NULL,
		reviewed     BIGINT NOT NULL,
		out_of_scope BIGINT NOT NULL,
		PRIMARY KEY (project, operation, deployment)
	);
	CREATE TABLE monitoring_seen (
		source TEXT NOT NULL PRIMARY KEY,
		seen   BLOB NOT NULL
	)`,
	`CREATE TABLE monitoring_points (
		project    TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		side       TEXT   NOT NULL,
		root       TEXT   NOT NULL,
		since      BIGINT NOT NULL,
		step       BIGINT NOT NULL,
		time       BIGINT NOT NULL,
		max_error  DOUBLE PRECISION NOT NULL,
		audits     BIGINT NOT NULL,
		live       DOUBLE PRECISION NOT NULL,
		lower      DOUBLE PRECISION NOT NULL,
		upper      DOUBLE PRECISION NOT NULL,
		PRIMARY KEY (project, operation, deployment, side, root, since, step)
	);
	CREATE INDEX monitoring_points_time ON monitoring_points (project, operation, deployment, time)`,
	`ALTER TABLE monitoring_audits ADD COLUMN model TEXT NOT NULL DEFAULT '';
	CREATE TABLE monitoring_trials (
		project    TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		champion   TEXT   NOT NULL,
		challenger TEXT   NOT NULL,
		began      BIGINT NOT NULL,
		since      BIGINT NOT NULL,
		until      BIGINT NOT NULL,
		changed    BIGINT NOT NULL,
		told       BIGINT NOT NULL,
		arms       BLOB   NOT NULL,
		PRIMARY KEY (project, operation, deployment, champion, challenger)
	)`,
}

// key names a deployment over all projects.
type key struct {
	project    string
	operation  int32
	deployment string
}
