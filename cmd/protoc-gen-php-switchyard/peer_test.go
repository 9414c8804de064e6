package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/pluginpb"
)

// peer is a PHP process that decodes and encodes with generated code.
type peer struct {
	in  *bufio.Writer
	out *bufio.Reader
}

// frame is one thing asked of the peer, and its answer.
type frame struct {
	op      byte // b: binary to binary, j: binary to JSON, f: JSON to binary, w: binary to binary through with()
	typ     string
	payload []byte

	verdict byte // '+' answered, '-' refused with the exception meant for it, '!' anything else
	answer  []byte
}

// startPeer generates code for the request and starts PHP with it.
func startPeer(t testing.TB, req *pluginpb.CodeGeneratorRequest) *peer {
	t.Helper()
	bin := php(t)
	dir := t.TempDir()
	writeTree(t, dir, generated(t, req))
	runtime, err := filepath.Abs("../../php/client/src")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Hour)
	cmd := exec.CommandContext(ctx, bin, "-d", "memory_limit=512M", "-d", "display_errors=stderr", "testdata/peer.php", runtime, dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
		cancel()
	})
	return &peer{bufio.NewWriterSize(in, 1<<16), bufio.NewReaderSize(out, 1<<16)}
}

// exchange sends all frames and fills in the answers.
func (p *peer) exchange(frames []*frame) error {
	written := make(chan error, 1)
	go func() { written <- p.send(frames) }()
	for _, f := range frames {
		var head [5]byte
		if _, err := io.ReadFull(p.out, head[:]); err != nil {
			return fmt.Errorf("peer ended while it read a %s (%x): %w", f.typ, f.payload, err)
		}
		f.verdict = head[0]
		f.answer = make([]byte, binary.LittleEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(p.out, f.answer); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
	}
	return <-written
}

func (p *peer) send(frames []*frame) error {
	for _, f := range frames {
		head := []byte{f.op}
		head = binary.LittleEndian.AppendUint32(head, uint32(len(f.typ)))
		head = binary.LittleEndian.AppendUint32(head, uint32(len(f.payload)))
		for _, b := range [][]byte{head, []byte(f.typ), f.payload} {
			if _, err := p.in.Write(b); err != nil {
				return fmt.Errorf("write to peer: %w", err)
			}
		}
	}
	return p.in.Flush()
}
