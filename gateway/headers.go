package gateway

import "net/http"

// forwarded lists the request headers that reach services, with their metadata names. Nothing else does: a header that
// means something inside must not be set from outside by accident. Authorization is not listed, because grpc-gateway always forwards it.
var forwarded = map[string]string{
	"Traceparent":     "traceparent",
	"Tracestate":      "tracestate",
	"X-Request-Id":    "x-request-id",
	"Idempotency-Key": "idempotency-key",
}

func incomingHeader(name string) (string, bool) {
	to, ok := forwarded[http.CanonicalHeaderKey(name)]
	return to, ok
}

func outgoingHeader(name string) (string, bool) {
	if name == "x-request-id" {
		return "X-Request-Id", true
	}
	return "", false
}
