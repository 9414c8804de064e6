package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// oldestPostgres is what the suite runs against.
	oldestPostgres = 150000
	// idleInTransaction ends the session of a process that stopped in the middle of a transaction, so that it does not hold the writers'
	// lock for ever.
	idleInTransaction = 10 * time.Second
	// writersLock is the first half of the advisory lock's key, "SWYD"; the second is the schema, so that installations can share a database.
	writersLock = 0x53575944
)

// openPostgres opens one connection that writes and a pool that reads, as with SQLite: writers of a process queue here, and the
// database sees one of them a process.
func openPostgres(ctx context.Context, cfg Config) (*DB, error) {
	config, err := postgresConfig(cfg)
	if err != nil {
		return nil, err
	}
	d := &DB{dialect: postgresDialect{}, log: cfg.Log}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.write = postgresPool(config, 1)
	d.read = postgresPool(config, cfg.Readers)
	if err := d.waitForPostgres(ctx, cfg.StartTimeout); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

func postgresPool(config *pgx.ConnConfig, size int) *sql.DB {
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxLifetime(time.Hour) // after a failover behind one address the connections spread again
	return pool
}

// postgresConfig reads the URL and adds what it leaves open. Everything that libpq understands stands: sslmode, sslrootcert, passfile,
// options, several hosts, the PG* variables. Where nothing says how far to trust the way to a host beyond this machine, sslmode is verify-full.
func postgresConfig(cfg Config) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		return nil, unreadable(err)
	}
	if !local(config) && os.Getenv("PGSSLMODE") == "" && !strings.Contains(cfg.URL, "sslmode=") {
		mark := "?"
		if strings.Contains(cfg.URL, "?") {
			mark = "&"
		}
		if config, err = pgx.ParseConfig(cfg.URL + mark + "sslmode=verify-full"); err != nil {
			return nil, unreadable(err)
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = max(cfg.BusyTimeout, time.Second)
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	config.DialFunc = dialer.DialContext
	if config.ValidateConnect == nil { // after a failover: the host that writes
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	for name, value := range map[string]string{
		"application_name":                    "switchyard",
		"synchronous_commit":                  "on", // what Tx promises: a commit that returned is on disk
		"lock_timeout":                        milliseconds(max(cfg.BusyTimeout, time.Millisecond)),
		"statement_timeout":                   milliseconds(cfg.StatementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleInTransaction),
	} {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// local says whether all hosts of a configuration are this machine: a socket or loopback.
func local(config *pgx.ConnConfig) bool {
	hosts := []string{config.Host}
	for _, f := range config.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	return !slices.ContainsFunc(hosts, func(host string) bool {
		ip := net.ParseIP(host)
		return host != "localhost" && !strings.HasPrefix(host, "/") && (ip == nil || !ip.IsLoopback())
	})
}

// unreadable hands on why a URL cannot be read, without the URL: the driver hides a password that it recognises, and only that.
func unreadable(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) && errors.Unwrap(parse) != nil {
		return fmt.Errorf("%w", errors.Unwrap(parse))
	}
	return errors.New("cannot be read")
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// waitForPostgres waits until the server answers: one that is still starting, or recovers, is no reason to give up. A wrong password is.
func (d *DB) waitForPostgres(ctx context.Context, timeout time.Duration) error {
	began := time.Now()
	for {
		err := d.checkPostgres(ctx)
		if err == nil || !errors.Is(d.dialect.classify(err), errDown) || refused(err) || time.Since(began) >= timeout {
			return err
		}
		d.log.WarnContext(ctx, "waiting for the database", "error", err)
		select {
		case <-time.After(min(time.Second, max(timeout-time.Since(began), time.Millisecond))):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

func (d *DB) checkPostgres(ctx context.Context) error {
	var version int
	var fsync, encoding string
	err := d.write.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('server_encoding')`).
		Scan(&version, &fsync, &encoding)
	switch {
	case err != nil:
		return err
	case version < oldestPostgres:
		return fmt.Errorf("server is Postgres %d, at least %d is needed", version/10000, oldestPostgres/10000)
	case encoding != "UTF8":
		return fmt.Errorf("database is encoded in %s, UTF8 is needed", encoding)
	case fsync != "on":
		d.log.WarnContext(ctx, "the database server runs with fsync off: a power cut loses what was acknowledged")
	}
	return nil
}

type postgresDialect struct{}

var _ dialect = postgresDialect{}

func (postgresDialect) bind(query string) string  { return numbered(query) }
func (postgresDialect) forgetsStatements() bool   { return false }
func (postgresDialect) schema(step string) string { return postgresTypes(step) }

func (postgresDialect) view() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (postgresDialect) write() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// begun takes the lock of the writers. At READ COMMITTED every later statement sees what the writers before have committed, and nobody
// else writes: the transaction is as alone as on SQLite. A snapshot of a stricter level would be older than the lock. The number of
// the transaction comes along, to ask after it when the answer to the commit is lost.
func (postgresDialect) begun(tx *Tx, patient bool) error {
	if patient {
		_, err := tx.tx.ExecContext(tx.ctx, `SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`)
		if err != nil {
			return err
		}
	}
	var void sql.RawBytes
	rows, err := tx.tx.QueryContext(tx.ctx,
		`SELECT pg_current_xact_id()::text, pg_advisory_xact_lock($1, hashtext(current_schema()))::text`, writersLock)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&tx.number, &void); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scrub leaves it to the server.
func (postgresDialect) scrub(context.Context, *sql.DB) (bool, error) { return true, nil }

func (postgresDialect) hasTable(tx *Tx, name string) (bool, error) {
	var one int
	return tx.Get(`SELECT 1 WHERE to_regclass(?) IS NOT NULL`, []any{name}, &one)
}

// committed asks whether a transaction took place whose commit was not answered.
func (postgresDialect) committed(ctx context.Context, pool *sql.DB, number string) (bool, error) {
	for {
		var status sql.NullString
		err := pool.QueryRowContext(ctx, `SELECT pg_xact_status($1::xid8)`, number).Scan(&status)
		if err == nil && status.String != "in progress" {
			if status.String == "" {
				return false, fmt.Errorf("transaction %s is forgotten", number)
			}
			return status.String == "committed", nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return false, errors.Join(err, context.Cause(ctx))
		}
	}
}
