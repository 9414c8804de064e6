package events

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/switchyard-ai/switchyard/services/events/egress"
)

// maxAnswer bounds what is read of a receiver's answer. It is not kept and not shown: a receiver's answer is none of the caller's business, least of all when the URL leads somewhere it should not.
const maxAnswer = 16 << 10

// attempt is how one try went.
type attempt struct {
	began   time.Time
	latency time.Duration
	status  int           // 0 without an answer
	problem string        // "" when the receiver took the event
	asked   time.Duration // the pause that the receiver asked for
}

// try sends a body to a webhook once.
func (s *Service) try(ctx context.Context, w *webhook, messageID string, body []byte) attempt {
	a := attempt{began: s.now()}
	begun := time.Now()
	defer func() { a.latency = time.Since(begun) }()
	u, err := s.policy.URL(w.spec.GetUrl()) // the policy may be stricter than when the webhook was made
	if err != nil {
		a.problem = err.Error()
		return a
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		a.problem = "the URL cannot be called"
		return a
	}
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	req.Header.Set("User-Agent", "Switchyard-Webhooks/1")
	secrets, err := w.secrets(s.vault, a.began)
	if err != nil {
		s.log.ErrorContext(ctx, "an event cannot be signed", "webhook", w.id, "error", err)
		a.problem = "the event cannot be signed"
		return a
	}
	sign(req.Header, secrets, messageID, a.began, body)
	res, err := s.client.Do(req)
	if err != nil {
		a.problem = problem(err)
		a.latency = time.Since(begun)
		return a
	}
	defer res.Body.Close()
	// Read so that the connection can be used again, but neither much nor long.
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
	a.status, a.latency = res.StatusCode, time.Since(begun)
	switch {
	case a.status >= 200 && a.status < 300:
	case a.status >= 300 && a.status < 400:
		a.problem = "the receiver answered " + strconv.Itoa(a.status) + "; redirects are not followed"
	default:
		a.problem = "the receiver answered " + strconv.Itoa(a.status)
		a.asked = retryAfter(res.Header, a.began)
	}
	return a
}

// problem says what went wrong without telling about the network that this process is in.
func problem(err error) string {
	var dns *net.DNSError
	var netErr net.Error
	var cert *tls.CertificateVerificationError
	var alert tls.AlertError
	var header tls.RecordHeaderError
	switch {
	case errors.Is(err, egress.ErrForbidden):
		return "the URL leads to an address that may not be called"
	case errors.As(err, &dns):
		return "the name of the host cannot be resolved"
	case errors.As(err, &cert):
		return "the certificate is not valid for the host: " + cert.Err.Error()
	case errors.As(err, &alert), errors.As(err, &header):
		return "TLS cannot be established"
	case errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "the receiver did not answer in time"
	}
	return "no connection to the receiver"
}
