package training

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// Erase takes the rows of a person out of the project's data sets, and returns how many those were. It is the one change that a version ever sees: its digest becomes
// that of the rows that are left, and its report says so. Models that learned from the rows stay; Learned names them.
func (s *Service) Erase(ctx context.Context, project, subject string) (int64, error) {
	var all []*storedDataset
	err := s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT `+datasetColumns+` WHERE project = ? AND deleted = 0`, []any{project}, func(scan func(...any) error) error {
			d, err := scanDataset(scan)
			all = append(all, d)
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	erased := int64(0)
	for _, d := range all {
		n, err := s.eraseFrom(ctx, project, subject, d)
		if err != nil {
			return erased, fmt.Errorf("erase from data set %s: %w", refName(d.GetName(), d.GetVersion()), err)
		}
		erased += n
	}
	return erased, nil
}

func (s *Service) eraseFrom(ctx context.Context, project, subject string, d *storedDataset) (int64, error) {
	if d.GetReport().GetSubjects() == 0 {
		return 0, nil
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	rows, err := s.rowsOf(d)
	if err != nil {
		return 0, err
	}
	train, test := int64(0), int64(0)
	kept := slices.DeleteFunc(slices.Clone(rows), func(r snapshot.Row) bool {
		switch {
		case r.Person != subject:
			return false
		case r.Side == dataset.Test:
			test++
		default:
			train++
		}
		return true
	})
	n := int64(len(rows) - len(kept))
	if n == 0 {
		return 0, nil
	}
	var file bytes.Buffer
	if err := snapshot.Encode(&file, kept); err != nil {
		return 0, err
	}
	blob, err := s.put(file.Bytes())
	if err != nil {
		return 0, err
	}
	next := proto.CloneOf(d.Dataset)
	next.Rows, next.TrainRows, next.TestRows, next.PurgedRows, next.Labels = int64(len(kept)), 0, 0, 0, nil
	next.FirstTime, next.LastTime = nil, nil
	next.Digest, next.SizeBytes = snapshot.Digest(kept), int64(file.Len())
	count(next, kept)
	next.Report.Subjects--
	add(next.GetReport(), trainingv1.Severity_SEVERITY_NOTE, "erased", n, nil, "%d rows of a person were erased; the digest was %s before", n, d.GetDigest())
	message, err := proto.MarshalOptions{Deterministic: true}.Marshal(next)
	if err != nil {
		return 0, err
	}
	unused := false
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		unused = false
		if err := s.noteErasure(tx, project, subject, d, train, test); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE training_datasets SET message = ?, digest = ?, content = ? WHERE project = ? AND name = ? AND version = ?`,
			message, next.GetDigest(), blob, project, d.GetName(), d.GetVersion()); err != nil {
			return err
		}
		var others int64
		_, err := tx.Get(`SELECT count(*) FROM training_datasets WHERE content = ? AND deleted = 0`, []any{d.blob}, &others)
		unused = others == 0
		return err
	})
	if err == nil && unused {
		err = s.blobs.Remove(d.blob)
	}
	return n, err
}
