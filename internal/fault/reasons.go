package fault

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// InvalidField says that one field of the request breaks a rule; the formatted text says what the rule asks for.
func InvalidField(field, format string, args ...any) *Error {
	rule := fmt.Sprintf(format, args...)
	return New(commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "%s: %s", field, rule).Field(field, rule)
}

// Malformed says that the body cannot be read at all; the formatted text names the problem.
func Malformed(format string, args ...any) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_MALFORMED_REQUEST, format, args...)
}

// RequestTooLarge says that the request has more than limit bytes.
func RequestTooLarge(limit int64) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_REQUEST_TOO_LARGE, "request has more than %d bytes", limit).
		With("limitBytes", strconv.FormatInt(limit, 10))
}

// UnsupportedMediaType says that a route does not read this Content-Type; accepted is the one that it reads.
func UnsupportedMediaType(contentType, accepted string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_UNSUPPORTED_MEDIA_TYPE, "content type %s is not supported, send %s",
		contentType, accepted).With("contentType", contentType)
}

// RouteNotFound says that no method answers at the path.
func RouteNotFound(path string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_ROUTE_NOT_FOUND, "no method at %s; see /docs", path).With("path", path)
}

// MethodNotAllowed says that the path answers to other HTTP methods; allow lists them as the header Allow does.
func MethodNotAllowed(method, allow string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED, "method %s is not allowed here, use %s", method, allow).
		With("method", method).With("allow", allow)
}

// KeyMissing says that the call carries no API key.
func KeyMissing() *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_KEY_MISSING, "no API key; send Authorization: Bearer KEY")
}

// KeyInvalid says that the API key is not one of ours.
func KeyInvalid() *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_KEY_INVALID, "API key is not valid")
}

// KeyExpired says that the key with this id was valid until t.
func KeyExpired(id string, t time.Time) *Error {
	at := t.UTC().Format(time.RFC3339)
	return New(commonv1.ErrorReason_ERROR_REASON_KEY_EXPIRED, "API key %s expired at %s", id, at).
		With("keyId", id).With("expiredAt", at)
}

// KeyRevoked says that the key with this id was revoked.
func KeyRevoked(id string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_KEY_REVOKED, "API key %s was revoked", id).With("keyId", id)
}

// ScopeMissing says that the key is valid but does not hold the scope.
func ScopeMissing(scope string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_SCOPE_MISSING, "API key lacks the scope %s", scope).With("scope", scope)
}

// DeploymentNotFound says that the project has no deployment of that name for the operation.
func DeploymentNotFound(op commonv1.Operation, name string) *Error {
	d := OperationName(op) + "/" + name
	return New(commonv1.ErrorReason_ERROR_REASON_DEPLOYMENT_NOT_FOUND, "deployment %s does not exist in this project", d).
		With("deployment", d)
}

// ModelNotDeployed says that the deployment exists but nothing serves it.
func ModelNotDeployed(op commonv1.Operation, name string) *Error {
	d := OperationName(op) + "/" + name
	return New(commonv1.ErrorReason_ERROR_REASON_MODEL_NOT_DEPLOYED, "nothing serves %s yet; train or deploy a version", d).
		With("deployment", d)
}

// ModelNotFound says that the project has no model of that name.
func ModelNotFound(name string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_MODEL_NOT_FOUND, "model %s does not exist in this project", name).
		With("model", name)
}

// VersionNotFound says that the model has no such version.
func VersionNotFound(name string, version int32) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_VERSION_NOT_FOUND, "model %s has no version %d", name, version).
		With("model", name).With("version", strconv.Itoa(int(version)))
}

// ArtifactInvalid says that an uploaded artifact is not a model file. The text of problem is sent: it must come from the loader.
func ArtifactInvalid(problem error) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_ARTIFACT_INVALID, "artifact is not a valid model file: %v", problem).
		With("problem", problem.Error())
}

// InputMismatch says that a field of the input does not fit the deployed model; problem says what it must be.
func InputMismatch(field, problem string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_INPUT_MISMATCH, "%s: %s", field, problem).
		With("field", field).Field(field, problem)
}

// OperationMismatch says that a version was trained for operation got and the deployment is one of operation want.
func OperationMismatch(want, got commonv1.Operation) *Error {
	w, g := OperationName(want), OperationName(got)
	return New(commonv1.ErrorReason_ERROR_REASON_OPERATION_MISMATCH, "version was trained for %s, deployment is %s", g, w).
		With("want", w).With("got", g)
}

// NotFound says that the project has no thing of that kind and name, such as NotFound("rule", "r1").
func NotFound(kind, name string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_NOT_FOUND, "%s %s does not exist in this project", kind, name).
		With("name", name)
}

// AlreadyExists says that a thing of that kind and name exists already.
func AlreadyExists(kind, name string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_ALREADY_EXISTS, "%s %s exists already", kind, name).With("name", name)
}

// VersionConflict says that the caller sent revision sent while the thing is at revision current.
func VersionConflict(kind, name string, current, sent int64) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_VERSION_CONFLICT, "%s %s is at revision %d, request was for %d",
		kind, name, current, sent).With("current", strconv.FormatInt(current, 10))
}

