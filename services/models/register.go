package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

type registerStream = grpc.ClientStreamingServer[modelsv1.RegisterVersionRequest, modelsv1.RegisterVersionResponse]

// RegisterVersion receives a specification and the artifact, checks that the artifact is what was announced and that it can be
// opened, and stores both. The artifact is durable before the row that names it.
func (s *Service) RegisterVersion(stream registerStream) error {
	ctx := stream.Context()
	project, err := project(ctx)
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) || (err == nil && first.GetSpec() == nil) {
		return fault.InvalidField("spec", "must be the first message")
	}
	if err != nil {
		return err
	}
	spec := first.GetSpec()
	if err := checkSpec(spec); err != nil {
		return err
	}
	sum, err := digestOf(spec)
	if err != nil {
		return err
	}
	if err := s.store.db.View(ctx, func(tx *db.Tx) error { return s.admit(tx, project, spec, sum) }); err != nil {
		return err // before a gigabyte is received in vain
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	case <-ctx.Done():
		return ctx.Err()
	}
	version, err := s.receive(stream, spec)
	if err != nil {
		return err
	}
	created, err := s.record(ctx, project, spec, sum, version)
	if err != nil {
		return err
	}
	return stream.SendAndClose(&modelsv1.RegisterVersionResponse{Version: version, Created: created})
}

// admit checks what the registry holds already: the model's operation and the project's quotas. sum is the digest of the specification.
func (s *Service) admit(tx *db.Tx, project string, spec *modelsv1.VersionSpec, sum string) error {
	m, err := s.store.model(tx, project, spec.GetModel())
	if err != nil {
		return err
	}
	if m == nil {
		n, err := s.store.countModels(tx, project)
		if err == nil && n >= s.config.MaxModels {
			return fault.QuotaExceeded("models", int64(s.config.MaxModels))
		}
		return err
	}
	if m.GetOperation() != spec.GetOperation() {
		return fault.OperationMismatch(m.GetOperation(), spec.GetOperation())
	}
	if int(m.GetLatestVersion()) < s.config.MaxVersions {
		return nil
	}
	if v, err := s.store.versionOf(tx, project, spec.GetModel(), sum); err != nil || v != nil {
		return err // an old one, sent again
	}
	return fault.QuotaExceeded("versions of model "+spec.GetModel(), int64(s.config.MaxVersions))
}

// receive stores the artifact and describes the version, still without a number.
func (s *Service) receive(stream registerStream, spec *modelsv1.VersionSpec) (*modelsv1.ModelVersion, error) {
	w, err := s.blobs.Create(spec.GetDigest())
	if err != nil {
		return nil, s.blobFault(err)
	}
	defer w.Discard()
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if m.GetSpec() != nil {
			return nil, fault.InvalidField("spec", "must be sent once, as the first message")
		}
		if w.Size()+int64(len(m.GetChunk())) > s.config.MaxArtifactBytes {
			return nil, fault.RequestTooLarge(s.config.MaxArtifactBytes)
		}
		if _, err := w.Write(m.GetChunk()); err != nil {
			return nil, s.blobFault(err)
		}
	}
	if err := w.Verify(); err != nil { // before anything reads the file
		return nil, s.blobFault(err)
	}
	info, fingerprint, err := s.inspect(w.Path(), spec.GetDigest())
	if err != nil {
		return nil, err
	}
	if err := checkFit(spec, info); err != nil {
		return nil, err
	}
	if err := w.Commit(); err != nil {
		return nil, s.blobFault(err)
	}
	v := &modelsv1.ModelVersion{
		Model: spec.GetModel(), Digest: spec.GetDigest(), Operation: spec.GetOperation(), Kind: info.Kind.String(), Labels: info.Labels,
		MultiLabel: info.Task == engine.Multilabel, HarmlessLabels: spec.GetHarmlessLabels(), SizeBytes: w.Size(),
		Metrics: spec.GetMetrics(), Lineage: spec.GetLineage(), Fingerprint: fingerprint,
	}
	if info.OutOfScope >= 0 {
		v.OutOfScopeLabel = info.Labels[info.OutOfScope]
	}
	return v, nil
}

