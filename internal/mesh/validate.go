package mesh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const maxViolations = 20 // sent at most; a batch can break a rule a thousand times

// decides ends the scopes of the methods that applications wait for.
const decides = ":decide"

// compiled returns the validator when it is ready.
type compiled func() (protovalidate.Validator, error)

// compileRules compiles the rules of the requests that are decided about, so that no such call pays for it. That takes 10 ms and more, a
// good part of a cold start, and therefore happens beside the rest of it; Serve waits. The other requests' rules are compiled when one comes
// first: all of them together held 4 to 7 MiB of an idle process.
func compileRules() compiled {
	c := sync.OnceValues(newValidator)
	go func() { _, _ = c() }()
	return c
}

func newValidator() (protovalidate.Validator, error) {
	var messages []protoreflect.MessageDescriptor
	eachMethod(func(_ string, d protoreflect.MethodDescriptor) {
		if strings.HasSuffix(PolicyOf(d).GetScope(), decides) {
			messages = append(messages, d.Input())
		}
	})
	v, err := protovalidate.New(protovalidate.WithMessageDescriptors(messages...))
	if err != nil {
		return nil, fmt.Errorf("compile validation rules: %w", err)
	}
	return v, nil
}

// validation has every message checked against the rules of the contract, when it is received.
func validation(rules compiled) Middleware {
	check := func(msg any) error {
		v, err := rules()
		if err != nil {
			return err
		}
		return validate(v, msg)
	}
	return Middleware{Name: "validate", Wrap: func(m *Method, next Handler) Handler {
		if m.Open {
			return next
		}
		return func(ctx context.Context, c *Call) error {
			// What the product asks of itself was made by this release, and is asked while a cold start still compiles the rules.
			if !c.InProcess || !c.Caller.System {
				c.check = check
			}
			return next(ctx, c)
		}
	}}
}

func validate(v protovalidate.Validator, msg any) error {
	m, ok := msg.(proto.Message)
	if !ok {
		return errNotProto(msg)
	}
	err := v.Validate(m)
	if err == nil {
		return nil
	}
	var broken *protovalidate.ValidationError
	if !errors.As(err, &broken) || len(broken.Violations) == 0 {
		return fmt.Errorf("validate %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	text := describeViolation(broken.Violations[0])
	if n := len(broken.Violations) - 1; n > 0 {
		text = fmt.Sprintf("%s (and %d more)", text, n)
	}
	f := fault.New(commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "%s", text)
	for _, b := range broken.Violations[:min(len(broken.Violations), maxViolations)] {
		f = f.Field(protovalidate.FieldPathString(b.Proto.GetField()), b.Proto.GetMessage())
	}
	return f
}

func describeViolation(v *protovalidate.Violation) string {
	if path := protovalidate.FieldPathString(v.Proto.GetField()); path != "" {
		return path + ": " + v.Proto.GetMessage()
	}
	return v.Proto.GetMessage()
}
