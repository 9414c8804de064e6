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
)

// A file of a job is a row of frames, each compressed and checksummed: a head of 12 bytes (length, CRC-32C, number of entries; little-endian),
// then that many entries, each after its length. Frame k of the results answers frame k of the items.
const (
	frameHead = 12
	// maxFrame bounds what is read at once, compressed and not: 500 results of many labels and rule matches stay below it.
	maxFrame = 64 << 20
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

// append adds one frame.
func (f *frames) append(entries [][]byte) error {
	f.raw = packEntries(f.raw[:0], entries)
	f.out = encoder.EncodeAll(f.raw, append(f.out[:0], make([]byte, frameHead)...))
	sealFrame(f.out, len(entries))
	n, err := f.file.Write(f.out)
	if err != nil {
		// Half a frame must not stay: the next one would follow it.
		return errors.Join(err, f.file.Truncate(f.end), seekTo(f.file, f.end))
	}
	f.end += int64(n)
	return nil
}

func packEntries(raw []byte, entries [][]byte) []byte {
	for _, e := range entries {
		raw = binary.AppendUvarint(raw, uint64(len(e)))
		raw = append(raw, e...)
	}
	return raw
}

// sealFrame writes the head of a frame whose body is complete.
func sealFrame(frame []byte, entries int) {
	body := frame[frameHead:]
	binary.LittleEndian.PutUint32(frame[0:], uint32(len(body)))
	binary.LittleEndian.PutUint32(frame[8:], uint32(entries))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Update(crc32.Checksum(body, castagnoli), castagnoli, frame[8:frameHead]))
}

// skippable begins a zstd frame that decoders pass over (RFC 8878, section 3.1.2): 4 bytes, then its length.
const (
	skippable     = 0x184D2A50
	skippableHead = 8
)

// encodeFrame makes a frame of a given size, for entries that are shorter than those that it held before. What is left over is filled up. It tries harder than
// frames that are appended, since those that hold many entries alike become no shorter when one is taken out.
func encodeFrame(entries [][]byte, size int) ([]byte, error) {
	raw := packEntries(nil, entries)
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
		if err != nil {
			return nil, err
		}
		frame := e.EncodeAll(raw, make([]byte, frameHead, size))
		left := size - len(frame)
		if left != 0 && left < skippableHead {
			continue
		}
		if left > 0 {
			frame = binary.LittleEndian.AppendUint32(frame, skippable)
			frame = binary.LittleEndian.AppendUint32(frame, uint32(left-skippableHead))
			frame = append(frame, make([]byte, left-skippableHead)...)
		}
		sealFrame(frame, len(entries))
		return frame, nil
	}
	return nil, fmt.Errorf("a frame of %d bytes does not fit into its %d", len(raw), size)
}

// close brings everything to disk.
func (f *frames) close() error { return errors.Join(f.file.Sync(), f.file.Close()) }

// frameReader reads frames one after another.
type frameReader struct {
	file *os.File
	in   *bufio.Reader
	at   int64 // where the next frame begins
	body []byte
	raw  []byte
	// whole is the frame that was read last, head and body.
	whole []byte
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
	length, sum, count := binary.LittleEndian.Uint32(head[0:]), binary.LittleEndian.Uint32(head[4:]), int(binary.LittleEndian.Uint32(head[8:]))
	if length > maxFrame || count > maxFrame {
		return nil, 0, errTorn
	}
	if cap(r.whole) < frameHead+int(length) {
		r.whole = make([]byte, frameHead+int(length))
	}
	r.whole = append(r.whole[:0], head[:]...)[:frameHead+int(length)]
	r.body = r.whole[frameHead:]
	if _, err := io.ReadFull(r.in, r.body); err != nil {
		return nil, 0, torn(err)
	}
	if crc32.Update(crc32.Checksum(r.body, castagnoli), castagnoli, head[8:]) != sum {
		return nil, 0, errTorn
	}
	r.at += frameHead + int64(length)
	if skip != nil && skip(count) {
		return nil, count, nil
	}
	if r.raw, err = decoder.DecodeAll(r.body, r.raw[:0]); err != nil {
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