// inspect opens the artifact as serving will, takes its fingerprint, and closes it again.
func (s *Service) inspect(path, digest string) (*engine.Info, string, error) {
	p, err := s.open(path)
	if err != nil {
		if !errors.Is(err, engine.ErrFormat) {
			return nil, "", fault.Unavailable("artifact store").Cause(err)
		}
		// The text names the temporary file, which is no caller's business.
		text := strings.TrimPrefix(err.Error(), "open model "+path+": ")
		text = strings.TrimSuffix(strings.ReplaceAll(text, path, "artifact"), ": "+engine.ErrFormat.Error())
		return nil, "", fault.ArtifactInvalid(errors.New(text)).Cause(err)
	}
	info := p.Info()
	for _, l := range info.Labels {
		if !utf8.ValidString(l) {
			_ = p.Close()
			return nil, "", fault.ArtifactInvalid(fmt.Errorf("label %q is not valid UTF-8", l))
		}
	}
	fingerprint, probing := engine.Fingerprint(p)
	if err := p.Close(); err != nil {
		return nil, "", fault.Unavailable("artifact store").Cause(err)
	}
	if probing != nil {
		return nil, "", fault.ArtifactInvalid(probing)
	}
	if info.Digest != digest {
		return nil, "", fault.ArtifactInvalid(fmt.Errorf("its digest is %s, announced was %s", info.Digest, digest))
	}
	return info, fingerprint, nil
}

// record gives the version its number and makes it durable, or fills in the one that was registered before.
func (s *Service) record(
	ctx context.Context, project string, spec *modelsv1.VersionSpec, sum string, v *modelsv1.ModelVersion,
) (created bool, err error) {
	samples, err := proto.Marshal(&modelsv1.VersionSpec{Samples: spec.GetSamples(), Reviewers: spec.GetReviewers()})
	if err != nil {
		return false, fmt.Errorf("encode samples: %w", err)
	}
	now := s.now().Truncate(time.Microsecond)
	err = s.store.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.admit(tx, project, spec, sum); err != nil {
			return err
		}
		old, err := s.store.versionOf(tx, project, v.GetModel(), sum)
		if err != nil {
			return err
		}
		if old != nil {
			proto.Reset(v)
			proto.Merge(v, old)
			return nil
		}
		if v.Version, err = s.store.nextVersion(tx, project, v.GetModel(), v.GetOperation(), now); err != nil {
			return err
		}
		v.CreateTime, created = timestamppb.New(now), true
		return s.store.addVersion(tx, project, sum, v, samples, spec.GetEvaluationJson())
	})
	return created && err == nil, err
}

// digestOf identifies a specification, and through the digest in it the artifact.
func digestOf(spec *modelsv1.VersionSpec) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("encode specification: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)

// checkName repeats the contract's rule where a name becomes part of the registry: in-process callers may come without validation.
func checkName(field, name string) error {
	if len(name) > 64 || !namePattern.MatchString(name) {
		return fault.InvalidField(field, "must be 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning and ending with a letter or digit")
	}
	return nil
}

func checkSpec(spec *modelsv1.VersionSpec) error {
	if err := checkName("spec.model", spec.GetModel()); err != nil {
		return err
	}
	if _, ok := commonv1.Operation_name[int32(spec.GetOperation())]; !ok || spec.GetOperation() == 0 {
		return fault.InvalidField("spec.operation", "must be one of the operations")
	}
	if err := checkReviewers(spec.GetReviewers()); err != nil {
		return err
	}
	return checkSamples(spec.GetOperation(), spec.GetSamples())
}

// checkFit compares the specification with what the artifact says about itself.
func checkFit(spec *modelsv1.VersionSpec, info *engine.Info) error {
	known := make(map[string]bool, len(info.Labels))
	for _, l := range info.Labels {
		known[l] = true
	}
	for i, l := range spec.GetHarmlessLabels() {
		if !known[l] {
			return fault.InvalidField(fmt.Sprintf("spec.harmless_labels[%d]", i), "the artifact has no label %q", l)
		}
	}
	if spec.GetOperation() == commonv1.Operation_OPERATION_MODERATION {
		return nil
	}
	for i, s := range spec.GetSamples() {
		if s.GetSide() != "" && !known[s.GetSide()] {
			return fault.InvalidField(fmt.Sprintf("spec.samples[%d].side", i), "the artifact has no label %q", s.GetSide())
		}
	}
	return nil
}

// blobFault turns an error of the artifact store into what the caller may see.
func (s *Service) blobFault(err error) error {
	switch {
	case errors.Is(err, blob.ErrMismatch):
		return fault.ArtifactInvalid(errors.New("content does not match the announced digest")).Cause(err)
	case errors.Is(err, blob.ErrTooLarge):
		return fault.RequestTooLarge(s.blobs.Limit()).Cause(err)
	case errors.Is(err, blob.ErrDigest):
		return fault.InvalidField("spec.digest", `must be "sha256:" and 64 lower-case hex digits`)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.StorageFull(0).Cause(err)
	}
	return fault.Unavailable("artifact store").Cause(err)
}
