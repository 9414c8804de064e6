package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	jsonType   = "application/json"
	ndjsonType = "application/x-ndjson"

	// usualAnswer is room for one decision as JSON.
	usualAnswer = 2048

	// maxDepth bounds the nesting of a request; the contracts need 6 levels.
	maxDepth = 32
)

var (
	// Every field is written, absent messages excepted: a PHP caller need not guess which keys exist.
	write = protojson.MarshalOptions{EmitDefaultValues: true}
	// Unknown fields are refused: a mistyped field name would otherwise be silently without effect.
	read = protojson.UnmarshalOptions{RecursionLimit: maxDepth}
)

// body pools the buffers that request bodies are read into. protojson copies what it keeps.
var body = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// unaryJSON reads a whole body as one message and writes one message.
type unaryJSON struct{}

var _ runtime.Marshaler = unaryJSON{}

// Marshal writes v as JSON.
func (unaryJSON) Marshal(v any) ([]byte, error) { return marshal(v) }

// Unmarshal reads a message; trailing data is an error.
func (unaryJSON) Unmarshal(data []byte, v any) error { return unmarshal(data, v) }

// NewDecoder returns a decoder that reads r to its end.
func (unaryJSON) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		buf := body.Get().(*bytes.Buffer)
		defer func() {
			if buf.Cap() <= 1<<20 {
				buf.Reset()
				body.Put(buf)
			}
		}()
		if _, err := buf.ReadFrom(r); err != nil {
			err = readFault(err)
			if source, ok := r.(*callBody); ok {
				source.fail(err)
			}
			return err
		}
		if len(bytes.TrimSpace(buf.Bytes())) == 0 {
			return io.EOF
		}
		return unmarshal(buf.Bytes(), v)
	})
}

// NewEncoder returns an encoder that writes one message to w.
func (unaryJSON) NewEncoder(w io.Writer) runtime.Encoder { return encoder(w) }

// ContentType is that of the answer.
func (unaryJSON) ContentType(any) string { return jsonType }

// StreamContentType is that of an answer with several messages.
func (unaryJSON) StreamContentType(any) string { return ndjsonType }

// streamJSON reads and writes one message a line.
type streamJSON struct{ maxLine int64 }

// Marshal writes v as JSON.
func (streamJSON) Marshal(v any) ([]byte, error) { return marshal(v) }

// Unmarshal reads a message; trailing data is an error.
func (streamJSON) Unmarshal(data []byte, v any) error { return unmarshal(data, v) }

// NewDecoder returns a decoder whose every call reads the next line that is not blank. The first error is also left with the body,
// because generated code for streams in both directions drops it.
func (s streamJSON) NewDecoder(r io.Reader) runtime.Decoder {
	lines := bufio.NewReaderSize(r, 64<<10)
	source, _ := r.(*callBody)
	var number int
	next := func(v any) error {
		for {
			number++
			line, err := readLine(lines, s.maxLine)
			if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 {
				if uerr := unmarshal(trimmed, v); uerr != nil {
					return fault.Malformed("line %d: %s", number, fault.From(uerr).Message())
				}
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
	return runtime.DecoderFunc(func(v any) error {
		err := next(v)
		if err != nil && !errors.Is(err, io.EOF) {
			err = readFault(err)
			if source != nil {
				source.fail(err)
			}
		}
		return err
	})
}

// NewEncoder returns an encoder that writes one message to w.
func (streamJSON) NewEncoder(w io.Writer) runtime.Encoder { return encoder(w) }

// ContentType is that of the answer.
func (streamJSON) ContentType(any) string { return jsonType }

// StreamContentType is that of an answer with several messages.
func (streamJSON) StreamContentType(any) string { return ndjsonType }

// readLine returns the next line without bounds of its own buffer but never more than limit bytes. It returns what it read together with io.EOF.
func readLine(r *bufio.Reader, limit int64) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if int64(len(line)+len(part)) > limit {
			return nil, fault.RequestTooLarge(limit)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			line = append(line, part...)
			continue
		}
		if line == nil {
			return part, err
		}
		return append(line, part...), err
	}
}

func encoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		data, err := marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
}

// marshal writes a message, or the {"result": message} and {"error": status} that streams are made of.
func marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case proto.Message:
		// A decision takes a good kilobyte; growing to it by doubling was a tenth of all that a call allocated.
		return write.MarshalAppend(make([]byte, 0, usualAnswer), v)
	case map[string]any:
		return marshalChunk(v)
	case map[string]proto.Message:
		chunk := make(map[string]any, len(v))
		for k, m := range v {
			chunk[k] = m
		}
		return marshalChunk(chunk)
	}
	return nil, fmt.Errorf("write %T as JSON: not a message", v)
}

func marshalChunk(chunk map[string]any) ([]byte, error) {
	if len(chunk) != 1 {
		return nil, fmt.Errorf("write a stream message with %d members, want 1", len(chunk))
	}
	for key, value := range chunk {
		m, ok := value.(proto.Message)
		if !ok {
			return nil, fmt.Errorf("write %T as JSON: not a message", value)
		}
		out := append([]byte(`{"`), key...)
		out = append(out, `":`...)
		out, err := write.MarshalAppend(out, m)
		return append(out, '}'), err
	}
	return nil, nil
}

func unmarshal(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("read %T from JSON: not a message", v)
	}
	if err := read.Unmarshal(data, m); err != nil {
		return fault.Malformed("%s", plain(err))
	}
	return nil
}

// plain returns the text of a protojson error without its prefix, whose blank is on purpose not always the same character.
func plain(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimPrefix(text, "proto: ")
}
