package console

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	cookieName = "switchyard_console"
	// sessionTime is how long somebody stays signed in: a working day, with room at both ends.
	sessionTime = 14 * time.Hour
)

// session is who is signed in. It lives in a sealed cookie and nowhere else, so that any gateway with the same session key can answer.
type session struct {
	Key      string `json:"k"` // API key
	Reviewer string `json:"r"`
	Since    int64  `json:"s"` // start of the shift, Unix seconds
	Blur     string `json:"b"` // "moderation", "always" or "never"
	// Scopes are those of the key, which never change: a key with others is another key.
	Scopes []string `json:"c"`
}

// Start is when the shift began.
func (s *session) Start() time.Time { return time.Unix(s.Since, 0) }

// sessions seals sessions into cookies.
type sessions struct{ aead cipher.AEAD }

func newSessions(key []byte) (*sessions, error) {
	if len(key) != 32 {
		return nil, errors.New("the session key must have 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("session key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("session key: %w", err)
	}
	return &sessions{aead}, nil
}

func (c *sessions) read(r *http.Request, now time.Time) *session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return nil
	}
	plain, err := c.aead.Open(nil, nil, sealed, []byte(cookieName))
	if err != nil {
		return nil
	}
	s := &session{}
	if json.Unmarshal(plain, s) != nil || now.Sub(s.Start()) > sessionTime || len(s.Scopes) == 0 {
		return nil
	}
	return s
}

func (c *sessions) write(w http.ResponseWriter, r *http.Request, s *session) error {
	plain, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("seal a session: %w", err)
	}
	sealed := c.aead.Seal(nil, nil, plain, []byte(cookieName)) //nolint:gosec // NewGCMWithRandomNonce makes the nonce
	http.SetCookie(w, cookie(r, base64.RawURLEncoding.EncodeToString(sealed), 0))
	return nil
}

func (c *sessions) clear(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, cookie(r, "", -1))
}

// cookie is never sent along from other sites and cannot be read by scripts. It ends with the browser.
func cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure where the connection is; a console on loopback has no TLS
		Name: cookieName, Value: value, Path: root, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}
