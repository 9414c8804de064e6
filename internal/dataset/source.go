package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

var (
	gzipMagic    = []byte{0x1f, 0x8b}
	zstdMagic    = []byte{0x28, 0xb5, 0x2f, 0xfd}
	parquetMagic = []byte("PAR1")
	byteOrder    = []byte("\xef\xbb\xbf") // the byte order mark that spreadsheets put before UTF-8
)

// ratioFrom is the decompressed size below which the ratio is not looked at: small files of repeated text compress very well.
const ratioFrom = 64 << 20

func readFile(ctx context.Context, path string, o Options) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s is a folder, not a file: %w", path, ErrFormat)
	}
	b := newBuilder(filepath.Base(path), o)
	digest := sha256.New()
	if b.set.Bytes, err = io.Copy(digest, f); err != nil {
		return nil, err
	}
	b.set.SHA256 = hex.EncodeToString(digest.Sum(nil))
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if o.Format == "parquet" || (o.Format == "" && bytes.Equal(head[:n], parquetMagic)) {
		err = readParquet(ctx, f, b.set.Bytes, b)
	} else if _, err = f.Seek(0, io.SeekStart); err == nil {
		err = readStream(ctx, path, f, b)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.set.Name, err)
	}
	return b.finish(), nil
}

// readStream reads JSONL or CSV, decompressing as the first bytes say. The extension only decides what content cannot.
func readStream(ctx context.Context, path string, r io.Reader, b *builder) error {
	in := &counter{r: r}
	buffered := bufio.NewReaderSize(in, 64<<10)
	name := strings.ToLower(path)
	magic, _ := buffered.Peek(4)
	var plain io.Reader = buffered
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("gzip: %w: %w", ErrFormat, err)
		}
		plain, name = z, strings.TrimSuffix(name, ".gz")
	case bytes.HasPrefix(magic, zstdMagic):
		// The window bounds what a hostile frame header can make the decoder allocate.
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return fmt.Errorf("zstd: %w: %w", ErrFormat, err)
		}
		defer z.Close()
		plain, name = z, strings.TrimSuffix(strings.TrimSuffix(name, ".zst"), ".zstd")
	}
	limited := &bounded{r: plain, in: in, limits: b.o.Limits}
	text := bufio.NewReaderSize(limited, 64<<10)
	if mark, _ := text.Peek(3); bytes.Equal(mark, byteOrder) {
		_, _ = text.Discard(3)
	}
	format, err := b.format(name, text)
	if err != nil {
		return err
	}
	b.set.Format = format
	if format == "csv" {
		return readCSV(ctx, text, b)
	}
	return readJSONL(ctx, text, b)
}

func (b *builder) format(name string, r *bufio.Reader) (string, error) {
	switch b.o.Format {
	case "jsonl", "csv":
		return b.o.Format, nil
	case "":
	default:
		return "", fmt.Errorf("format %q is none of jsonl, csv, parquet: %w", b.o.Format, ErrFormat)
	}
	head, err := r.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", streamError(err)
	}
	head = bytes.TrimLeft(head, " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("{")):
		return "jsonl", nil
	case bytes.HasPrefix(head, []byte("[")) && filepath.Ext(name) != ".csv":
		return "", fmt.Errorf("the file is one JSON array; one object a line is needed (jq -c '.[]' converts it): %w", ErrFormat)
	case bytes.IndexByte(head, 0) >= 0:
		return "", fmt.Errorf("the file is neither JSONL, CSV nor Parquet (it holds zero bytes): %w", ErrFormat)
	}
	switch filepath.Ext(name) {
	case ".jsonl", ".ndjson", ".json":
		return "jsonl", nil
	}
	return "csv", nil
}

// counter counts the compressed bytes that were read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// bounded ends the reading with ErrTooLarge when the decompressed bytes exceed the limits.
type bounded struct {
	r      io.Reader
	in     *counter
	out    int64
	limits Limits
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.out += int64(n)
	if b.out > b.limits.Bytes {
		return n, fmt.Errorf("more than %d bytes after decompression: %w", b.limits.Bytes, ErrTooLarge)
	}
	if b.out > ratioFrom && b.out > b.in.n*b.limits.Ratio {
		return n, fmt.Errorf("decompresses to more than %d times its size: %w", b.limits.Ratio, ErrTooLarge)
	}
	return n, err
}
