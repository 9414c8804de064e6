package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/status"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// explain returns what went wrong for a person: the server's message, and what would help where that is known.
func explain(err error) string {
	if _, ok := status.FromError(err); !ok {
		if errors.Is(err, context.Canceled) {
			return "stopped"
		}
		return err.Error()
	}
	f := fault.From(err)
	text := f.Message()
	if hint := hints[f.Reason()]; hint != "" {
		text += "\n" + hint
	}
	return text
}

// hints say what to do about the reasons that a newcomer meets.
var hints = map[commonv1.ErrorReason]string{
	commonv1.ErrorReason_ERROR_REASON_KEY_MISSING:            "Name a key with --key-file FILE or the variable SWITCHYARD_KEY. \"switchyard serve\" prints one at its first start.",
	commonv1.ErrorReason_ERROR_REASON_KEY_INVALID:            "Check --key-file or SWITCHYARD_KEY: is the key from this server, and complete?",
	commonv1.ErrorReason_ERROR_REASON_KEY_EXPIRED:            "Make a new key with \"switchyard keys create\".",
	commonv1.ErrorReason_ERROR_REASON_SCOPE_MISSING:          "Make a key that holds the scope with \"switchyard keys create --scope …\".",
	commonv1.ErrorReason_ERROR_REASON_DEPLOYMENT_NOT_FOUND:   "Deploy one with \"switchyard train --operation … --deployment … --input …\".",
	commonv1.ErrorReason_ERROR_REASON_MODEL_NOT_DEPLOYED:     "Deploy a model with \"switchyard train --operation … --deployment … --input …\".",
	commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE: "Is the server running, and is --server (or SWITCHYARD_SERVER) its address? Start one with \"switchyard serve\".",
}

// each prefixes an error with what was attempted.
func each(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}
