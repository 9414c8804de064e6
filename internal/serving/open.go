package serving

import (
	"context"
	"fmt"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
)

// Open returns a deployment as it was in another revision than the live one, ready to answer; whoever asks for it calls Release once. The model is shared with the table where the
// version is live, and else opened, after downloading it where the folder of artifacts does not hold it. Open needs no Run.
func (t *Table) Open(ctx context.Context, d *modelsv1.Deployment) (*Live, error) {
	digest := d.GetChampion().GetDigest()
	if digest == "" {
		return newLive(d, nil, nil, false), nil
	}
	if table := t.live.Load(); table != nil {
		for _, l := range *table {
			if l.model != nil && l.model.digest == digest && l.model.share() {
				return newLive(d, l.model, nil, false), nil
			}
		}
	}
	blobs, err := blob.Open(t.cache, maxArtifact)
	if err != nil {
		return nil, fmt.Errorf("open version: %w", err)
	}
	defer blobs.Close()
	m, err := (&loader{models: t.models, blobs: blobs, table: t}).load(ctx, d.GetProject(), d.GetChampion())
	if err != nil {
		return nil, fmt.Errorf("open version %d of model %s: %w", d.GetChampion().GetVersion(), d.GetChampion().GetModel(), err)
	}
	return newLive(d, m, nil, false), nil
}
