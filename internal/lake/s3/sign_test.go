package s3

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSignature follows the example of a GET with a range in the documentation of Signature Version 4.
func TestSignature(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://examplebucket.s3.amazonaws.com/test.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=0-9")
	c := Credentials{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"} //nolint:gosec // the documentation's own
	sign(req, "/test.txt", nil, nil, c, "us-east-1", time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))
	const want = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
	if got := req.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+want) {
		t.Errorf("%s, want the signature %s", got, want)
	}
}

func TestKeysAreEscapedAsTheyAreSigned(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"a/b=c/d e+f%.p": "a/b%3Dc/d%20e%2Bf%25.p", "é": "%C3%A9", "x~_-.": "x~_-."} {
		if got := escape(key, true); got != want {
			t.Errorf("%q is escaped as %q, want %q", key, got, want)
		}
	}
}
