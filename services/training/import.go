package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"google.golang.org/grpc"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

type importStream = grpc.ClientStreamingServer[trainingv1.ImportDatasetRequest, trainingv1.ImportDatasetResponse]

// ImportDataset makes a version of a data set from a file.
func (s *Service) ImportDataset(stream importStream) error {
	ctx := stream.Context()
	of, err := project(ctx)
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) || err == nil && first.GetSpec() == nil {
		return fault.InvalidField("spec", "must be the first message")
	}
	if err != nil {
		return err
	}
	spec := first.GetSpec()
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	path, err := s.receive(stream, spec)
	if path != "" {
		defer os.Remove(path)
	}
	if err != nil {
		return err
	}
	d, created, err := s.imported(ctx, of, spec, path)
	if err != nil {
		return err
	}
	return stream.SendAndClose(&trainingv1.ImportDatasetResponse{Dataset: d, Created: created})
}

// ending is what of a file's name helps to tell what it is; nothing else of it gets near a path.
var ending = regexp.MustCompile(`(\.(jsonl|ndjson|json|csv|tsv|parquet))?(\.(gz|zst|zstd))?$`)

// receive writes the file to the folder for such. The file is there, perhaps in part, when the path is not empty.
func (s *Service) receive(stream importStream, spec *trainingv1.ImportSpec) (string, error) {
	if err := os.MkdirAll(s.temp, 0o700); err != nil {
		return "", fmt.Errorf("receive data set: %w", err)
	}
	f, err := os.CreateTemp(s.temp, "import-*"+ending.FindString(strings.ToLower(spec.GetFile())))
	if err != nil {
		return "", fmt.Errorf("receive data set: %w", err)
	}
	defer f.Close()
	size := int64(0)
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f.Name(), err
		}
		if m.GetSpec() != nil {
			return f.Name(), fault.InvalidField("spec", "must be sent once, as the first message")
		}
		if size += int64(len(m.GetChunk())); size > s.config.MaxImportBytes {
			return f.Name(), fault.RequestTooLarge(s.config.MaxImportBytes)
		}
		if _, err := f.Write(m.GetChunk()); err != nil {
			if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
				return f.Name(), fault.StorageFull(0).Cause(err)
			}
			return f.Name(), fmt.Errorf("receive data set: %w", err)
		}
	}
	return f.Name(), f.Close()
}

// imported reads the file and stores its rows.
func (s *Service) imported(ctx context.Context, of string, spec *trainingv1.ImportSpec, path string) (*trainingv1.Dataset, bool, error) {
	set, err := dataset.Read(ctx, path, dataset.Options{
		LabelField: spec.GetLabelField(), TextField: spec.GetTextField(), SubjectField: spec.GetTitleField(), RecordField: spec.GetRecordField(),
		LabelSeparator: spec.GetLabelSeparator(), Format: spec.GetFormat(), PersonField: spec.GetPersonField(), TimeField: spec.GetTimeField(),
		Attributes: spec.GetAttributes(), Limits: dataset.Limits{Rows: s.config.MaxRows},
		ProbabilityField: probabilityField(spec), ProbabilityWithInput: spec.GetProbabilityField() == "",
	})
	switch {
	case errors.Is(err, dataset.ErrTooLarge), errors.Is(err, dataset.ErrFormat):
		// The text names the temporary file, which is no caller's business.
		text := strings.ReplaceAll(err.Error(), filepath.Base(path), "the file")
		return nil, false, fault.InvalidField("chunk", "%s", strings.TrimPrefix(text, "read data set: ")).Cause(err)
	case err != nil:
		return nil, false, err
	}
	if len(set.Rows) == 0 {
		return nil, false, fault.InvalidField("chunk", "has no usable row%s", rejections(set))
	}
	rows := make([]snapshot.Row, len(set.Rows))
	for i := range rows {
		rows[i] = snapshot.Row{Row: set.Rows[i], Source: snapshot.Import}
	}
	sampled(rows)
	known, err := s.known(ctx, of, auth.FromContext(ctx).KeyID, spec.GetOperation(), spec.GetDeployment())
	if err != nil {
		return nil, false, err
	}
	d := &trainingv1.Dataset{
		Name: spec.GetName(), Operation: spec.GetOperation(), File: filepath.Base(filepath.ToSlash(spec.GetFile())), Attributes: spec.GetAttributes(),
	}
	if spec.GetFile() == "" {
		d.File = "import"
	}
	return s.describe(ctx, of, d, set, rows, spec.GetSplit(), known)
}

// probabilityField names the column of probabilities; "" for none.
func probabilityField(spec *trainingv1.ImportSpec) string {
	switch name := spec.GetProbabilityField(); name {
	case "":
		return "probability"
	case "-":
		return ""
	default:
		return name
	}
}

// sampled says of imported rows with which probability they were chosen, as it is said of those of the traffic. What a file does not say of the smallest probability of a row's kind is the smallest in the
// file: a sample that is even over all its rows is even over those of each kind.
func sampled(rows []snapshot.Row) {
	least := 1.0
	for i := range rows {
		r := &rows[i]
		switch p := r.Sampling.Probability; {
		case p > 0:
			r.Probability = p
			least = min(least, p)
		case p == 0:
			r.Probability = 1
		}
	}
	for i := range rows {
		r := &rows[i]
		switch l := r.Sampling.Least; {
		case r.Probability == 0: // nobody knows
		case l > 0:
			r.Least = min(l, r.Probability)
		case l == 0:
			r.Least = least
		}
		r.Sampling = dataset.Sampling{} // a snapshot has its own
	}
}

// rejections says why the first rows were rejected.
func rejections(set *dataset.Set) string {
	var out []string
	for _, r := range set.Rejected[:min(3, len(set.Rejected))] {
		out = append(out, r.String())
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, "; ")
}
