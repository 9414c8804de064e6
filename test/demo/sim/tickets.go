package sim

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Ticket is an inquiry whose right queue is known. Whoever decides sees the text only.
type Ticket struct {
	ID    string
	Text  string
	Label string
}

// MissingDataError says which file of the data set is absent.
type MissingDataError struct{ Path string }

// Error implements error.
func (e *MissingDataError) Error() string { return "data set is absent: " + e.Path }

// Stream is the inquiries that arrive, in a random order that the seed fixes. It ends when the data does: no text comes twice.
type Stream struct {
	rest []Ticket
	next int
}

// The files of the data set. A text stands in one of them only, whatever its label: what arrives was not learned from.
const (
	trainFile  = "it_tickets/train.jsonl.gz"
	arriveFile = "it_tickets/valid.jsonl.gz"
)

// CheckData returns a MissingDataError when a file of the data set is absent.
func CheckData(dir string) error {
	for _, name := range []string{trainFile, arriveFile} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			return missing(path, err)
		}
	}
	return nil
}

// OpenStream reads the inquiries that may arrive from the folder of data sets.
func OpenStream(dir string, seed uint64) (*Stream, error) {
	lines, err := readLines(filepath.Join(dir, arriveFile))
	if err != nil {
		return nil, err
	}
	s := &Stream{}
	for i, line := range lines {
		t, err := parseTicket(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", arriveFile, i+1, err)
		}
		s.rest = append(s.rest, t)
	}
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(s.rest), func(i, j int) { s.rest[i], s.rest[j] = s.rest[j], s.rest[i] })
	return s, nil
}

func parseTicket(line []byte) (Ticket, error) {
	var row struct{ Text, Label string }
	err := json.Unmarshal(line, &row)
	return Ticket{Text: row.Text, Label: row.Label}, err
}

// Left returns how many inquiries there still are.
func (s *Stream) Left() int { return len(s.rest) }

// Take returns the next n inquiries, with ids.
func (s *Stream) Take(n int) ([]Ticket, error) {
	if n > len(s.rest) {
		return nil, fmt.Errorf("take %d inquiries: the data set has %d more; ask for less with -night and -day", n, len(s.rest))
	}
	out := s.rest[:n:n]
	s.rest = s.rest[n:]
	for i := range out {
		s.next++
		out[i].ID = fmt.Sprintf("INC-%05d", s.next)
	}
	return out, nil
}

// trainingData returns the file to train on: the whole one of the data set, or a random part of it that is written into work.
func trainingData(dir, work string, rows int, seed uint64) (string, error) {
	path := filepath.Join(dir, trainFile)
	if rows <= 0 {
		return path, nil
	}
	lines, err := readLines(path)
	if err != nil {
		return "", err
	}
	rand.New(rand.NewPCG(seed, 2)).Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	part := filepath.Join(work, "train.jsonl")
	return part, os.WriteFile(part, append(bytes.Join(lines[:min(rows, len(lines))], []byte{'\n'}), '\n'), 0o600)
}

func missing(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &MissingDataError{path}
	}
	return err
}

// readLines returns the lines of a file that is compressed with gzip.
func readLines(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, missing(path, err)
	}
	defer func() { _ = file.Close() }()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var out [][]byte
	lines := bufio.NewScanner(plain)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			out = append(out, bytes.Clone(line))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return out, nil
}
