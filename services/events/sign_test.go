package events

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The example that libraries of the specification test themselves with.
func TestSignatureOfTheSpecificationsExample(t *testing.T) {
	t.Parallel()
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	sign(h, [][]byte{secret, []byte("other")}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if h.Get("webhook-id") != "msg_p5jXN8AQM9LWM0D4loKWxJek" || h.Get("webhook-timestamp") != "1614265330" {
		t.Fatal(h)
	}
	signatures := strings.Split(h.Get("webhook-signature"), " ")
	if len(signatures) != 2 || signatures[0] != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" || signatures[1] == signatures[0] {
		t.Fatal(signatures)
	}
}

func TestSecretsAndMessageIDs(t *testing.T) {
	t.Parallel()
	one, two := secretText(newSecret()), secretText(newSecret())
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "whsec_"))
	if one == two || err != nil || len(raw) != 32 || !strings.HasPrefix(one, "whsec_") {
		t.Fatal(one, two, err)
	}
	a, b := messageID("/switchyard/p/decisions|1"), messageID("/switchyard/q/decisions|1")
	if a == b || a != messageID("/switchyard/p/decisions|1") || strings.ContainsAny(a, ".| /") || len(a) != 30 {
		t.Fatal(a, b)
	}
}

func TestPausesBetweenAttempts(t *testing.T) {
	t.Parallel()
	var total time.Duration
	for n := 1; ; n++ {
		least, again := nextPause(n, 0, 0)
		most, _ := nextPause(n, 0.999999, 0)
		if !again {
			if n != 10 {
				t.Fatalf("%d attempts", n)
			}
			break
		}
		if want := float64(least) * 1.2; float64(most) > want || float64(most) < 0.99*want {
			t.Errorf("pause %d is %v to %v", n, least, most)
		}
		total += least
	}
	if total < 2*24*time.Hour || total > 4*24*time.Hour {
		t.Errorf("the attempts take %v", total)
	}
	if p, _ := nextPause(1, 0, time.Hour); p != time.Hour {
		t.Errorf("a receiver that asks for an hour is called after %v", p)
	}
	if p, _ := nextPause(9, 0, time.Minute); p != 24*time.Hour {
		t.Errorf("a receiver that asks for a minute is called after %v", p)
	}
	if p, _ := nextPause(1, 0, 1000*time.Hour); p != 24*time.Hour {
		t.Errorf("a receiver that asks for weeks is called after %v", p)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{"120": 2 * time.Minute, "": 0, "-5": 0, "soon": 0, "Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Thu, 01 Jan 1970 00:00:00 GMT": 0} {
		if got := retryAfter(http.Header{"Retry-After": {v}}, now); got != want {
			t.Errorf("Retry-After %q is %v", v, got)
		}
	}
}
