// Package load opens model files of every kind. It is the one place that knows which kinds there are.
package load

import (
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
	"github.com/switchyard-ai/switchyard/internal/engine/record"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

// Open maps the model file at path into memory and returns its predictor. A file that is damaged, hostile or of an unknown
// kind gives an error that wraps [engine.ErrFormat]. The file must not be changed while it is open.
func Open(path string) (engine.Predictor, error) {
	f, err := modelfile.Open(path)
	if err != nil {
		return nil, err
	}
	p, err := New(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("open model %s: %w", path, err)
	}
	return p, nil
}

// Parse returns the predictor of a model file that is already in memory; b must not be changed afterwards.
func Parse(b []byte) (engine.Predictor, error) {
	f, err := modelfile.Parse(b)
	if err != nil {
		return nil, err
	}
	return New(f)
}

// New returns the predictor of an opened file, which the predictor's Close closes. On an error the file stays the caller's.
func New(f *modelfile.File) (engine.Predictor, error) {
	switch kind := f.Info().Kind; kind {
	case engine.KindTextLinear:
		return orNil(text.New(f))
	case engine.KindRecordLinear, engine.KindRecordTrees:
		return orNil(record.New(f))
	default:
		return nil, fmt.Errorf("kind %s cannot be scored by this release: %w", kind, engine.ErrFormat)
	}
}

// orNil keeps a nil pointer from becoming an interface that is not nil.
func orNil[P engine.Predictor](p P, err error) (engine.Predictor, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}