// RateLimited says that the project calls more often than perSecond; wait is when the next call would pass.
func RateLimited(project string, perSecond float64, wait time.Duration) *Error {
	limit := strconv.FormatFloat(perSecond, 'g', -1, 64)
	e := New(commonv1.ErrorReason_ERROR_REASON_RATE_LIMITED, "project %s is limited to %s calls per second", project, limit)
	return e.With("limit", limit+" per second").RetryAfter(wait)
}

// ConcurrencyLimited says that the project has inFlight calls in flight and may not have more than limit.
func ConcurrencyLimited(project string, inFlight, limit int, wait time.Duration) *Error {
	e := New(commonv1.ErrorReason_ERROR_REASON_CONCURRENCY_LIMITED, "project %s has %d calls in flight, limit %d",
		project, inFlight, limit)
	return e.With("limit", strconv.Itoa(limit)).RetryAfter(wait)
}

// QuotaExceeded says that the caller's project holds limit of thing (a plural, such as "rules") and may not have more.
func QuotaExceeded(thing string, limit int64) *Error {
	e := New(commonv1.ErrorReason_ERROR_REASON_QUOTA_EXCEEDED, "project has %d %s, limit %d", limit, thing, limit)
	e = e.With("thing", thing).With("limit", strconv.FormatInt(limit, 10))
	e.quota = thing
	return e
}

// StorageFull says that the journal holds the limitBytes that it may; 0 means that the disk itself is full.
func StorageFull(limitBytes int64) *Error {
	if limitBytes <= 0 {
		return New(commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL, "disk is full")
	}
	return New(commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL, "journal is full, limit %d bytes", limitBytes).
		With("limitBytes", strconv.FormatInt(limitBytes, 10))
}

// DeadlineExceeded says that the deadline passed before the answer was ready.
func DeadlineExceeded() *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED, "deadline passed")
}

// Cancelled says that the caller went away.
func Cancelled() *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_CANCELLED, "call was cancelled by the caller")
}

// Unavailable says that something that the answer needs is down, such as "journal".
func Unavailable(dependency string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE, "%s is unavailable", dependency).
		With("dependency", dependency)
}

// ShuttingDown says that the server is draining.
func ShuttingDown() *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN, "server is shutting down")
}

// Unimplemented says that the full method, such as "/switchyard.routing.v1.RoutingService/Foo", is not served here.
func Unimplemented(method string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED, "method is not served here").With("method", method)
}

// LeaseLost says that the lease on the thing of that kind and name, such as LeaseLost("task", "42"), is not the caller's any more.
func LeaseLost(kind, name string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_LEASE_LOST, "lease on %s %s ended", kind, name).With("name", name)
}

// WorkersLost says that so many workers were lost in the step of a run.
func WorkersLost(step string, workers int64) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_WORKERS_LOST, "%d workers were lost in step %s", workers, step).
		With("step", step).With("workers", strconv.FormatInt(workers, 10))
}

// ItemClosed says that the review item has its verdict or was withdrawn.
func ItemClosed(id string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_ITEM_CLOSED, "review item %s is closed", id).With("name", id)
}

// LabelUnknown says that the deployment does not know the label; nearest is the one that was most probably meant, empty for none.
func LabelUnknown(label, nearest string) *Error {
	if nearest == "" {
		return New(commonv1.ErrorReason_ERROR_REASON_LABEL_UNKNOWN, "label %q is none of the deployment's", label).With("label", label)
	}
	return New(commonv1.ErrorReason_ERROR_REASON_LABEL_UNKNOWN, "label %q is none of the deployment's; the nearest is %q", label, nearest).
		With("label", label).With("nearest", nearest)
}

// IdempotencyKeyReused says that the key was used for another request before.
func IdempotencyKeyReused(key string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_IDEMPOTENCY_KEY_REUSED, "idempotency key was used for another request").With("key", key)
}

// InputNotRecorded says that the record of a decision does not hold its input as it was; retention says what became of it: "redacted", "absent" or "erased".
func InputNotRecorded(decisionID, retention string) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_INPUT_NOT_RECORDED, "the input of decision %s is %s, so it cannot be repeated", decisionID, retention).
		With("retention", retention)
}

// RevisionNotFound says that a deployment has no such revision; 0 stands for the one before the last change.
func RevisionNotFound(op commonv1.Operation, name string, revision int64) *Error {
	d := OperationName(op) + "/" + name
	if revision == 0 {
		return New(commonv1.ErrorReason_ERROR_REASON_REVISION_NOT_FOUND, "deployment %s has nothing to go back to", d).With("deployment", d)
	}
	return New(commonv1.ErrorReason_ERROR_REASON_REVISION_NOT_FOUND, "deployment %s has no revision %d", d, revision).
		With("deployment", d).With("revision", strconv.FormatInt(revision, 10))
}

// Internal hides a defect: the caller learns nothing of err, the log gets all of it.
func Internal(err error) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_INTERNAL, "internal error").Cause(err)
}

// OperationName returns an operation as people write it, such as "routing".
func OperationName(op commonv1.Operation) string {
	return strings.ToLower(strings.TrimPrefix(op.String(), "OPERATION_"))
}

// PromotionRefused says that a version may not answer yet, for the reason in format. gate names what refused.
func PromotionRefused(gate, format string, args ...any) *Error {
	return New(commonv1.ErrorReason_ERROR_REASON_PROMOTION_REFUSED, format, args...).With("gate", gate)
}
