package events

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pauses are those between attempts: ten attempts over about three days. A receiver that was restarted has the event seconds later, one that was down over a weekend too.
var pauses = []time.Duration{
	10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
}

const (
	// jitterShare is by how much of itself a pause may be longer, so that events that failed together do not come back together.
	jitterShare = 0.2
	// maxRetryAfter bounds the pause that a receiver asks for.
	maxRetryAfter = 24 * time.Hour
)

func runtimeJitter() float64 { return rand.Float64() }

// nextPause returns the pause after so many attempts, false when there have been enough. chance is uniform in [0, 1); asked is what the receiver asked for.
func nextPause(attempts int, chance float64, asked time.Duration) (time.Duration, bool) {
	if attempts < 1 || attempts > len(pauses) {
		return 0, false
	}
	pause := pauses[attempts-1]
	pause += time.Duration(float64(pause) * jitterShare * chance)
	return max(pause, min(asked, maxRetryAfter)), true
}

// retryAfter reads the header of an answer: seconds or a date; 0 when there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(v, 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}
