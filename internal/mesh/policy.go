package mesh

import (
	"context"
	"time"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// policies enforces what the contract says of the method: the scope, and a deadline. A method without a policy is refused to
// everybody. The deadline is the contract's where the caller named none, and at most maxDeadline where it did; streams that answer
// with many messages have none of ours, for the contract bounds only the wait for their first answer.
func policies(maxDeadline time.Duration) Middleware {
	return Middleware{Name: "policy", Wrap: func(m *Method, next Handler) Handler {
		if m.Open {
			return next
		}
		if m.Policy == nil || (m.Policy.GetScope() == "") != m.Policy.GetAnyKey() {
			return func(context.Context, *Call) error { return fault.Unimplemented(m.FullName) }
		}
		scope, timeout, bounded := m.Policy.GetScope(), m.Timeout(), !m.ServerStreams
		longest := max(maxDeadline, timeout)
		return func(ctx context.Context, c *Call) error {
			if scope != "" && !c.Caller.Has(scope) {
				return fault.ScopeMissing(scope)
			}
			if !bounded || timeout <= 0 {
				return next(ctx, c)
			}
			end, ok := ctx.Deadline()
			if ok && end.Sub(c.start) <= longest {
				return next(ctx, c)
			}
			d := longest
			if !ok {
				d = timeout
			}
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			return next(ctx, c)
		}
	}}
}
