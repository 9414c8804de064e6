package jobs

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// Inputs is the blob storage that jobs may read their items from; a lake.Store is one.
type Inputs interface {
	// ReadAt fills p from an offset, or fails with lake.ErrNotFound.
	ReadAt(ctx context.Context, name string, p []byte, offset int64) error
	// List calls fn for the objects below a prefix that ends with a slash.
	List(ctx context.Context, prefix string, fn func(lake.Object) error) error
}

const (
	maxInputName = 512
	inputPiece   = 1 << 20
)

// object is a file in blob storage as a stream of messages, as a caller would send it.
type object struct {
	from io.Reader
	done bool
}

// openInput finds the file that a specification names, below the folder of the project: nobody can name another's.
func (s *Jobs) openInput(ctx context.Context, project, name string) (*object, error) {
	if s.inputs == nil {
		return nil, fault.InvalidField("spec.input", "cannot be read: jobs.batches.input_url names no storage")
	}
	if len(name) > maxInputName || !clean(name) {
		return nil, fault.InvalidField("spec.input", "must be a path of at most %d bytes below the project's folder, such as night/mails.jsonl", maxInputName)
	}
	full := project + "/" + name
	size := int64(-1)
	err := s.inputs.List(ctx, path.Dir(full)+"/", func(o lake.Object) error {
		if o.Name == full {
			size = o.Size
		}
		return nil
	})
	switch {
	case err != nil && ctx.Err() == nil:
		return nil, fault.Unavailable("storage of inputs").Cause(err)
	case err != nil:
		return nil, err
	case size < 0:
		return nil, fault.NotFound("input", name)
	case size > s.config.MaxInputBytes:
		return nil, fault.RequestTooLarge(s.config.MaxInputBytes)
	}
	var r io.Reader = &blobReader{ctx: ctx, from: s.inputs, name: full, size: size}
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, readFault(err)
		}
		r = z
	}
	return &object{from: r}, nil
}

// clean says whether a name is a path that stays where it begins.
func clean(name string) bool {
	return name != "" && path.Clean("/"+name) == "/"+name && !strings.ContainsAny(name, "\\\x00")
}

// recv returns the next piece; what is unpacked is bounded by whoever adds up the pieces.
func (o *object) recv() (*jobsv1.SubmitBatchRequest, error) {
	if o.done {
		return nil, io.EOF
	}
	p := make([]byte, inputPiece)
	n, err := io.ReadFull(o.from, p)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && n > 0 && o.ended():
		o.done = true
	case err != nil:
		return nil, readFault(err)
	}
	return &jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Lines{Lines: p[:n]}}, nil
}

// ended says whether a short read was the end of the file, and not of a damaged one.
func (o *object) ended() bool {
	n, err := o.from.Read(make([]byte, 1))
	return n == 0 && errors.Is(err, io.EOF)
}

// readFault says what a caller may know of a file that cannot be read.
func readFault(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || strings.HasPrefix(err.Error(), "flate: ") {
		return fault.InvalidField("spec.input", "is no whole gzip file")
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.Unavailable("storage of inputs").Cause(err)
}

// blobReader reads an object from its beginning to its end.
type blobReader struct {
	ctx  context.Context //nolint:containedctx // of the call that reads
	from Inputs
	name string
	at   int64
	size int64
}

// Read implements io.Reader.
func (r *blobReader) Read(p []byte) (int, error) {
	n := min(int64(len(p)), r.size-r.at)
	if n == 0 {
		return 0, io.EOF
	}
	if err := r.from.ReadAt(r.ctx, r.name, p[:n], r.at); err != nil {
		return 0, fmt.Errorf("read %s at %d: %w", r.name, r.at, err)
	}
	r.at += n
	return int(n), nil
}
