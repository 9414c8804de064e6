package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// blankItem stands where the item of a person was. Where it was not decided yet, its result is the error that it has no text.
var blankItem = []byte("{}")

// Erase takes the items of one person out of the files of all jobs of a project, and what their results say of them beside the decision. Jobs stand still
// meanwhile and go on afterwards. It returns how many items there were.
func (s *Jobs) Erase(ctx context.Context, project, subject string) (items int64, err error) {
	if subject == "" {
		return 0, nil
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	s.deciding.Lock()
	defer s.deciding.Unlock()
	var all []*job
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		all, err = readJobs(tx, `WHERE project = ?`, project)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, j := range all {
		n, err := s.eraseFrom(ctx, j, subject)
		if err != nil {
			return items, fmt.Errorf("erase from job %s: %w", j.id, err)
		}
		items += n
	}
	return items, nil
}

// eraseFrom changes the files of one job. Results come first: when a crash comes between the two, the items still say whose they are.
func (s *Jobs) eraseFrom(ctx context.Context, j *job, subject string) (n int64, err error) {
	frames, n, err := findItems(ctx, s.itemsPath(j), j.operation, subject)
	if err != nil || n == 0 {
		return 0, err
	}
	err = editFrames(ctx, s.resultsPath(j), frames, func(entry []byte) ([]byte, error) {
		r := &jobsv1.JobResult{}
		if err := proto.Unmarshal(entry, r); err != nil {
			return nil, err
		}
		r.ContentId = ""
		if m := r.GetModeration(); m != nil {
			m.RuleMatches = nil // they quote the text
		}
		return proto.Marshal(r)
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	if err := editFrames(ctx, s.itemsPath(j), frames, func([]byte) ([]byte, error) { return blankItem, nil }); err != nil {
		return 0, err
	}
	return n, syncDir(s.folder(j))
}

// findItems returns where a person's items are: their numbers within a frame, by the number of the frame.
func findItems(ctx context.Context, path string, op commonv1.Operation, subject string) (frames map[int][]int, n int64, err error) {
	in, err := readFrames(path, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil // forgotten just now
	}
	if err != nil {
		return nil, 0, err
	}
	defer in.close()
	frames = map[int][]int{}
	for k := 0; ctx.Err() == nil; k++ {
		lines, _, err := in.next(nil)
		if errors.Is(err, io.EOF) {
			return frames, n, nil
		}
		if err != nil {
			return nil, 0, err
		}
		for i, line := range lines {
			if subjectOf(op, line, subject) == subject {
				frames[k] = append(frames[k], i)
				n++
			}
		}
	}
	return nil, 0, ctx.Err()
}

// subjectOf returns whose data an item is. It reads only lines that can be those of the person that is looked for.
func subjectOf(op commonv1.Operation, line []byte, wanted string) string {
	if !bytes.Contains(line, []byte(wanted)) && !bytes.ContainsRune(line, '\\') {
		return ""
	}
	switch op {
	case commonv1.Operation_OPERATION_MODERATION:
		m := &moderationv1.TextItem{}
		_ = lenient.Unmarshal(line, m) // what is no item is nobody's
		return m.GetAuthorId()
	case commonv1.Operation_OPERATION_ROUTING:
		m := &routingv1.InquiryItem{}
		_ = lenient.Unmarshal(line, m)
		return m.GetCustomerId()
	case commonv1.Operation_OPERATION_CLASSIFICATION:
		m := &classificationv1.TextItem{} // records name their subject alike
		_ = lenient.Unmarshal(line, m)
		return m.GetSubjectId()
	case commonv1.Operation_OPERATION_UNSPECIFIED:
	}
	return ""
}

// editFrames writes a file anew in which some entries are changed. Every frame keeps its place, since ids of decisions and the progress of a job refer to
// places. The new file takes the place of the old one as a whole.
func editFrames(ctx context.Context, path string, frames map[int][]int, edit func(entry []byte) ([]byte, error)) (err error) {
	in, err := readFrames(path, 0)
	if err != nil {
		return err
	}
	defer in.close()
	temporary := path + ".erase"
	out, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return diskFault(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(diskFault(err), out.Close(), os.Remove(temporary))
		}
	}()
	for k := 0; ; k++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := in.at
		entries, _, err := in.next(nil)
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) { // what follows was never counted, and is cut off by whoever appends
			break
		}
		if err != nil {
			return err
		}
		frame := in.whole
		if len(frames[k]) > 0 {
			for _, i := range frames[k] {
				if entries[i], err = edit(entries[i]); err != nil {
					return err
				}
			}
			if frame, err = encodeFrame(entries, int(in.at-at)); err != nil {
				return err
			}
		}
		if _, err := out.Write(frame); err != nil {
			return err
		}
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
