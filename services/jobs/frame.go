package jobs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/switchyard-ai/switchyard/internal/writeback"
)

// A file of a job is a row of frames, each compressed and checksummed: a head of 12 bytes (length, CRC-32C, number of entries; little-endian),
// then that many entries, each after its length. Frame k of the results answers frame k of the items.
const (
	frameHead = 12
	// maxFrame bounds what is read at once, compressed and not: 500 results of many labels and rule matches stay below it.
	maxFrame = 64 << 20
	// movedFlag in the number of entries says that 8 bytes follow the head: where the frame began when the file was made. Ids of decisions follow from that place,
	// and files from which a person was erased have other lengths.
	movedFlag = 1 << 31
)

// errTorn is how a file ends that was cut short by a crash, or damaged.
var errTorn = errors.New("frame is cut short or damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	encoder = must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<18)))
	decoder = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxFrame)))
)

// must is for options that are constant and right.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err) //nolint:forbidigo // see above
	}
	return v
}

// frames appends frames to a file.
type frames struct {
	file *os.File
	end  int64
	raw  []byte
	out  []byte
}

// create makes a file for frames.
func createFrames(path string) (*frames, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &frames{file: f}, nil
}

// appendFrames opens a file to append after its first end bytes; what follows them is cut off.
func appendFrames(path string, end int64) (*frames, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(end), seekTo(f, end)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &frames{file: f, end: end}, nil
}

func seekTo(f *os.File, at int64) error {
	_, err := f.Seek(at, io.SeekStart)
	return err
}

func packEntries(raw []byte, entries [][]byte) []byte {
	for _, e := range entries {
		raw = binary.AppendUvarint(raw, uint64(len(e)))
		raw = append(raw, e...)
	}
	return raw
}

// sealFrame writes the head of a frame whose body is complete.
func sealFrame(frame []byte, count uint32) {
	body := frame[frameHead:]
	binary.LittleEndian.PutUint32(frame[0:], uint32(len(body)))
	binary.LittleEndian.PutUint32(frame[8:], count)
	binary.LittleEndian.PutUint32(frame[4:], crc32.Update(crc32.Checksum(body, castagnoli), castagnoli, frame[8:frameHead]))
}

// append adds one frame.
func (f *frames) append(entries [][]byte) error { return f.add(entries, 0) }

// add adds one frame; moved says where it was before, for one that has come from another place.
func (f *frames) add(entries [][]byte, moved int64) error {
	f.raw = packEntries(f.raw[:0], entries)
	f.out = append(f.out[:0], make([]byte, frameHead)...)
	count := uint32(len(entries))
	if moved > 0 {
		f.out = binary.LittleEndian.AppendUint64(f.out, uint64(moved))
		count |= movedFlag
	}
	f.out = encoder.EncodeAll(f.raw, f.out)
	sealFrame(f.out, count)
	n, err := f.file.Write(f.out)
	if err != nil {
		// Half a frame must not stay: the next one would follow it.
		return errors.Join(err, f.file.Truncate(f.end), seekTo(f.file, f.end))
	}
	writeback.Start(f.file, f.end, int64(n))
	f.end += int64(n)
	return nil
}

// close brings everything to disk.
func (f *frames) close() error { return errors.Join(f.file.Sync(), f.file.Close()) }

// frameReader reads frames one after another.
type frameReader struct {
	file *os.File
	in   *bufio.Reader
	at   int64 // where the next frame begins
	from int64 // where the frame that was read last began, or had begun before it was moved
	body []byte
	raw  []byte
}

func readFrames(path string, at int64) (*frameReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := seekTo(f, at); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &frameReader{file: f, in: bufio.NewReaderSize(f, 1<<16), at: at}, nil
}

// next returns the entries of the next frame, which are valid until the call after; skip, when it is not nil, may say that they are not
// needed, by their number. It fails with io.EOF at the end and with errTorn where a frame is not whole.
func (r *frameReader) next(skip func(entries int) bool) (entries [][]byte, skipped int, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, 0, io.EOF
		}
		return nil, 0, torn(err)
	}
	length, sum, flags := binary.LittleEndian.Uint32(head[0:]), binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[8:])
	count, moved := int(flags&^movedFlag), flags&movedFlag != 0
	if length > maxFrame || count > maxFrame {
		return nil, 0, errTorn
	}
	if cap(r.body) < int(length) {
		r.body = make([]byte, length)
	}
	r.body = r.body[:length]
	if _, err := io.ReadFull(r.in, r.body); err != nil {
		return nil, 0, torn(err)
	}
	if crc32.Update(crc32.Checksum(r.body, castagnoli), castagnoli, head[8:]) != sum {
		return nil, 0, errTorn
	}
	body := r.body
	r.from = r.at
	if moved {
		if len(body) < 8 {
			return nil, 0, errTorn
		}
		r.from, body = int64(binary.LittleEndian.Uint64(body)), body[8:]
	}
	r.at += frameHead + int64(length)
	if skip != nil && skip(count) {
		return nil, count, nil
	}
	if r.raw, err = decoder.DecodeAll(body, r.raw[:0]); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errTorn, err)
	}
	entries = make([][]byte, 0, count)
	for rest := r.raw; len(rest) > 0; {
		n, w := binary.Uvarint(rest)
		if w <= 0 || n > uint64(len(rest)-w) {
			return nil, 0, errTorn
		}
		entries = append(entries, rest[w:w+int(n)])
		rest = rest[w+int(n):]
	}
	if len(entries) != count {
		return nil, 0, errTorn
	}
	return entries, 0, nil
}

func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

func (r *frameReader) close() { _ = r.file.Close() }
