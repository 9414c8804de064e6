// Package answer lets a handler keep its answer in the transaction that has the effect, so that a crash leaves both or neither:
//
//	err := d.Tx(ctx, func(tx *db.Tx) error {
//		… the effect …
//		return answer.Keep(ctx, tx, response)
//	})
//
// A call that is repeated under its idempotency key is then answered from what was kept, also when the crash came before the first answer was sent. Handlers
// whose effect cannot be had twice (its ids follow from the call's seed, or the tables know the repetition) need not do so.
//
// It knows nothing of where answers are kept.
package answer

import (
	"context"

	"google.golang.org/protobuf/proto"
)

// Tx is a transaction; *db.Tx is one.
type Tx interface {
	Exec(query string, args ...any) (int64, error)
}

// Slot holds how the answer of one call is kept.
type Slot struct {
	keep func(tx Tx, answer proto.Message) error
}

type slotKey struct{}

// With returns a context with a slot, which is empty until the call's key is reserved.
func With(ctx context.Context) (context.Context, *Slot) {
	s := &Slot{}
	return context.WithValue(ctx, slotKey{}, s), s
}

// Put says how the answer is kept.
func (s *Slot) Put(keep func(tx Tx, answer proto.Message) error) { s.keep = keep }

// Without returns a context whose calls are not the call's own: what a handler asks of others is not its answer.
func Without(ctx context.Context) context.Context {
	if _, ok := ctx.Value(slotKey{}).(*Slot); !ok {
		return ctx
	}
	return context.WithValue(ctx, slotKey{}, (*Slot)(nil))
}

// Keep keeps the answer of the context's call when the transaction commits. Without an idempotency key there is nothing to do. It fails when another process has
// answered a call with the key meanwhile: then the effect must not be had.
func Keep(ctx context.Context, tx Tx, answer proto.Message) error {
	if s, ok := ctx.Value(slotKey{}).(*Slot); ok && s != nil && s.keep != nil {
		return s.keep(tx, answer)
	}
	return nil
}
