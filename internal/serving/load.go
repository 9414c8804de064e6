package serving

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

// maxArtifact bounds what is downloaded; it is the contract's limit for registering.
const maxArtifact = 1 << 30

// loader opens models for one Run.
type loader struct {
	models modelsv1.ModelServiceClient
	blobs  *blob.Store
	table  *Table
}

// load opens the artifact of a project's version, after downloading it where the folder does not hold it, and warms it.
func (l *loader) load(ctx context.Context, project string, v *modelsv1.ModelVersion) (*model, error) {
	begin := time.Now()
	path, err := l.blobs.Path(v.GetDigest())
	if errors.Is(err, blob.ErrNotFound) {
		if err := l.download(ctx, project, v); err != nil {
			return nil, fmt.Errorf("download artifact: %w", err)
		}
		path, err = l.blobs.Path(v.GetDigest())
	}
	if err != nil {
		return nil, err
	}
	p, err := l.table.open(path)
	if err != nil {
		return nil, err
	}
	if err := check(p, v); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	l.table.log.InfoContext(ctx, "model loaded", "project", project, "model", v.GetModel(), "version", v.GetVersion(),
		"digest", v.GetDigest(), "took", time.Since(begin))
	m := &model{digest: v.GetDigest(), predictor: p, log: l.table.log}
	m.refs.Store(1)
	return m, nil
}

// check compares the file with the registry's description: its digest, and what it answers to the probes, which also brings its first pages into memory, so that the first caller
// does not wait for the disk.
func check(p engine.Predictor, v *modelsv1.ModelVersion) error {
	info := p.Info()
	if info.Digest != v.GetDigest() {
		return fmt.Errorf("file has the digest %s, want %s: %w", info.Digest, v.GetDigest(), engine.ErrFormat)
	}
	fingerprint, err := engine.Fingerprint(p)
	if err != nil {
		return fmt.Errorf("first predictions: %w", err)
	}
	if want := v.GetFingerprint(); want != "" && fingerprint != want {
		return fmt.Errorf("answers the probes otherwise than when it was registered (fingerprint %.8s, want %.8s): %w", fingerprint, want, engine.ErrFormat)
	}
	return nil
}

// download fetches the artifact from the registry into the folder; its digest is checked on the way.
func (l *loader) download(ctx context.Context, project string, v *modelsv1.ModelVersion) error {
	w, err := l.blobs.Create(v.GetDigest())
	if err != nil {
		return err
	}
	defer w.Discard()
	ctx, cancel := context.WithCancel(ctx) // ends the stream when writing fails
	defer cancel()
	stream, err := l.models.DownloadArtifact(ctx, &modelsv1.DownloadArtifactRequest{
		Project: project, Model: v.GetModel(), Version: v.GetVersion(),
	})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return w.Commit()
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(m.GetChunk()); err != nil {
			return err
		}
	}
}
