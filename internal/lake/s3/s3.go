// Package s3 speaks the five requests of the S3 protocol that a lake needs, signed with AWS Signature Version 4. It knows nothing of what it stores.
//
// The clients that exist cost 2.3 MB of the binary (minio-go) to 15 MB (the SDK of AWS), for hundreds of requests that nobody makes here.
package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client speaks to one bucket.
type Client struct {
	Endpoint    *url.URL // scheme and host; a bucket is the first part of the path
	Bucket      string
	Region      string
	Credentials func() (Credentials, error)
	HTTP        *http.Client
}

// Credentials sign requests.
type Credentials struct{ AccessKey, SecretKey, SessionToken string }

// Error is what the server answered.
type Error struct {
	Status  int
	Code    string `xml:"Code"`
	Message string `xml:"Message"`
}

// Error names status, code and message.
func (e *Error) Error() string {
	return fmt.Sprintf("S3 answers %d %s %s", e.Status, e.Code, e.Message)
}

const (
	attempts   = 4
	firstPause = 50 * time.Millisecond
)

// Do sends one request for a key ("" for the bucket) and returns the body of an answer with status 200 to 299, else an *Error. What a server answers that is overloaded, and
// connections that break, are tried again; a request can therefore have been carried out when its second attempt fails.
func (c *Client) Do(ctx context.Context, method, key string, query url.Values, header http.Header, body []byte) ([]byte, error) {
	for attempt, pause := 1, firstPause; ; attempt, pause = attempt+1, 2*pause {
		data, err := c.once(ctx, method, key, query, header, body)
		answer, answered := errors.AsType[*Error](err)
		again := err != nil && (!answered || answer.Status >= 500 || answer.Status == http.StatusTooManyRequests)
		if !again || attempt == attempts || ctx.Err() != nil {
			return data, err
		}
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *Client) once(ctx context.Context, method, key string, query url.Values, header http.Header, body []byte) ([]byte, error) {
	path := "/" + escape(c.Bucket, false)
	if key != "" {
		path += "/" + escape(key, true)
	}
	raw := c.Endpoint.Scheme + "://" + c.Endpoint.Host + path
	if len(query) > 0 {
		raw += "?" + canonicalQuery(query)
	}
	req, err := http.NewRequestWithContext(ctx, method, raw, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	credentials, err := c.Credentials()
	if err != nil {
		return nil, err
	}
	sign(req, path, query, body, credentials, c.Region, time.Now())
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(res.Body)
	err = errors.Join(err, res.Body.Close())
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		answer := &Error{}
		_ = xml.Unmarshal(data, answer) // HEAD and some proxies answer without
		answer.Status = res.StatusCode
		return nil, answer
	}
	return data, nil
}

// Put creates an object that must not exist.
func (c *Client) Put(ctx context.Context, key string, data []byte) error {
	_, err := c.Do(ctx, http.MethodPut, key, nil, http.Header{"If-None-Match": {"*"}, "Content-Type": {"application/octet-stream"}}, data)
	return err
}

// Get returns an object.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	return c.Do(ctx, http.MethodGet, key, nil, nil, nil)
}

// GetRange returns n bytes of an object, fewer at its end.
func (c *Client) GetRange(ctx context.Context, key string, offset int64, n int) ([]byte, error) {
	h := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, offset+int64(n)-1)}}
	return c.Do(ctx, http.MethodGet, key, nil, h, nil)
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, key string) error {
	_, err := c.Do(ctx, http.MethodDelete, key, nil, nil, nil)
	return err
}

// Object is one entry of a list.
type Object struct {
	Key          string
	Size         int64
	LastModified time.Time
}

// List calls fn for all objects whose key begins with prefix.
func (c *Client) List(ctx context.Context, prefix string, fn func(Object) error) error {
	query := url.Values{"list-type": {"2"}, "prefix": {prefix}, "max-keys": {strconv.Itoa(1000)}}
	for {
		data, err := c.Do(ctx, http.MethodGet, "", query, nil, nil)
		if err != nil {
			return err
		}
		var page struct {
			Contents              []Object
			IsTruncated           bool
			NextContinuationToken string
		}
		if err := xml.Unmarshal(data, &page); err != nil {
			return fmt.Errorf("read the list: %w", err)
		}
		for _, o := range page.Contents {
			if err := fn(o); err != nil {
				return err
			}
		}
		if !page.IsTruncated {
			return nil
		}
		if page.NextContinuationToken == "" {
			return errors.New("the list does not say how it goes on")
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
}

// escape is how S3 writes a key or a parameter in what is signed: all but unreserved characters, and slashes of keys, percent-encoded.
func escape(s string, key bool) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~', key && c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
