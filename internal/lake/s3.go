package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Config says how a bucket is reached.
type S3Config struct {
	// Endpoint is host:port or a URL of the S3 server. Default: that of AWS.
	Endpoint string `yaml:"endpoint"`
	// Region of the bucket. Default: asked of the server.
	Region string `yaml:"region"`
	// AccessKey and SecretKey. Default: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else the credentials file of AWS, else the role of the machine or pod.
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
	host, secure := c.endpoint()
	name, _, _ := strings.Cut(host, ":")
	if !secure && !c.Insecure && name != "127.0.0.1" && name != "localhost" && !strings.HasPrefix(host, "[::1]") {
		return fmt.Errorf("s3: endpoint %s is beyond this machine and without TLS; set insecure to allow that", host)
	}
	return nil
}

// endpoint returns the host with its port, and whether it speaks TLS.
func (c S3Config) endpoint() (host string, secure bool) {
	if c.Endpoint == "" {
		return "s3.amazonaws.com", true
	}
	if rest, ok := strings.CutPrefix(c.Endpoint, "http://"); ok {
		return strings.TrimSuffix(rest, "/"), false
	}
	return strings.TrimSuffix(strings.TrimPrefix(c.Endpoint, "https://"), "/"), true
}

// S3 keeps objects in a bucket.
type S3 struct {
	client *minio.Client
	bucket string
	prefix string // "" or with a slash at its end
}

var _ Store = (*S3)(nil)

// OpenS3 returns the objects under s3://bucket/prefix. It does no I/O.
func OpenS3(location string, c S3Config) (*S3, error) {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return nil, fmt.Errorf("open lake: %q is not s3://bucket/prefix", location)
	}
	host, secure := c.endpoint()
	creds := credentials.NewStaticV4(c.AccessKey, c.SecretKey, "")
	if c.AccessKey == "" {
		creds = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Region: os.Getenv("AWS_REGION")},
		})
	}
	client, err := minio.New(host, &minio.Options{Creds: creds, Secure: secure, Region: c.Region, MaxRetries: 3})
	if err != nil {
		return nil, fmt.Errorf("open lake %s: %w", location, err)
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &S3{client: client, bucket: u.Host, prefix: prefix}, nil
}

// URL returns s3://bucket/key.
func (s *S3) URL(name string) string { return "s3://" + s.bucket + "/" + s.prefix + name }

// Create puts an object on the condition that there is none ("If-None-Match: *"), which S3 checks atomically.
func (s *S3) Create(ctx context.Context, name string, data []byte) error {
	o := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true}
	o.SetMatchETagExcept("*")
	_, err := s.client.PutObject(ctx, s.bucket, s.prefix+name, bytes.NewReader(data), int64(len(data)), o)
	if err != nil {
		// 409: another put of the same name was under way, and one of them won.
		if r := minio.ToErrorResponse(err); r.StatusCode == http.StatusPreconditionFailed || r.StatusCode == http.StatusConflict && r.Code == "ConditionalRequestConflict" {
			err = ErrExists
		}
		return fmt.Errorf("create %s: %w", name, err)
	}
	return nil
}

// Read gets the whole object.
func (s *S3) Read(ctx context.Context, name string) ([]byte, error) {
	data, err := s.get(ctx, name, minio.GetObjectOptions{})
	return data, s.reading(name, err)
}

// ReadAt gets a range.
func (s *S3) ReadAt(ctx context.Context, name string, p []byte, offset int64) error {
	if len(p) == 0 {
		return nil
	}
	var o minio.GetObjectOptions
	if err := o.SetRange(offset, offset+int64(len(p))-1); err != nil {
		return s.reading(name, err)
	}
	data, err := s.get(ctx, name, o)
	if r := minio.ToErrorResponse(err); r.StatusCode == http.StatusRequestedRangeNotSatisfiable || err == nil && len(data) < len(p) {
		err = io.ErrUnexpectedEOF
	}
	copy(p, data)
	return s.reading(name, err)
}

func (s *S3) get(ctx context.Context, name string, o minio.GetObjectOptions) ([]byte, error) {
	// Core asks once; Client.GetObject would ask for the object's size first.
	body, info, _, err := (&minio.Core{Client: s.client}).GetObject(ctx, s.bucket, s.prefix+name, o)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if info.Size > 0 {
		buf.Grow(int(info.Size) + bytes.MinRead)
	}
	_, err = buf.ReadFrom(body)
	return buf.Bytes(), errors.Join(err, body.Close())
}

func (s *S3) reading(name string, err error) error {
	if err == nil {
		return nil
	}
	if r := minio.ToErrorResponse(err); r.Code == minio.NoSuchKey || r.StatusCode == http.StatusNotFound && r.Code != minio.NoSuchBucket {
		err = ErrNotFound
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// List lists everything under a prefix.
func (s *S3) List(ctx context.Context, prefix string, fn func(Object) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing when fn fails
	for o := range s.client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}) {
		if o.Err != nil {
			return fmt.Errorf("list %q: %w", prefix, o.Err)
		}
		if strings.HasSuffix(o.Key, "/") {
			continue // a folder that a file server shows as an object
		}
		if err := fn(Object{Name: strings.TrimPrefix(o.Key, s.prefix), Size: o.Size, Modified: o.LastModified}); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes the object.
func (s *S3) Delete(ctx context.Context, name string) error {
	if err := s.client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}
