package modelfile

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Encode returns the file with that description and those sections. The same content gives the same bytes.
func Encode(h Header, sections ...Section) ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("encode model: %w", err)
	}
	description := encodeHeader(h)
	size := prologue + entrySize*len(sections) + padded(len(description)) + trailer
	if len(sections) > MaxSections {
		return nil, fmt.Errorf("encode model: %d sections, limit %d", len(sections), MaxSections)
	}
	seen := map[string]bool{}
	for _, s := range sections {
		if !validName(s.Name) || seen[s.Name] {
			return nil, fmt.Errorf("encode model: section name %q is invalid or stands twice", s.Name)
		}
		seen[s.Name] = true
		if len(s.Data) > MaxSize {
			return nil, fmt.Errorf("encode model: section %q has %d bytes, limit %d", s.Name, len(s.Data), MaxSize)
		}
		size += padded(len(s.Data))
	}
	if size > MaxSize {
		return nil, fmt.Errorf("encode model: file would have %d bytes, limit %d", size, MaxSize)
	}

	le := binary.LittleEndian
	b := make([]byte, 0, size)
	b = append(b, magic...)
	b = le.AppendUint32(b, version)
	b = le.AppendUint32(b, uint32(len(sections)))
	b = le.AppendUint64(b, uint64(size))
	b = le.AppendUint32(b, uint32(len(description)))
	b = le.AppendUint32(b, crc32.Checksum(description, castagnoli))
	b = pad(b)
	offset := prologue + entrySize*len(sections) + padded(len(description))
	for _, s := range sections {
		b = append(b, s.Name...)
		b = append(b, make([]byte, MaxNameBytes-len(s.Name))...)
		b = le.AppendUint64(b, uint64(offset))
		b = le.AppendUint64(b, uint64(len(s.Data)))
		b = le.AppendUint32(b, crc32.Checksum(s.Data, castagnoli))
		b = pad(b)
		offset += padded(len(s.Data))
	}
	b = pad(append(b, description...))
	for _, s := range sections {
		b = pad(append(b, s.Data...))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

func padded(n int) int { return (n + align - 1) / align * align }

func pad(b []byte) []byte { return append(b, make([]byte, padded(len(b))-len(b))...) }

// check says what makes a description unfit for a file. It is the only place that knows, so what Encode accepts is what
// Parse accepts.
func (h *Header) check() error {
	if h.Kind.String() == "unknown" {
		return fmt.Errorf("kind %d is unknown", h.Kind)
	}
	if h.Task != engine.Multiclass && h.Task != engine.Multilabel {
		return fmt.Errorf("task %d is unknown", h.Task)
	}
	if len(h.Labels) == 0 || len(h.Labels) > MaxLabels {
		return fmt.Errorf("%d labels, want 1 to %d", len(h.Labels), MaxLabels)
	}
	if err := names("label", h.Labels, MaxLabelBytes); err != nil {
		return err
	}
	if h.OutOfScope < -1 || h.OutOfScope >= len(h.Labels) {
		return fmt.Errorf("out-of-scope label %d of %d", h.OutOfScope, len(h.Labels))
	}
	if len(h.Columns) > MaxColumns {
		return fmt.Errorf("%d columns, limit %d", len(h.Columns), MaxColumns)
	}
	columns := make([]string, len(h.Columns))
	for i, c := range h.Columns {
		if c.Kind < engine.Number || c.Kind > engine.Bool {
			return fmt.Errorf("column %q has the unknown type %d", c.Name, c.Kind)
		}
		columns[i] = c.Name
	}
	if err := names("column", columns, MaxColumnBytes); err != nil {
		return err
	}
	if len(h.Meta) > MaxMeta {
		return fmt.Errorf("%d notes, limit %d", len(h.Meta), MaxMeta)
	}
	for k, v := range h.Meta {
		if err := names("note", []string{k}, MaxKeyBytes); err != nil {
			return err
		}
		if len(v) > MaxValueBytes || !utf8.ValidString(v) {
			return fmt.Errorf("note %q is not UTF-8 of at most %d bytes", k, MaxValueBytes)
		}
	}
	return nil
}

// names checks that all of list are distinct, not empty, UTF-8 and at most limit bytes long.
func names(what string, list []string, limit int) error {
	seen := make(map[string]struct{}, len(list))
	for i, s := range list {
		if s == "" || len(s) > limit || !utf8.ValidString(s) {
			return fmt.Errorf("%s %d is not UTF-8 of 1 to %d bytes", what, i, limit)
		}
		if _, twice := seen[s]; twice {
			return fmt.Errorf("%s %q stands twice", what, s)
		}
		seen[s] = struct{}{}
	}
	return nil
}

func encodeHeader(h Header) []byte {
	le := binary.LittleEndian
	b := []byte{byte(h.Kind), byte(h.Task)}
	b = le.AppendUint32(b, uint32(int32(h.OutOfScope)))
	b = le.AppendUint32(b, uint32(len(h.Labels)))
	for _, l := range h.Labels {
		b = appendString(b, l)
	}
	b = le.AppendUint32(b, uint32(len(h.Columns)))
	for _, c := range h.Columns {
		b = append(appendString(b, c.Name), byte(c.Kind))
	}
	b = le.AppendUint32(b, uint32(len(h.Meta)))
	for _, k := range slices.Sorted(maps.Keys(h.Meta)) {
		b = appendString(appendString(b, k), h.Meta[k])
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}
