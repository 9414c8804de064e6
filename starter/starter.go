// Package starter holds the models that come with the product, so that the first call gets an answer. They are trained on
// data whose licence allows it (see NOTICE.md) and have no certificate on anybody's own data: their deployments suggest, people decide.
package starter

import (
	"embed"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

//go:embed models
var files embed.FS

// Model is one starter model. Its artifact is read with Artifact.
type Model struct {
	// Name is that of the model in the registry.
	Name string `json:"name"`
	// Operation is "moderation", "routing" or "classification".
	Operation string `json:"operation"`
	// Deployments are the names under which it answers at first.
	Deployments []string `json:"deployments"`
	// Digest is "sha256:" and the hex digest of the artifact.
	Digest string `json:"digest"`
	// HarmlessLabels are the labels that mean that nothing is wrong, for moderation.
	HarmlessLabels []string `json:"harmlessLabels,omitempty"`
	// Rows is the number of rows that it was trained on; Accuracy was measured on TestRows others.
	Rows     int     `json:"rows"`
	TestRows int     `json:"testRows"`
	Accuracy float64 `json:"accuracy"`
	MacroF1  float64 `json:"macroF1"`
	// Notice names source and licence of the data.
	Notice string `json:"notice"`
	// File is the name of the packed artifact below models/.
	File string `json:"file"`
}

// Models returns the starter models.
func Models() ([]Model, error) {
	data, err := files.ReadFile("models/models.json")
	if err != nil {
		return nil, err
	}
	var models []Model
	if err := json.Unmarshal(data, &models); err != nil {
		return nil, fmt.Errorf("read the list of starter models: %w", err)
	}
	return models, nil
}

// Artifact returns the model file.
func (m Model) Artifact() ([]byte, error) {
	packed, err := files.ReadFile("models/" + m.File)
	if err != nil {
		return nil, err
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("unpack starter model %s: %w", m.Name, err)
	}
	defer d.Close()
	artifact, err := d.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack starter model %s: %w", m.Name, err)
	}
	return artifact, nil
}

// Pack returns an artifact as it lies in the binary: Zstandard makes a quarter of it, and it is read once, at the first start.
func Pack(artifact []byte) ([]byte, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("pack a starter model: %w", err)
	}
	return e.EncodeAll(artifact, nil), e.Close()
}
