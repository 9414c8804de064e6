package db

import (
	"context"
	"database/sql"
	"strings"
)

// statement is a statement in a transaction, and its prepared form from the second execution on: reading a statement takes SQLite as long as a small insert
// does, and loops execute the same one a thousand times.
type statement struct {
	tx       *sql.Tx
	text     string
	prepared *sql.Stmt // closed with the transaction; nil for the first execution, and where the driver remembers statements by itself
}

// statement returns a statement to execute.
func (t *Tx) statement(query string) (statement, error) {
	s := statement{tx: t.tx}
	if !t.dialect.forgetsStatements() {
		s.text = t.dialect.bind(query)
		return s, nil
	}
	prepared, again := t.statements[query]
	if prepared != nil {
		s.prepared = prepared
		return s, nil
	}
	s.text = t.dialect.bind(query)
	if again {
		var err error
		if s.prepared, err = t.tx.PrepareContext(t.ctx, s.text); err != nil {
			return s, err
		}
	}
	if t.statements == nil {
		t.statements = map[string]*sql.Stmt{}
	}
	t.statements[query] = s.prepared
	return s, nil
}

func (s statement) exec(ctx context.Context, args []any) (sql.Result, error) {
	if s.prepared != nil {
		return s.prepared.ExecContext(ctx, args...)
	}
	return s.tx.ExecContext(ctx, s.text, args...)
}

func (s statement) query(ctx context.Context, args []any) (*sql.Rows, error) {
	if s.prepared != nil {
		return s.prepared.QueryContext(ctx, args...)
	}
	return s.tx.QueryContext(ctx, s.text, args...)
}

func (s statement) row(ctx context.Context, args []any) *sql.Row {
	if s.prepared != nil {
		return s.prepared.QueryRowContext(ctx, args...)
	}
	return s.tx.QueryRowContext(ctx, s.text, args...)
}

// Marks returns n parameter marks, as they stand in a list: "?, ?, ?".
func Marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
