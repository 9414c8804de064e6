package lake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The manifest is a log of entries, "_manifest/<number>.json". An entry says which files come and go; the files of the lake are those that came and did not go. An
// entry is created under the number after the last one, which only one writer can do: that is the commit. Every entry holds the hash of the one before it.
//
// From time to time a checkpoint, "_manifest/<number>.checkpoint.json", holds the state after the entry of that number, so that nobody has to read from the beginning.
const (
	manifestDir      = "_manifest/"
	entrySuffix      = ".json"
	checkpointSuffix = ".checkpoint.json"
)

// File is one Parquet file of the lake.
type File struct {
	Path    string    `json:"path"` // project=…/kind=…/date=…/<first>-<last>-<hash>.parquet; first and last are places in the stream
	Bytes   int64     `json:"bytes"`
	SHA256  string    `json:"sha256"`
	Blocks  []byte    `json:"blocks"` // CRC32C of every blockSize bytes, so that any part can be checked when it is read
	Rows    int64     `json:"rows"`
	MinKey  string    `json:"min_key"`
	MaxKey  string    `json:"max_key"`
	MinSeq  int64     `json:"min_seq"`
	MaxSeq  int64     `json:"max_seq"`
	MinTime time.Time `json:"min_time"`
	MaxTime time.Time `json:"max_time"`
	// Subjects is false when no row of the file belongs to a known person.
	Subjects bool `json:"subjects,omitempty"`

	Project, Table, Date string `json:"-"` // from the path
}

// Range is a part of the stream, ends included.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// Kinds of manifest entries.
const (
	kindAppend  = "append"
	kindCompact = "compact"
	kindRetain  = "retain"
	kindErase   = "erase"
	kindPurge   = "purge"
)

// Entry is one change of the lake.
type Entry struct {
	Number   uint64    `json:"number"`
	Previous string    `json:"previous"` // SHA-256 of the entry before; of nothing for the first
	Nonce    string    `json:"nonce"`    // tells two writers with the same change apart
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`
	// StreamID tells the streams of an installation apart: one that was made anew counts from 1 again.
	StreamID string `json:"stream_id,omitempty"`
	// Stream is what an append has taken from the stream. It begins where the one before it ended.
	Stream *Range `json:"stream,omitempty"`
	// Lost is the part of it that was gone before it could be read.
	Lost []Range `json:"lost,omitempty"`
	// Repeated counts the messages that were in the lake already.
	Repeated int64 `json:"repeated,omitempty"`
	// Skipped counts the messages that belong to no table.
	Skipped int64    `json:"skipped,omitempty"`
	Add     []File   `json:"add,omitempty"`
	Remove  []string `json:"remove,omitempty"`
	// Purged are removed files that were deleted since.
	Purged []string `json:"purged,omitempty"`
}

// State is what the lake holds after an entry. It is never changed: apply makes a new one.
type State struct {
	Number    uint64               `json:"number"`
	Hash      string               `json:"hash"` // of the entry
	Stream    string               `json:"stream"`
	Watermark uint64               `json:"watermark"`
	Rows      int64                `json:"rows"` // ever taken in by appends
	Lost      []Range              `json:"lost,omitempty"`
	Files     map[string]*File     `json:"files"`
	Removed   map[string]time.Time `json:"removed,omitempty"` // not yet deleted
}

var emptyHash = hashOf(nil)

func newState() *State {
	return &State{Hash: emptyHash, Files: map[string]*File{}, Removed: map[string]time.Time{}}
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// errStale means that an entry does not fit the state that it is applied to.
var errStale = errors.New("the lake has changed meanwhile")

// apply returns the state after an entry whose encoded form has that hash.
func (s *State) apply(e *Entry, hash string) (*State, error) {
	if e.Number != s.Number+1 || e.Previous != s.Hash {
		return nil, fmt.Errorf("entry %d does not follow from entry %d", e.Number, s.Number)
	}
	n := &State{Number: e.Number, Hash: hash, Stream: s.Stream, Watermark: s.Watermark, Rows: s.Rows, Lost: append(slices.Clip(s.Lost), e.Lost...), Files: maps.Clone(s.Files), Removed: maps.Clone(s.Removed)}
	if e.Stream != nil {
		if w := s.WatermarkOf(e.StreamID); e.Stream.First != w+1 || e.Stream.Last < e.Stream.First {
			return nil, fmt.Errorf("entry %d takes messages %d to %d, the one before it ended with %d", e.Number, e.Stream.First, e.Stream.Last, w)
		}
		n.Stream, n.Watermark = e.StreamID, e.Stream.Last
	}
	for _, path := range e.Remove {
		if n.Files[path] == nil {
			return nil, fmt.Errorf("entry %d removes %s, which is not there: %w", e.Number, path, errStale)
		}
		delete(n.Files, path)
		n.Removed[path] = e.Time
	}
	for i := range e.Add {
		f := e.Add[i]
		if err := f.fromPath(); err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Number, err)
		}
		if n.Files[f.Path] != nil {
			return nil, fmt.Errorf("entry %d adds %s, which is there: %w", e.Number, f.Path, errStale)
		}
		n.Files[f.Path] = &f
		delete(n.Removed, f.Path)
		if e.Kind == kindAppend {
			n.Rows += f.Rows
		}
	}
	for _, path := range e.Purged {
		delete(n.Removed, path)
	}
	return n, nil
}

// WatermarkOf returns the place up to which everything of that stream is in the lake: 0 for another stream than the one that was read last.
func (s *State) WatermarkOf(stream string) uint64 {
	if s.Stream != stream {
		return 0
	}
	return s.Watermark
}

// seal puts the hash of the content before it, so that a flipped bit in the newest entry, which no other entry vouches for yet, is found too.
func seal(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte(hashOf(body)+"\n"), body...), nil
}

// unseal checks the hash and decodes the content.
func unseal(name string, data []byte, v any) error {
	sum, body, ok := bytes.Cut(data, []byte("\n"))
	if !ok || string(sum) != hashOf(body) {
		return &DamageError{Object: name, Reason: "its content does not have the hash that it states"}
	}
	if err := json.Unmarshal(body, v); err != nil {
		return &DamageError{Object: name, Reason: err.Error()}
	}
	return nil
}

func numberName(n uint64) string { return fmt.Sprintf("%s%020d", manifestDir, n) }

func entryName(n uint64) string { return numberName(n) + entrySuffix }

func checkpointName(n uint64) string { return numberName(n) + checkpointSuffix }

// manifestNumber reads the number in the name of an entry or checkpoint.
func manifestNumber(name string) (n uint64, checkpoint, ok bool) {
	base := strings.TrimPrefix(name, manifestDir)
	digits, checkpoint := strings.CutSuffix(base, checkpointSuffix)
	if !checkpoint {
		digits, ok = strings.CutSuffix(base, entrySuffix)
		if !ok {
			return 0, false, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, checkpoint, err == nil && len(digits) == 20
}

// DamageError names an object of the lake that is not what was written.
type DamageError struct {
	Object string
	Offset int64 // of the damaged block; 0 when all of it is concerned
	Reason string
}

// Error names object, place and reason.
func (e *DamageError) Error() string {
	if e.Offset > 0 {
		return fmt.Sprintf("%s, from byte %d: %s", e.Object, e.Offset, e.Reason)
	}
	return e.Object + ": " + e.Reason
}
