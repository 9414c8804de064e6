package training

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// remote is the desk of a worker process: what a step starts from came with the work, bytes are asked for under its lease.
type remote struct {
	client trainingv1.WorkerServiceClient
	work   *trainingv1.Work
}

func (r *remote) output(_ *job, step trainingv1.RunStep, out any) (bool, error) {
	for _, o := range r.work.GetOutputs() {
		if o.GetStep() == step {
			return true, json.Unmarshal([]byte(o.GetJson()), out)
		}
	}
	return false, nil
}

// input returns the input of a name, nil when there is none.
func (r *remote) input(name string) *trainingv1.WorkInput {
	for _, in := range r.work.GetInputs() {
		if in.GetName() == name {
			return in
		}
	}
	return nil
}

// read reads an input and holds it against its digest.
func (r *remote) read(j *job, name string) ([]byte, error) {
	in := r.input(name)
	if in == nil {
		return nil, fmt.Errorf("the work has no input %s", name)
	}
	stream, err := r.client.ReadInput(j.ctx, &trainingv1.ReadInputRequest{LeaseId: r.work.GetLeaseId(), Name: name})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if out.Write(m.GetChunk()); int64(out.Len()) > in.GetSizeBytes() {
			return nil, fmt.Errorf("input %s is longer than %d bytes", name, in.GetSizeBytes())
		}
	}
	if got := digestOf(out.Bytes()); got != in.GetDigest() {
		return nil, fault.Unavailable("input").Cause(fmt.Errorf("input %s is %s, announced was %s", name, got, in.GetDigest()))
	}
	return out.Bytes(), nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (r *remote) rows(j *job, p *pin) ([]snapshot.Row, error) {
	sets, err := output[pins](j, trainingv1.RunStep_RUN_STEP_BUILD)
	if err != nil {
		return nil, err
	}
	for _, set := range sets.named() {
		if *set.pin == *p {
			data, err := r.read(j, set.name)
			if err != nil {
				return nil, err
			}
			return snapshot.Decode(data)
		}
	}
	return nil, fmt.Errorf("the work has no data set %s", p)
}

func (r *remote) deployment(*job) (*modelsv1.Deployment, error) { return r.work.GetDeployment(), nil }

func (r *remote) champion(j *job, _ *modelsv1.ModelVersion) ([]byte, error) {
	return r.read(j, inputChampion)
}

func (r *remote) learned(j *job, _ *modelsv1.ModelVersion) ([]snapshot.Row, error) {
	if r.input(inputLearned) == nil {
		return nil, nil
	}
	data, err := r.read(j, inputLearned)
	if err != nil {
		return nil, err
	}
	return snapshot.Decode(data)
}

func (r *remote) get(j *job, digest string) ([]byte, error) {
	for _, in := range r.work.GetInputs() {
		if in.GetDigest() == digest {
			return r.read(j, in.GetName())
		}
	}
	return nil, fmt.Errorf("the work has no input %s", digest)
}

func (r *remote) put(j *job, data []byte) (string, error) {
	digest := digestOf(data)
	stream, err := r.client.WriteOutput(j.ctx)
	if err != nil {
		return "", err
	}
	// When Send fails, CloseAndRecv has the reason.
	_ = stream.Send(&trainingv1.WriteOutputRequest{Part: &trainingv1.WriteOutputRequest_Spec{Spec: &trainingv1.BlobSpec{LeaseId: r.work.GetLeaseId(), Digest: digest}}})
	for part := range slices.Chunk(data, pieceBytes) {
		if stream.Send(&trainingv1.WriteOutputRequest{Part: &trainingv1.WriteOutputRequest_Chunk{Chunk: part}}) != nil {
			break
		}
	}
	_, err = stream.CloseAndRecv()
	return digest, err
}

func (r *remote) checkpoint(j *job, output any) error {
	data, err := json.Marshal(output)
	if err != nil {
		return err
	}
	err = extend(j, r.client, string(data))
	if err != nil && passes(fault.From(err)) && j.ctx.Err() == nil {
		return nil // the server is away for a moment; the next one holds more
	}
	return err
}

// kept are the rows of the step before, which the next step of the run would read anew.
type kept struct {
	work *trainingv1.Work
	data *rowSets
}

// of returns the rows if they are what a step would read now: rows of persons who were erased meanwhile are not.
func (k kept) of(work *trainingv1.Work) *rowSets {
	if k.data == nil || k.work.GetRunId() != work.GetRunId() {
		return nil
	}
	sets := func(w *trainingv1.Work) *trainingv1.Work {
		out := &trainingv1.Work{Outputs: w.GetOutputs()[:min(1, len(w.GetOutputs()))]} // the pins
		for _, in := range w.GetInputs() {
			if in.GetName() == "dataset" || in.GetName() == "evaluation" || in.GetName() == "tuning" || in.GetName() == "golden" {
				out.Inputs = append(out.Inputs, in)
			}
		}
		return out
	}
	if !proto.Equal(sets(k.work), sets(work)) {
		return nil
	}
	return k.data
}
