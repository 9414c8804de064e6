package lake

import (
	"bytes"
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/parquet-go/parquet-go"
)

// checkedReader reads a data file block by block and compares every block with the sum in the manifest before a byte of it is used.
type checkedReader struct {
	ctx   context.Context //nolint:containedctx // io.ReaderAt has none; a reader lives as long as one call
	store Store
	file  *File
	cache *blockCache
}

// ReadAt reads checked bytes.
func (r checkedReader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= r.file.Bytes {
			return n, io.EOF
		}
		block, err := r.block(at / blockSize)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], block[at%blockSize:])
	}
	return n, nil
}

func (r checkedReader) block(i int64) ([]byte, error) {
	key := blockKey{r.file.Path, i}
	if b, ok := r.cache.get(key); ok {
		return b, nil
	}
	b := make([]byte, min(blockSize, r.file.Bytes-i*blockSize))
	err := r.store.ReadAt(r.ctx, r.file.Path, b, i*blockSize)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &DamageError{Object: r.file.Path, Offset: i * blockSize, Reason: fmt.Sprintf("it has less than its %d bytes", r.file.Bytes)}
	}
	if err != nil {
		return nil, err
	}
	if len(r.file.Blocks) < int(4*i+4) || crc32.Checksum(b, castagnoli) != binary.BigEndian.Uint32(r.file.Blocks[4*i:]) {
		return nil, &DamageError{Object: r.file.Path, Offset: i * blockSize, Reason: "the block does not have its checksum"}
	}
	r.cache.put(key, b)
	return b, nil
}

type blockKey struct {
	path  string
	index int64
}

// blockCache holds blocks that were read and checked, the last used ones of them.
type blockCache struct {
	mu    sync.Mutex
	byKey map[blockKey]*list.Element
	order list.List
	bytes int
	limit int
}

type cachedBlock struct {
	key  blockKey
	data []byte
}

func (c *blockCache) get(k blockKey) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[k]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedBlock).data, true
}

func (c *blockCache) put(k blockKey, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[k]; ok {
		return
	}
	if c.byKey == nil {
		c.byKey = map[blockKey]*list.Element{}
	}
	c.byKey[k] = c.order.PushFront(&cachedBlock{k, b})
	for c.bytes += len(b); c.bytes > c.limit && c.order.Len() > 1; {
		last := c.order.Back()
		old := last.Value.(*cachedBlock)
		c.order.Remove(last)
		delete(c.byKey, old.key)
		c.bytes -= len(old.data)
	}
}

// openFiles opens data files; what lookups read again and again stays in memory.
type openFiles struct{ blocks blockCache }

// cacheBytes bounds the blocks in memory.
const cacheBytes = 16 << 20

// open opens a data file through checks. parquet-go panics on some damaged files; none reaches it.
func (l *Lake) open(ctx context.Context, f *File) (*parquet.File, error) {
	l.files.blocks.mu.Lock()
	l.files.blocks.limit = cacheBytes
	l.files.blocks.mu.Unlock()
	return l.openWith(ctx, f, &l.files.blocks)
}

// openWhole reads a data file as a whole, against its SHA-256.
func (l *Lake) openWhole(ctx context.Context, f *File) (*parquet.File, error) {
	data, err := l.store.Read(ctx, f.Path)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != f.Bytes || hashOf(data) != f.SHA256 {
		return nil, damageOf(f, data)
	}
	p, err := parquet.OpenFile(bytes.NewReader(data), f.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.Path, err)
	}
	return p, nil
}

// damageOf says where a file differs from what was written.
func damageOf(f *File, data []byte) error {
	if int64(len(data)) != f.Bytes {
		return &DamageError{Object: f.Path, Reason: fmt.Sprintf("it has %d bytes, written were %d", len(data), f.Bytes)}
	}
	sums := blockSums(data)
	for i := 0; i+4 <= len(sums) && i+4 <= len(f.Blocks); i += 4 {
		if !bytes.Equal(sums[i:i+4], f.Blocks[i:i+4]) {
			return &DamageError{Object: f.Path, Offset: int64(i / 4 * blockSize), Reason: "the block does not have its checksum"}
		}
	}
	return &DamageError{Object: f.Path, Reason: "it does not have its SHA-256"}
}

func (l *Lake) openWith(ctx context.Context, f *File, cache *blockCache) (*parquet.File, error) {
	p, err := parquet.OpenFile(checkedReader{ctx, l.store, f, cache}, f.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.Path, err)
	}
	return p, nil
}
