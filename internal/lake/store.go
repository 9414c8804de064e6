package lake

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrExists means that an object of that name is there already.
	ErrExists = errors.New("object exists")
	// ErrNotFound means that there is no such object, file or row.
	ErrNotFound = errors.New("not found")
)

// Store keeps objects by name, in a folder or a bucket. Names are paths with slashes. Objects never change: they are created, read and deleted.
type Store interface {
	// Create writes an object. When it returns nil the object is whole and durable. It fails with ErrExists when there is one of that name, also when two
	// create it at the same time: exactly one of them succeeds. After any other error the object may exist all the same, but never in part.
	Create(ctx context.Context, name string, data []byte) error
	// Read returns a whole object, or ErrNotFound.
	Read(ctx context.Context, name string) ([]byte, error)
	// ReadAt fills p from an offset, or fails with ErrNotFound; an object that ends before p is full is an error.
	ReadAt(ctx context.Context, name string, p []byte, offset int64) error
	// List calls fn for all objects whose names begin with prefix, which ends with a slash or is empty, in no particular order.
	List(ctx context.Context, prefix string, fn func(Object) error) error
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, name string) error
	// URL says where an object is, for other programs.
	URL(name string) string
}

// Object is what a list says of an object.
type Object struct {
	Name     string
	Size     int64
	Modified time.Time
}
