package review

// steps are the migrations of the service's tables.
//
// An item is a row of review_items; what it judges is in review_records, so that the rows that queries walk over stay small. The indexes of waiting
// items are partial: their size is that of the queue, not of its history.
//
// A lane is a set of items that exactly the same reviewers may get: those of one queue that need the same skills and were judged by the same people. To find
// the next item for a reviewer, the few lanes that are open to them are asked for their first row each, and no row is ever looked at in vain.
var steps = []string{
	`CREATE TABLE review_queues (
		project     TEXT   NOT NULL,
		operation   BIGINT NOT NULL,
		deployment  TEXT   NOT NULL,
		settings    BLOB   NOT NULL,
		revision    BIGINT NOT NULL,
		rank_after  TEXT   NOT NULL,
		updated     BIGINT NOT NULL,
		n_open      BIGINT NOT NULL,
		n_leased    BIGINT NOT NULL,
		n_decided   BIGINT NOT NULL,
		n_closed    BIGINT NOT NULL,
		n_withdrawn BIGINT NOT NULL,
		n_escalated BIGINT NOT NULL,
		PRIMARY KEY (project, operation, deployment)
	);
	CREATE TABLE review_lanes (
		lane       BIGINT NOT NULL PRIMARY KEY,
		project    TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		skills     TEXT   NOT NULL,
		seen       TEXT   NOT NULL,
		n_open     BIGINT NOT NULL
	);
	CREATE INDEX review_lanes_queue ON review_lanes (project, operation, deployment);
	CREATE TABLE review_items (
		project       TEXT   NOT NULL,
		id            TEXT   NOT NULL,
		operation     BIGINT NOT NULL,
		deployment    TEXT   NOT NULL,
		state         BIGINT NOT NULL,
		kind          BIGINT NOT NULL,
		lane          BIGINT NOT NULL,
		rank          DOUBLE PRECISION NOT NULL,
		due           BIGINT NOT NULL,
		since         BIGINT NOT NULL,
		decided       BIGINT NOT NULL,
		created       BIGINT NOT NULL,
		priority      BIGINT NOT NULL,
		harm          DOUBLE PRECISION NOT NULL,
		uncertainty   DOUBLE PRECISION NOT NULL,
		label         TEXT   NOT NULL,
		locale        TEXT   NOT NULL,
		content       TEXT   NOT NULL,
		skills        TEXT   NOT NULL,
		seen          TEXT   NOT NULL,
		sha           BLOB   NOT NULL,
		second        BIGINT NOT NULL,
		role          BIGINT NOT NULL,
		round         BIGINT NOT NULL,
		not_sure      BIGINT NOT NULL,
		escalated     BIGINT NOT NULL,
		lease         TEXT   NOT NULL,
		lease_key     TEXT   NOT NULL,
		person        TEXT   NOT NULL,
		lease_from    BIGINT NOT NULL,
		lease_until   BIGINT NOT NULL,
		undo_until    BIGINT NOT NULL,
		verdict       TEXT   NOT NULL,
		verdict_label TEXT   NOT NULL,
		gold          TEXT   NOT NULL,
		closed        BIGINT NOT NULL,
		PRIMARY KEY (project, id)
	);
	CREATE INDEX review_items_next    ON review_items (lane, rank DESC, id) WHERE state = 1;
	CREATE INDEX review_items_due     ON review_items (lane, due, id) WHERE state = 1;
	CREATE INDEX review_items_same    ON review_items (project, sha) WHERE state = 1;
	CREATE INDEX review_items_leased  ON review_items (lease_until) WHERE state = 2;
	CREATE INDEX review_items_decided ON review_items (undo_until) WHERE state = 3;
	CREATE INDEX review_items_late    ON review_items (due) WHERE state <= 2 AND escalated = 0;
	CREATE INDEX review_items_list    ON review_items (project, operation, deployment, state, id);
	CREATE TABLE review_records (
		project TEXT NOT NULL,
		id      TEXT NOT NULL,
		subject TEXT NOT NULL,
		record  BLOB NOT NULL,
		search  TEXT NOT NULL,
		PRIMARY KEY (project, id)
	);
	CREATE INDEX review_records_subject ON review_records (project, subject) WHERE subject <> '';
	CREATE TABLE review_bands (
		project TEXT   NOT NULL,
		band    BIGINT NOT NULL,
		id      TEXT   NOT NULL
	);
	CREATE INDEX review_bands_key ON review_bands (project, band);
	CREATE TABLE review_verdicts (
		project    TEXT   NOT NULL,
		id         TEXT   NOT NULL,
		item       TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		state      BIGINT NOT NULL,
		round      BIGINT NOT NULL,
		person     TEXT   NOT NULL,
		lease      TEXT   NOT NULL,
		answer     TEXT   NOT NULL,
		blind      BIGINT NOT NULL,
		gold       TEXT   NOT NULL,
		created    BIGINT NOT NULL,
		settled    BIGINT NOT NULL,
		message    BLOB   NOT NULL,
		PRIMARY KEY (project, id)
	);
	CREATE INDEX review_verdicts_item   ON review_verdicts (project, item, created, id);
	CREATE INDEX review_verdicts_queue  ON review_verdicts (project, operation, deployment, settled);
	CREATE INDEX review_verdicts_person ON review_verdicts (project, person, created);
	CREATE TABLE review_history (
		project TEXT   NOT NULL,
		item    TEXT   NOT NULL,
		entry   TEXT   NOT NULL,
		time    BIGINT NOT NULL,
		kind    BIGINT NOT NULL,
		person  TEXT   NOT NULL,
		note    TEXT   NOT NULL,
		PRIMARY KEY (project, item, entry)
	);
	CREATE TABLE review_gold (
		project    TEXT   NOT NULL,
		id         TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		source     TEXT   NOT NULL,
		answer     BLOB   NOT NULL,
		record     BLOB   NOT NULL,
		answered   BIGINT NOT NULL,
		errors     BIGINT NOT NULL,
		deleted    BIGINT NOT NULL,
		created    BIGINT NOT NULL,
		PRIMARY KEY (project, id)
	);
	CREATE INDEX review_gold_queue ON review_gold (project, operation, deployment, id) WHERE deleted = 0;
	CREATE TABLE review_gold_served (
		project TEXT   NOT NULL,
		person  TEXT   NOT NULL,
		gold    TEXT   NOT NULL,
		served  BIGINT NOT NULL,
		PRIMARY KEY (project, person, gold)
	);
	CREATE TABLE review_reviewers (
		project TEXT   NOT NULL,
		name    TEXT   NOT NULL,
		skills  TEXT   NOT NULL,
		updated BIGINT NOT NULL,
		PRIMARY KEY (project, name)
	);
	CREATE TABLE review_feedback (
		project  TEXT   NOT NULL,
		id       TEXT   NOT NULL,
		decision TEXT   NOT NULL,
		message  BLOB   NOT NULL,
		created  BIGINT NOT NULL,
		PRIMARY KEY (project, id)
	);
	CREATE INDEX review_feedback_decision ON review_feedback (project, decision, created, id)`,
	// Many items may be alike: taking one out must not look at all of them.
	`DROP INDEX review_bands_key;
	CREATE INDEX review_bands_key ON review_bands (project, band, id)`,
	// What was done long ago goes. What stays of an item keeps its decision from becoming one again. Feedback and test items are found by whose data they hold, also when the
	// item is gone; feedback of before has NULL until somebody asks (erase.go).
	`CREATE TABLE review_retired (
		project    TEXT   NOT NULL,
		id         TEXT   NOT NULL,
		operation  BIGINT NOT NULL,
		deployment TEXT   NOT NULL,
		state      BIGINT NOT NULL,
		kind       BIGINT NOT NULL,
		decided    BIGINT NOT NULL,
		created    BIGINT NOT NULL,
		closed     BIGINT NOT NULL,
		retired    BIGINT NOT NULL,
		round      BIGINT NOT NULL,
		seen       TEXT   NOT NULL,
		answer     TEXT   NOT NULL,
		PRIMARY KEY (project, id)
	);
	CREATE INDEX review_items_closed     ON review_items (project, closed) WHERE state >= 4;
	CREATE INDEX review_feedback_created ON review_feedback (project, created);
	CREATE INDEX review_gold_deleted     ON review_gold (project, deleted) WHERE deleted <> 0;
	CREATE INDEX review_served_time      ON review_gold_served (project, served);
	ALTER TABLE review_feedback ADD COLUMN subject TEXT;
	CREATE INDEX review_feedback_subject ON review_feedback (project, subject) WHERE subject <> '';
	CREATE INDEX review_feedback_unread  ON review_feedback (project, id) WHERE subject IS NULL;
	ALTER TABLE review_gold ADD COLUMN subject TEXT NOT NULL DEFAULT '';
	UPDATE review_gold SET subject = COALESCE((SELECT r.subject FROM review_records r WHERE r.project = review_gold.project AND r.id = review_gold.source), '');
	CREATE INDEX review_gold_subject     ON review_gold (project, subject) WHERE subject <> ''`,
	// How items fared that took part in a choice of what to label first: each once.
	`CREATE TABLE review_selections (
		project     TEXT   NOT NULL,
		item        TEXT   NOT NULL,
		selection   TEXT   NOT NULL,
		chosen      BIGINT NOT NULL,
		probability DOUBLE PRECISION NOT NULL,
		least       DOUBLE PRECISION NOT NULL,
		PRIMARY KEY (project, item)
	);
	CREATE INDEX review_selections_of ON review_selections (project, selection)`,
	// What finds items by their likes is kept in runs (runs.go). Equal inputs are found by it too; those without a text get the key of their hash when the service runs.
	`CREATE TABLE review_runs (
		run     BIGINT NOT NULL PRIMARY KEY,
		project TEXT   NOT NULL,
		level   BIGINT NOT NULL,
		n       BIGINT NOT NULL,
		oldest  TEXT   NOT NULL,
		newest  TEXT   NOT NULL,
		target  BIGINT NOT NULL
	);
	CREATE INDEX review_runs_project ON review_runs (project);
	CREATE INDEX review_runs_target  ON review_runs (target);
	CREATE TABLE review_keys (
		run  BIGINT NOT NULL,
		band BIGINT NOT NULL,
		id   TEXT   NOT NULL,
		PRIMARY KEY (run, band, id)
	) WITHOUT ROWID;
	CREATE TABLE review_unkeyed (
		project TEXT NOT NULL,
		id      TEXT NOT NULL,
		PRIMARY KEY (project, id)
	);
	INSERT INTO review_runs (run, project, level, n, oldest, newest, target)
		SELECT ROW_NUMBER() OVER (ORDER BY b.project), b.project, 2, count(*), min(b.id), max(b.id), 0 FROM (SELECT DISTINCT project, band, id FROM review_bands) b GROUP BY b.project;
	INSERT INTO review_keys (run, band, id)
		SELECT DISTINCT r.run, b.band, b.id FROM review_bands b JOIN review_runs r ON r.project = b.project ORDER BY r.run, b.band, b.id;
	INSERT INTO review_unkeyed (project, id)
		SELECT i.project, i.id FROM review_items i LEFT JOIN (SELECT DISTINCT project, id FROM review_bands) b ON b.project = i.project AND b.id = i.id
		WHERE i.state <= 3 AND i.gold = '' AND b.id IS NULL;
	DROP TABLE review_bands;
	DROP INDEX review_items_same`,
}
