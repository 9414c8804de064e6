package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/lake/s3"
)

// S3Config says how a bucket is reached.
type S3Config struct {
	// Endpoint is the URL of the S3 server, such as https://minio.example:9000. Default: that of AWS for the region.
	Endpoint string `yaml:"endpoint"`
	// Region of the bucket. Default: AWS_REGION, else us-east-1.
	Region string `yaml:"region"`
	// AccessKey and SecretKey. Default: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
	AccessKey string `yaml:"access_key"`
	// SecretKey belongs to the access key. Write ${VARIABLE} to take it from the environment.
	SecretKey string `yaml:"secret_key"`
	// Insecure allows an endpoint without TLS beyond this machine.
	Insecure bool `yaml:"insecure"`
}

func (c S3Config) validate() error {
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return errors.New("s3: access_key and secret_key go together")
	}
	u, err := c.endpoint()
	if err != nil {
		return err
	}
	if h := u.Hostname(); u.Scheme == "http" && !c.Insecure && h != "127.0.0.1" && h != "localhost" && h != "::1" {
		return fmt.Errorf("s3: endpoint %s is beyond this machine and without TLS; set insecure to allow that", c.Endpoint)
	}
	return nil
}

func (c S3Config) region() string {
	for _, r := range []string{c.Region, os.Getenv("AWS_REGION"), "us-east-1"} {
		if r != "" {
			return r
		}
	}
	return ""
}

func (c S3Config) endpoint() (*url.URL, error) {
	text := c.Endpoint
	if text == "" {
		text = "https://s3." + c.region() + ".amazonaws.com"
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("s3: endpoint %q is not http(s)://host:port", c.Endpoint)
	}
	return u, nil
}

// credentials are read for each request, so that a token that was renewed is taken.
func (c S3Config) credentials() (s3.Credentials, error) {
	if c.AccessKey != "" {
		return s3.Credentials{AccessKey: c.AccessKey, SecretKey: c.SecretKey}, nil
	}
	env := s3.Credentials{AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN")}
	if env.AccessKey == "" || env.SecretKey == "" {
		return env, errors.New("s3: there is no key: set lake.s3.access_key and secret_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return env, nil
}

// S3 keeps objects in a bucket.
type S3 struct {
	client *s3.Client
	prefix string // "" or with a slash at its end
}

var _ Store = (*S3)(nil)

const (
	// bucketTimeout bounds one request: 64 MiB over a slow line.
	bucketTimeout = 2 * time.Minute
	// answerTimeout is how long a server that has the whole request may take to begin its answer: one that hangs is asked again soon after.
	answerTimeout = 15 * time.Second
)

// bucketClient is for servers that may hang.
func bucketClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // nobody here replaces it
	t.ResponseHeaderTimeout = answerTimeout
	return &http.Client{Timeout: bucketTimeout, Transport: t}
}

// OpenS3 returns the objects under s3://bucket/prefix. It does no I/O.
func OpenS3(location string, c S3Config) (*S3, error) {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return nil, fmt.Errorf("open lake: %q is not s3://bucket/prefix", location)
	}
	endpoint, err := c.endpoint()
	if err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &S3{prefix: prefix, client: &s3.Client{
		Endpoint: endpoint, Bucket: u.Host, Region: c.region(), Credentials: c.credentials, HTTP: bucketClient(),
	}}, nil
}

// URL returns s3://bucket/key.
func (s *S3) URL(name string) string { return "s3://" + s.client.Bucket + "/" + s.prefix + name }

// Create puts an object on the condition that there is none ("If-None-Match: *"), which S3 checks atomically.
func (s *S3) Create(ctx context.Context, name string, data []byte) error {
	err := s.client.Put(ctx, s.prefix+name, data)
	if err == nil {
		return nil
	}
	// 409: another put of the same name was under way, and one of them won.
	if e, ok := errors.AsType[*s3.Error](err); ok && (e.Status == http.StatusPreconditionFailed || e.Status == http.StatusConflict && e.Code == "ConditionalRequestConflict") {
		err = ErrExists
	}
	return fmt.Errorf("create %s: %w", name, err)
}

// Read gets the whole object.
func (s *S3) Read(ctx context.Context, name string) ([]byte, error) {
	data, err := s.client.Get(ctx, s.prefix+name)
	return data, bucketError(name, err)
}

// ReadAt gets a range.
func (s *S3) ReadAt(ctx context.Context, name string, p []byte, offset int64) error {
	if len(p) == 0 {
		return nil
	}
	data, err := s.client.GetRange(ctx, s.prefix+name, offset, len(p))
	if e, ok := errors.AsType[*s3.Error](err); ok && e.Status == http.StatusRequestedRangeNotSatisfiable || err == nil && len(data) != len(p) {
		err = io.ErrUnexpectedEOF
	}
	copy(p, data)
	return bucketError(name, err)
}

func bucketError(name string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*s3.Error](err); ok && e.Status == http.StatusNotFound && e.Code != "NoSuchBucket" {
		err = ErrNotFound
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// List lists everything under a prefix.
func (s *S3) List(ctx context.Context, prefix string, fn func(Object) error) error {
	err := s.client.List(ctx, s.prefix+prefix, func(o s3.Object) error {
		if strings.HasSuffix(o.Key, "/") {
			return nil // a folder that a file server shows as an object
		}
		return fn(Object{Name: strings.TrimPrefix(o.Key, s.prefix), Size: o.Size, Modified: o.LastModified})
	})
	if err != nil {
		return fmt.Errorf("list %q: %w", prefix, err)
	}
	return nil
}

// Delete removes the object.
func (s *S3) Delete(ctx context.Context, name string) error {
	if err := s.client.Delete(ctx, s.prefix+name); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}
