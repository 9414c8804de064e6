package training

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// storedDataset is a row of training_datasets.
type storedDataset struct {
	*trainingv1.Dataset
	blob string
}

const datasetColumns = `message, content, deleted FROM training_datasets`

func scanDataset(scan func(...any) error) (*storedDataset, error) {
	d := &storedDataset{Dataset: &trainingv1.Dataset{}}
	var message []byte
	var deleted int64
	if err := scan(&message, &d.blob, &deleted); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(message, d.Dataset); err != nil {
		return nil, fmt.Errorf("read data set: %w", err)
	}
	d.Deleted = deleted != 0
	return d, nil
}

// readDataset reads a version, the newest that is not deleted for number 0; nil when there is none.
func readDataset(tx *db.Tx, project, name string, version int32) (d *storedDataset, err error) {
	query, args := `SELECT `+datasetColumns+` WHERE project = ? AND name = ? AND version = ?`, []any{project, name, version}
	if version == 0 {
		query, args = `SELECT `+datasetColumns+` WHERE project = ? AND name = ? AND deleted = 0 ORDER BY version DESC LIMIT 1`, args[:2]
	}
	err = tx.Each(query, args, func(scan func(...any) error) (err error) {
		d, err = scanDataset(scan)
		return err
	})
	return d, err
}

// find returns a version with rows. It fails with NOT_FOUND.
func (s *Service) find(ctx context.Context, project, name string, version int32) (d *storedDataset, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		d, err = readDataset(tx, project, name, version)
		return err
	})
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, fault.NotFound("data set", refName(name, version))
	}
	return d, nil
}

func refName(name string, version int32) string {
	if version == 0 {
		return name
	}
	return fmt.Sprintf("%s version %d", name, version)
}

// rowsOf reads the rows of a version. It fails with NOT_FOUND when they are deleted.
func (s *Service) rowsOf(d *storedDataset) ([]snapshot.Row, error) {
	if d.GetDeleted() {
		return nil, fault.NotFound("data set", refName(d.GetName(), d.GetVersion())+", whose rows are deleted,")
	}
	path, err := s.blobs.Path(d.blob)
	if err != nil {
		return nil, fmt.Errorf("find rows of data set %s: %w", refName(d.GetName(), d.GetVersion()), err)
	}
	return snapshot.Open(path)
}

// put stores bytes and returns their digest. They are durable when it returns.
func (s *Service) put(data []byte) (string, error) {
	sum := sha256.Sum256(data)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	if _, err := s.blobs.Path(digest); err == nil {
		return digest, nil
	}
	w, err := s.blobs.Create(digest)
	if err != nil {
		return "", storeFault(err)
	}
	defer w.Discard()
	if _, err = w.Write(data); err == nil {
		err = w.Commit()
	}
	if err != nil {
		return "", storeFault(err)
	}
	return digest, nil
}

func storeFault(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.StorageFull(0).Cause(err)
	case errors.Is(err, blob.ErrTooLarge):
		return fault.QuotaExceeded("bytes in one data set", 0).Cause(err)
	}
	return err
}

// keep stores a described data set with its rows as the next version, or returns the version that has the same digest.
func (s *Service) keep(ctx context.Context, project string, d *trainingv1.Dataset, rows []snapshot.Row) (_ *trainingv1.Dataset, created bool, err error) {
	var file bytes.Buffer
	if err := snapshot.Encode(&file, rows); err != nil {
		return nil, false, err
	}
	digest, err := s.put(file.Bytes())
	if err != nil {
		return nil, false, err
	}
	d.SizeBytes = int64(file.Len())
	now := s.now().Truncate(time.Microsecond)
	var out *trainingv1.Dataset
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		out, created = nil, false
		err := tx.Each(`SELECT `+datasetColumns+` WHERE project = ? AND name = ? AND digest = ? AND deleted = 0 ORDER BY version DESC LIMIT 1`,
			[]any{project, d.GetName(), d.GetDigest()}, func(scan func(...any) error) error {
				have, err := scanDataset(scan)
				if err == nil {
					out = have.Dataset
				}
				return err
			})
		if err != nil || out != nil {
			return err
		}
		var n, last int64
		if _, err := tx.Get(`SELECT count(*) FROM training_datasets WHERE project = ?`, []any{project}, &n); err != nil {
			return err
		}
		if n >= s.config.MaxDatasets {
			return fault.QuotaExceeded("versions of data sets", s.config.MaxDatasets)
		}
		if _, err := tx.Get(`SELECT COALESCE(MAX(version), 0) FROM training_datasets WHERE project = ? AND name = ?`, []any{project, d.GetName()}, &last); err != nil {
			return err
		}
		d.Version, d.CreateTime = int32(last)+1, timestamppb.New(now)
		message, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
		if err != nil {
			return err
		}
		out, created = d, true
		_, err = tx.Exec(`INSERT INTO training_datasets (project, name, version, digest, content, message, deleted, created) VALUES (?, ?, ?, ?, ?, ?, 0, ?)`,
			project, d.GetName(), d.GetVersion(), d.GetDigest(), digest, message, db.Micros(now))
		return err
	})
	return out, created, err
}
