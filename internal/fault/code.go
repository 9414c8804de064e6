package fault

import (
	"google.golang.org/grpc/codes"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// codeOf repeats what the comments of error_reason.proto promise; a test compares the two.
var codeOf = map[commonv1.ErrorReason]codes.Code{
	commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT:       codes.InvalidArgument,
	commonv1.ErrorReason_ERROR_REASON_MALFORMED_REQUEST:      codes.InvalidArgument,
	commonv1.ErrorReason_ERROR_REASON_REQUEST_TOO_LARGE:      codes.ResourceExhausted,
	commonv1.ErrorReason_ERROR_REASON_UNSUPPORTED_MEDIA_TYPE: codes.InvalidArgument,
	commonv1.ErrorReason_ERROR_REASON_ROUTE_NOT_FOUND:        codes.NotFound,
	commonv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED:     codes.Unimplemented,
	commonv1.ErrorReason_ERROR_REASON_KEY_MISSING:            codes.Unauthenticated,
	commonv1.ErrorReason_ERROR_REASON_KEY_INVALID:            codes.Unauthenticated,
	commonv1.ErrorReason_ERROR_REASON_KEY_EXPIRED:            codes.Unauthenticated,
	commonv1.ErrorReason_ERROR_REASON_KEY_REVOKED:            codes.Unauthenticated,
	commonv1.ErrorReason_ERROR_REASON_SCOPE_MISSING:          codes.PermissionDenied,
	commonv1.ErrorReason_ERROR_REASON_DEPLOYMENT_NOT_FOUND:   codes.NotFound,
	commonv1.ErrorReason_ERROR_REASON_MODEL_NOT_DEPLOYED:     codes.FailedPrecondition,
	commonv1.ErrorReason_ERROR_REASON_MODEL_NOT_FOUND:        codes.NotFound,
	commonv1.ErrorReason_ERROR_REASON_VERSION_NOT_FOUND:      codes.NotFound,
	commonv1.ErrorReason_ERROR_REASON_ARTIFACT_INVALID:       codes.InvalidArgument,
	commonv1.ErrorReason_ERROR_REASON_INPUT_MISMATCH:         codes.InvalidArgument,
	commonv1.ErrorReason_ERROR_REASON_OPERATION_MISMATCH:     codes.FailedPrecondition,
	commonv1.ErrorReason_ERROR_REASON_NOT_FOUND:              codes.NotFound,
	commonv1.ErrorReason_ERROR_REASON_ALREADY_EXISTS:         codes.AlreadyExists,
	commonv1.ErrorReason_ERROR_REASON_VERSION_CONFLICT:       codes.Aborted,
	commonv1.ErrorReason_ERROR_REASON_RATE_LIMITED:           codes.ResourceExhausted,
	commonv1.ErrorReason_ERROR_REASON_CONCURRENCY_LIMITED:    codes.ResourceExhausted,
	commonv1.ErrorReason_ERROR_REASON_QUOTA_EXCEEDED:         codes.ResourceExhausted,
	commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL:           codes.ResourceExhausted,
	commonv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED:      codes.DeadlineExceeded,
	commonv1.ErrorReason_ERROR_REASON_CANCELLED:              codes.Canceled,
	commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE: codes.Unavailable,
	commonv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN:          codes.Unavailable,
	commonv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED:          codes.Unimplemented,
	commonv1.ErrorReason_ERROR_REASON_INTERNAL:               codes.Internal,
	commonv1.ErrorReason_ERROR_REASON_LEASE_LOST:             codes.Aborted,
	commonv1.ErrorReason_ERROR_REASON_ITEM_CLOSED:            codes.FailedPrecondition,
	commonv1.ErrorReason_ERROR_REASON_LABEL_UNKNOWN:          codes.InvalidArgument,
	commonv1.ErrorReason_ERROR_REASON_IDEMPOTENCY_KEY_REUSED: codes.FailedPrecondition,
	commonv1.ErrorReason_ERROR_REASON_INPUT_NOT_RECORDED:     codes.FailedPrecondition,
	commonv1.ErrorReason_ERROR_REASON_PROMOTION_REFUSED:      codes.FailedPrecondition,
	commonv1.ErrorReason_ERROR_REASON_REVISION_NOT_FOUND:     codes.NotFound,
	commonv1.ErrorReason_ERROR_REASON_WORKERS_LOST:           codes.Aborted,
}

// CodeOf returns the gRPC code that the contract gives a reason; INTERNAL for a reason that it does not know.
func CodeOf(r commonv1.ErrorReason) codes.Code {
	if c, ok := codeOf[r]; ok {
		return c
	}
	return codes.Internal
}
