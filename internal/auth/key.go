package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// An API key is syk_<id>_<secret><checksum>, all base62. The prefix lets secret scanners find leaked keys; the checksum, CRC32
// of everything before it, tells a mistyped key from a wrong one without a look-up.
const (
	keyPrefix   = "syk_"
	idLen       = 10 // 59 bits: two keys with one id are unlikely below 10^8 keys, and the store refuses them
	secretLen   = 24 // 142 bits
	checksumLen = 6  // 62^6 > 2^32
	maxKeyLen   = 128

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewKey makes an API key from the system's random source. key is shown once to its owner; id is its public part; hash, the
// SHA-256 of the whole key, is all that is stored.
func NewKey() (key, id string, hash [32]byte, err error) {
	id, err = randomText(idLen)
	if err != nil {
		return "", "", hash, fmt.Errorf("make key id: %w", err)
	}
	secret, err := randomText(secretLen)
	if err != nil {
		return "", "", hash, fmt.Errorf("make key secret: %w", err)
	}
	body := keyPrefix + id + "_" + secret
	sum := checksum([]byte(body))
	key = body + string(sum[:])
	return key, id, sha256.Sum256([]byte(key)), nil
}

// ParseKey checks the form and the checksum of an API key and returns its id and the hash to compare with the stored one. It
// fails with the fault KEY_INVALID.
func ParseKey(key string) (id string, hash [32]byte, err error) {
	if len(key) > maxKeyLen || !strings.HasPrefix(key, keyPrefix) {
		return "", hash, fault.KeyInvalid()
	}
	id, rest, found := strings.Cut(key[len(keyPrefix):], "_")
	if !found || len(id) < 8 || len(rest) < secretLen+checksumLen || !isBase62(id) || !isBase62(rest) {
		return "", hash, fault.KeyInvalid()
	}
	var buf [maxKeyLen]byte // on the stack: every call parses a key
	b := buf[:copy(buf[:], key)]
	cut := len(b) - checksumLen
	if sum := checksum(b[:cut]); string(sum[:]) != key[cut:] {
		return "", hash, fault.KeyInvalid()
	}
	return id, sha256.Sum256(b), nil
}

func checksum(body []byte) (out [checksumLen]byte) {
	sum := crc32.ChecksumIEEE(body)
	for i := checksumLen - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return out
}

func randomText(n int) (string, error) {
	base := big.NewInt(int64(len(base62)))
	out := make([]byte, n)
	for i := range out {
		v, err := rand.Int(rand.Reader, base) // uniform, unlike a byte modulo 62
		if err != nil {
			return "", err
		}
		out[i] = base62[v.Int64()]
	}
	return string(out), nil
}

func isBase62(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
