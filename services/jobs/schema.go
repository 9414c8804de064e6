package jobs

// state is where a task stands. A delayed or leased task whose time has come counts as ready wherever it is looked at; it becomes so in the
// table when a pull or the sweep meets it.
type state int64

const (
	delayed state = 1 // due says when it becomes ready
	ready   state = 2 // due says since when
	leased  state = 3 // due says when the lease ends
	done    state = 4 // due says when its id is forgotten
	dead    state = 5 // likewise
)

// taskSteps are the migrations of the queues' tables. Queues have numbers so that a task's three keys stay short; bodies lie apart, so that a
// change of state does not write them again. The counters of a queue are kept with it: counting a million rows would take too long.
var taskSteps = []string{
	`CREATE TABLE task_numbers (
		name TEXT   NOT NULL PRIMARY KEY,
		last BIGINT NOT NULL
	);
	CREATE TABLE task_queues (
		project TEXT   NOT NULL,
		name    TEXT   NOT NULL,
		number  BIGINT NOT NULL UNIQUE,
		last    BIGINT NOT NULL,
		delayed BIGINT NOT NULL,
		ready   BIGINT NOT NULL,
		leased  BIGINT NOT NULL,
		dead    BIGINT NOT NULL,
		PRIMARY KEY (project, name)
	);
	CREATE TABLE tasks (
		queue     BIGINT NOT NULL,
		id        TEXT   NOT NULL,
		number    BIGINT NOT NULL,
		state     BIGINT NOT NULL,
		due       BIGINT NOT NULL,
		attempt   BIGINT NOT NULL,
		lease     TEXT   NOT NULL,
		digest    BLOB   NOT NULL,
		size      BIGINT NOT NULL,
		published BIGINT NOT NULL,
		reason    TEXT   NOT NULL,
		PRIMARY KEY (queue, id)
	);
	CREATE INDEX tasks_next ON tasks (queue, state, due, number);
	CREATE TABLE task_bodies (
		queue   BIGINT NOT NULL,
		number  BIGINT NOT NULL,
		body    BLOB   NOT NULL,
		headers BLOB   NOT NULL,
		PRIMARY KEY (queue, number)
	)`,
}
