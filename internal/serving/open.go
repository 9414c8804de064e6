package serving

import (
	"context"
	"fmt"
	"log/slog"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

// OpenVersion opens a version that need not be deployed, from the folder of artifacts or, where it is not there yet, from the registry. The caller closes it.
func OpenVersion(ctx context.Context, models modelsv1.ModelServiceClient, cacheDir, project string, v *modelsv1.ModelVersion, log *slog.Logger) (engine.Predictor, error) {
	blobs, err := blob.Open(cacheDir, maxArtifact)
	if err != nil {
		return nil, fmt.Errorf("open version: %w", err)
	}
	defer blobs.Close()
	l := &loader{models: models, blobs: blobs, table: New(models, cacheDir, log)}
	m, err := l.load(ctx, &modelsv1.Deployment{Project: project, Champion: v})
	if err != nil {
		return nil, err
	}
	return m.predictor, nil
}
