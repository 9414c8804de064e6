// Package registry holds what every client of the model registry does alike: sending a version in pieces, and turning the
// outcome of a training into what the registry certifies from.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// pieceBytes is the size of the pieces that an artifact is sent in; the contract allows 1 MiB.
const pieceBytes = 512 << 10

// Operation returns the operation of that name: "moderation", "routing" or "classification".
func Operation(name string) (commonv1.Operation, error) {
	switch name {
	case "moderation":
		return commonv1.Operation_OPERATION_MODERATION, nil
	case "routing":
		return commonv1.Operation_OPERATION_ROUTING, nil
	case "classification":
		return commonv1.Operation_OPERATION_CLASSIFICATION, nil
	}
	return 0, fmt.Errorf("operation %q does not exist; there are moderation, routing and classification", name)
}

// Push registers a version and returns it as it is stored.
func Push(ctx context.Context, models modelsv1.ModelServiceClient, spec *modelsv1.VersionSpec, artifact []byte) (*modelsv1.ModelVersion, error) {
	stream, err := models.RegisterVersion(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Spec{Spec: spec}})
	for err == nil && len(artifact) > 0 {
		n := min(pieceBytes, len(artifact))
		err = stream.Send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Chunk{Chunk: artifact[:n]}})
		artifact = artifact[n:]
	}
	if err != nil && !errors.Is(err, io.EOF) { // after io.EOF CloseAndRecv has the reason
		return nil, err
	}
	r, err := stream.CloseAndRecv()
	if err != nil {
		return nil, err
	}
	return r.GetVersion(), nil
}

// Samples turns a certification sample into what the registry certifies from: the two sides of moderation, else all labels together
// and each label by itself. Answers that are never automated, whatever their score, are in none of them.
func Samples(op commonv1.Operation, points []risk.Point) []*modelsv1.CertificationSample {
	var list []*modelsv1.CertificationSample
	bySide := map[string]*modelsv1.CertificationSample{}
	add := func(side string, p risk.Point) {
		s := bySide[side]
		if s == nil {
			s = &modelsv1.CertificationSample{Side: side}
			bySide[side] = s
			list = append(list, s)
		}
		s.Scores = append(s.Scores, float32(p.Score))
		s.Correct = append(s.Correct, p.Correct)
		if p.Reviewed {
			s.Reviewed++
		}
	}
	for _, p := range points {
		if p.Abstain {
			continue
		}
		if op != commonv1.Operation_OPERATION_MODERATION {
			add("", p)
		}
		if p.Side != "" {
			add(p.Side, p)
		}
	}
	return list
}
