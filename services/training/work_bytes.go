package training

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// ReadInput sends an input of a leased step.
func (s *Service) ReadInput(req *trainingv1.ReadInputRequest, stream grpc.ServerStreamingServer[trainingv1.ReadInputResponse]) error {
	ctx := stream.Context()
	r, err := s.held(ctx, req.GetLeaseId())
	if err != nil {
		return err
	}
	var inputs []workInput
	if err := json.Unmarshal([]byte(r.inputs), &inputs); err != nil {
		return err
	}
	i := slices.IndexFunc(inputs, func(in workInput) bool { return in.Name == req.GetName() })
	if i < 0 {
		return fault.NotFound("input", req.GetName())
	}
	out := sender(func(b []byte) error { return stream.Send(&trainingv1.ReadInputResponse{Chunk: b}) })
	if in := inputs[i]; in.Model != "" {
		return s.sendArtifact(ctx, r, in, out)
	}
	f, _, err := s.blobs.Open(inputs[i].Digest)
	if err != nil {
		return inputFault(err)
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{f}, make([]byte, pieceBytes))
	return err
}

// sendArtifact passes an artifact of the registry on.
func (s *Service) sendArtifact(ctx context.Context, r *storedRun, in workInput, out io.Writer) error {
	from, err := s.models.DownloadArtifact(acting(ctx, r.project, r.caller, r.GetRunId()), &modelsv1.DownloadArtifactRequest{Model: in.Model, Version: in.Version})
	if err != nil {
		return err
	}
	for {
		m, err := from.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			_, err = out.Write(m.GetChunk())
		}
		if err != nil {
			return err
		}
	}
}

// WriteOutput stores a blob for the output of a leased step.
func (s *Service) WriteOutput(stream grpc.ClientStreamingServer[trainingv1.WriteOutputRequest, trainingv1.WriteOutputResponse]) error {
	ctx := stream.Context()
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) || err == nil && first.GetSpec() == nil {
		return fault.InvalidField("spec", "must be the first message")
	}
	if err != nil {
		return err
	}
	spec := first.GetSpec()
	if _, err := s.held(ctx, spec.GetLeaseId()); err != nil {
		return err
	}
	w, err := s.blobs.Create(spec.GetDigest())
	if err != nil {
		return storeFault(err)
	}
	defer w.Discard()
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if m.GetSpec() != nil {
			return fault.InvalidField("spec", "must be sent once, as the first message")
		}
		if _, err := w.Write(m.GetChunk()); err != nil {
			return storeFault(err)
		}
	}
	if _, err := s.held(ctx, spec.GetLeaseId()); err != nil { // it may have ended meanwhile
		return err
	}
	if err := w.Commit(); errors.Is(err, blob.ErrMismatch) {
		return fault.InvalidField("chunk", "the bytes do not have the digest %s", spec.GetDigest())
	} else if err != nil {
		return storeFault(err)
	}
	return stream.SendAndClose(&trainingv1.WriteOutputResponse{})
}
