package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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

// eraseFrom writes the files of one job anew. The row of the job says which files count, and how much of them: it changes from the old ones to the new ones at once.
func (s *Jobs) eraseFrom(ctx context.Context, j *job, subject string) (n int64, err error) {
	frames, n, err := findItems(ctx, s.itemsPath(j), j.operation, subject)
	if err != nil || n == 0 {
		return 0, err
	}
	s.mu.Lock()
	if live := s.active[j.jobKey]; live != nil {
		j = live
	}
	s.mu.Unlock()
	was := j.written()
	items, err := editFrames(ctx, s.path(j, "items", was), s.path(j, "items", was+1), frames, func([]byte) ([]byte, error) { return blankItem, nil })
	if err != nil {
		return 0, err
	}
	results, err := editFrames(ctx, s.path(j, "results", was), s.path(j, "results", was+1), frames, blankResult)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	if err := syncDir(s.folder(j)); err != nil {
		return 0, err
	}
	j.change(func() {
		before, kept := j.progress, j.kept
		for _, p := range []*progress{&j.progress, &j.kept} {
			p.inputAt, p.resultAt = items[p.inputAt], results[p.resultAt]
		}
		j.files = was + 1
		if err = s.db.Tx(ctx, func(tx *db.Tx) error { return saveJob(tx, j) }); err != nil {
			j.progress, j.kept, j.files = before, kept, was
		}
	})
	if err != nil {
		return 0, err
	}
	return n, s.sweepFolder(j)
}

// sweepFolder deletes files of a job that do not count: the old ones after an erasure, and the new ones of an erasure that a crash has cut off.
func (s *Jobs) sweepFolder(j *job) error {
	count := map[string]bool{filepath.Base(s.itemsPath(j)): true, filepath.Base(s.resultsPath(j)): true}
	entries, err := os.ReadDir(s.folder(j))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !count[e.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(s.folder(j), e.Name())))
		}
	}
	return errors.Join(err, syncDir(s.folder(j)))
}

// blankResult leaves the decision of a result.
func blankResult(entry []byte) ([]byte, error) {
	r := &jobsv1.JobResult{}
	if err := proto.Unmarshal(entry, r); err != nil {
		return nil, err
	}
	r.ContentId = ""
	if m := r.GetModeration(); m != nil {
		m.RuleMatches = nil // they quote the text
	}
	return proto.Marshal(r)
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

// editFrames writes a file anew in which some entries are changed, and returns where frames end in it, by where they ended before.
func editFrames(ctx context.Context, from, to string, frames map[int][]int, edit func(entry []byte) ([]byte, error)) (ends map[int64]int64, err error) {
	in, err := readFrames(from, 0)
	if err != nil {
		return nil, err
	}
	defer in.close()
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) { // of an erasure that was cut off
		return nil, err
	}
	out, err := createFrames(to)
	if err != nil {
		return nil, diskFault(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(diskFault(err), out.file.Close(), os.Remove(to))
		}
	}()
	ends = map[int64]int64{0: 0}
	for k := 0; ; k++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries, _, err := in.next(nil)
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) { // what follows was never counted, and is cut off by whoever appends
			break
		}
		if err != nil {
			return nil, err
		}
		for _, i := range frames[k] {
			if entries[i], err = edit(entries[i]); err != nil {
				return nil, err
			}
		}
		if err := out.add(entries, in.from); err != nil {
			return nil, err
		}
		ends[in.at] = out.end
	}
	return ends, out.close()
}
