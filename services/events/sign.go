package events

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Signatures follow the Standard Webhooks specification 1.0 (symmetric): HMAC-SHA256 over "id.timestamp.body" with the bytes that the secret encodes.

const (
	secretPrefix = "whsec_"
	secretBytes  = 32
)

// newSecret returns a random secret.
func newSecret() []byte {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	return b
}

// secretText is how a secret is shown.
func secretText(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// messageID is what receivers know an event by: the same for every attempt and every webhook. It holds no full stop, which separates the parts of what is signed.
func messageID(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "msg_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// sign sets the headers of one attempt. Each secret signs; receivers take any signature that fits.
func sign(h http.Header, secrets [][]byte, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
}
