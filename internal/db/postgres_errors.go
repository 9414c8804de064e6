package db

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Codes and classes of errors: https://www.postgresql.org/docs/15/errcodes-appendix.html.
var (
	conflictCodes = []string{
		"23505", // unique_violation
		"23503", // foreign_key_violation
	}
	// fullCodes leave out 53200 and 53300, memory and connections: those pass without anybody making room.
	fullCodes = []string{"53100"} // disk_full
	downCodes = []string{
		"25006",                            // read_only_sql_transaction: this host became a standby
		"25P03",                            // idle_in_transaction_session_timeout
		"40001", "40P01", "40003", "55P03", // serialization, deadlock, unknown completion, lock_not_available
		"53000", "53200", "53300", "53400", // resources of the server
		"57014", "57P01", "57P02", "57P03", "57P04", "57P05", // cancelled by a timeout, shut down, crashed, starting
		"28000", "28P01", "3D000", "42501", // a password, database or permission that no longer is
	}
	downClasses = []string{
		"08", // connection
		"58", // system error: input and output
		"XX", // internal error: damaged data
	}
)

func (postgresDialect) classify(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case slices.Contains(conflictCodes, e.Code):
			return fmt.Errorf("%w: %w", ErrConflict, err)
		case slices.Contains(fullCodes, e.Code):
			return fmt.Errorf("%w: %w", errFull, err)
		case slices.Contains(downCodes, e.Code), len(e.Code) == 5 && slices.Contains(downClasses, e.Code[:2]):
			return fmt.Errorf("%w: %w", errDown, err)
		}
		return err
	}
	if lost(err) {
		return fmt.Errorf("%w: %w", errDown, err)
	}
	return err
}

// lost says whether an error means that the connection is gone or could not be made, as opposed to an answer of the server.
func lost(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	for _, is := range []error{
		driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, pgconn.ErrConnClosed, pgx.ErrTxClosed, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err)
}

// refused says whether the server answered that it does not let us in: waiting does not help then.
func refused(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && slices.Contains([]string{"28000", "28P01", "3D000", "42501"}, e.Code)
}
