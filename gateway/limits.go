package gateway

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// limited guards the API routes: media types, body size, request compression, and streams.
type limited struct {
	config Config
	routes *routes
	errors *errorWriter
	next   http.Handler
}

// ServeHTTP checks the request before anything reads its body.
func (l limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route := l.routes.match(r.Method, r.URL.Path)
	if route == nil {
		l.next.ServeHTTP(w, r) // the routing error handler knows what to say
		return
	}
	if r.Body != nil && r.Body != http.NoBody && r.Method != http.MethodGet {
		if err := checkMediaType(r); err != nil {
			l.errors.write(w, r, err)
			return
		}
	}
	if err := l.decompress(r, route.clientStream); err != nil {
		l.errors.write(w, r, err)
		return
	}
	if !route.clientStream {
		r.Body = &callBody{ReadCloser: http.MaxBytesReader(w, r.Body, l.config.MaxBodyBytes)}
		l.next.ServeHTTP(w, r)
		return
	}
	l.serveStream(w, r)
}

// serveStream lets body and answer flow at the same time and tells the caller about an unreadable line.
func (l limited) serveStream(w http.ResponseWriter, r *http.Request) {
	// HTTP/1 otherwise drains the whole body before the first write; an error only means that HTTP/2 needs no such switch.
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex()
	stream := &callBody{ReadCloser: r.Body}
	r.Body = stream
	r.Header.Set("Content-Type", ndjsonType)
	answer := &countingWriter{ResponseWriter: w}
	l.next.ServeHTTP(answer, r)
	if err := stream.failure(); err != nil {
		if !answer.wrote {
			l.errors.write(w, r, err)
			return
		}
		l.errors.writeLine(w, err)
	}
	// A connection that is closed with unread data is reset, and the caller may lose the answer with it: read on for a moment.
	if control.Flush() == nil && control.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, stream, lingerBytes)
	}
}

const (
	// lingerTime and lingerBytes bound what is read of a stream that was answered before it ended.
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

func checkMediaType(r *http.Request) error {
	value := r.Header.Get("Content-Type")
	if value == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(value)
	if err != nil || (media != jsonType && media != ndjsonType) {
		return fault.UnsupportedMediaType(value, jsonType)
	}
	if charset := params["charset"]; charset != "" && charset != "utf-8" && charset != "UTF-8" {
		return fault.UnsupportedMediaType(value, jsonType)
	}
	return nil
}

// decompress replaces a gzip body; what it holds counts against the same limit.
func (l limited) decompress(r *http.Request, stream bool) error {
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
		return nil
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return fault.Malformed("body is not valid gzip")
		}
		if !stream {
			r.Body = struct {
				io.Reader
				io.Closer
			}{&boundedReader{z, l.config.MaxBodyBytes, l.config.MaxBodyBytes}, r.Body}
		} else {
			r.Body = struct {
				io.Reader
				io.Closer
			}{z, r.Body}
		}
		r.Header.Del("Content-Encoding")
		r.ContentLength = -1
		return nil
	default:
		return fault.UnsupportedMediaType("content encoding "+r.Header.Get("Content-Encoding"), "gzip or none")
	}
}

// readFault turns an error of reading a body into what the caller should know.
func readFault(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault.RequestTooLarge(large.Limit)
	}
	if known, ok := errors.AsType[*fault.Error](err); ok {
		return known
	}
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Malformed("body ends early or is not valid gzip")
	}
	return fault.Malformed("body cannot be read")
}

// boundedReader fails with REQUEST_TOO_LARGE once more than limit bytes were read.
type boundedReader struct {
	r           io.Reader
	left, limit int64
}

// Read reads at most one byte more than is allowed, to tell the end from too much.
func (b *boundedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, fault.RequestTooLarge(b.limit)
	}
	return n, err
}

// callBody remembers why the body could not be read: generated code drops the reason, or turns it into text.
type callBody struct {
	io.ReadCloser
	mu  sync.Mutex
	err error
}

func (s *callBody) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *callBody) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// countingWriter knows whether an answer has begun.
type countingWriter struct {
	http.ResponseWriter
	wrote bool
}

// WriteHeader notes that the answer has begun.
func (c *countingWriter) WriteHeader(status int) {
	c.wrote = true
	c.ResponseWriter.WriteHeader(status)
}

// Write notes that the answer has begun.
func (c *countingWriter) Write(p []byte) (int, error) {
	c.wrote = true
	return c.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
