package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// ErrConflict means that a statement would break a uniqueness or foreign-key rule of the tables.
var ErrConflict = errors.New("row conflicts with another one")

var (
	errFull = errors.New("disk is full")
	errDown = errors.New("database is not usable")
)

// failed turns what went wrong in a transaction into what callers may see: a full disk and an unusable database are faults that
// pass by themselves or by an operator's hand; everything else is handed on as it is.
func (d *DB) failed(ctx context.Context, op string, err error) error {
	if op != "transaction" { // the errors of statements have been classified already
		err = d.dialect.classify(err)
	}
	if ctx.Err() != nil && !isFault(err) {
		// The driver reports an interrupted statement in several ways; the context knows why.
		err = fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	switch {
	case errors.Is(err, errFull):
		d.log.ErrorContext(ctx, "database cannot grow", "error", err)
		return fault.StorageFull(0).Cause(err)
	case errors.Is(err, errDown):
		d.log.ErrorContext(ctx, "database is not usable", "error", err)
		return fault.Unavailable("database").Cause(err)
	}
	return err
}

func isFault(err error) bool {
	var f *fault.Error
	return errors.As(err, &f)
}
