package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// timeoutHeader is how REST callers set a deadline, as in gRPC: "500m" is half a second.
const timeoutHeader = "Grpc-Timeout"

// errorWriter writes every refusal as google.rpc.Status in JSON with the reason and the usual HTTP status.
type errorWriter struct{ routes *routes }

// handle answers for calls that a service or the gateway's own decoding refused.
func (e *errorWriter) handle(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if source, ok := r.Body.(*callBody); ok {
		if failure := source.failure(); failure != nil {
			err = failure
		}
	}
	e.write(w, r, err)
}

// stream returns the status that ends a stream of answers.
func (e *errorWriter) stream(_ context.Context, err error) *status.Status {
	return asFault(err).Status()
}

// routing answers for paths and methods that no route has.
func (e *errorWriter) routing(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, _ int) {
	e.notFound(w, r)
}

func (e *errorWriter) notFound(w http.ResponseWriter, r *http.Request) {
	if allowed := e.routes.allowed(r.URL.Path); len(allowed) > 0 {
		list := strings.Join(allowed, ", ")
		w.Header().Set("Allow", list)
		e.write(w, r, fault.MethodNotAllowed(r.Method, list))
		return
	}
	e.write(w, r, fault.RouteNotFound(r.URL.Path))
}

func (e *errorWriter) panicked(w http.ResponseWriter, r *http.Request) {
	e.write(w, r, errors.New("panic"))
}

// write answers with the error.
func (e *errorWriter) write(w http.ResponseWriter, r *http.Request, err error) {
	f := asFault(err)
	data, merr := write.Marshal(f.Status().Proto())
	if merr != nil {
		data = []byte(`{"code":13,"message":"internal error","details":[]}`)
	}
	h := w.Header()
	h.Del("Trailer")
	h.Del("Transfer-Encoding")
	h.Set("Content-Type", jsonType)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	if f.Code() == codes.Unauthenticated {
		h.Set("WWW-Authenticate", `Bearer realm="switchyard"`)
	}
	if wait := f.Retry(); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	w.WriteHeader(httpStatus(f, r))
	_, _ = w.Write(data) //nolint:gosec // JSON with its own media type and nosniff
}

// writeLine ends a stream of answers that has begun.
func (e *errorWriter) writeLine(w http.ResponseWriter, err error) {
	line, merr := marshalChunk(map[string]any{"error": asFault(err).Status().Proto()})
	if merr != nil {
		return
	}
	_, _ = w.Write(append(line, '\n'))
}

// asFault returns err as a fault. Statuses without a reason come from the gateway's own decoding of paths, queries and headers.
func asFault(err error) *fault.Error {
	if known, ok := errors.AsType[*fault.Error](err); ok {
		return known
	}
	if s, ok := status.FromError(err); ok && len(s.Details()) == 0 && s.Code() == codes.InvalidArgument {
		return fault.Malformed("%s", strings.ReplaceAll(s.Message(), "\u00a0", " "))
	}
	return fault.From(err)
}

// httpStatus returns the HTTP status for a fault: that of its gRPC code, but for the reasons that HTTP has a better word for.
func httpStatus(f *fault.Error, r *http.Request) int {
	switch f.Reason() {
	case commonv1.ErrorReason_ERROR_REASON_REQUEST_TOO_LARGE:
		return http.StatusRequestEntityTooLarge
	case commonv1.ErrorReason_ERROR_REASON_UNSUPPORTED_MEDIA_TYPE:
		return http.StatusUnsupportedMediaType
	case commonv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED:
		return http.StatusMethodNotAllowed
	case commonv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED:
		// A deadline that the caller set itself is no failure of the server.
		if r.Header.Get(timeoutHeader) != "" {
			return http.StatusRequestTimeout
		}
	default:
	}
	return runtime.HTTPStatusFromCode(f.Code())
}
