package training

import (
	"context"
	"math"
	"strconv"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// GetDataset returns a version.
func (s *Service) GetDataset(ctx context.Context, req *trainingv1.GetDatasetRequest) (*trainingv1.GetDatasetResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.find(ctx, of, req.GetName(), req.GetVersion())
	if err != nil {
		return nil, err
	}
	return &trainingv1.GetDatasetResponse{Dataset: d.Dataset}, nil
}

// ListDatasets lists versions by name, newest first.
func (s *Service) ListDatasets(ctx context.Context, req *trainingv1.ListDatasetsRequest) (*trainingv1.ListDatasetsResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), "datasets", req.GetName(), 2)
	if err != nil {
		return nil, err
	}
	name, version := "", int64(math.MaxInt32)
	if ok {
		name = after[0]
		if version, err = strconv.ParseInt(after[1], 10, 32); err != nil {
			return nil, fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
		}
	}
	where, args := `project = ? AND (name > ? OR (name = ? AND version < ?))`, []any{of, name, name, version}
	if req.GetName() != "" {
		where, args = where+` AND name = ?`, append(args, req.GetName())
	}
	size := db.PageSize(req.GetPage().GetSize())
	res := &trainingv1.ListDatasetsResponse{Page: &commonv1.PageResponse{}}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT `+datasetColumns+` WHERE `+where+` ORDER BY name, version DESC LIMIT ?`, append(args, size+1), func(scan func(...any) error) error {
			d, err := scanDataset(scan)
			if err == nil {
				res.Datasets = append(res.Datasets, d.Dataset)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if len(res.GetDatasets()) > size {
		res.Datasets = res.GetDatasets()[:size]
		last := res.GetDatasets()[size-1]
		res.Page.NextToken = db.Token("datasets", req.GetName(), last.GetName(), strconv.Itoa(int(last.GetVersion())))
	}
	return res, nil
}

// DeleteDataset deletes the rows of a version.
func (s *Service) DeleteDataset(ctx context.Context, req *trainingv1.DeleteDatasetRequest) (*trainingv1.DeleteDatasetResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	unused := ""
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		unused = ""
		d, err := readDataset(tx, of, req.GetName(), req.GetVersion())
		if err != nil {
			return err
		}
		if d == nil {
			return fault.NotFound("data set", refName(req.GetName(), req.GetVersion()))
		}
		if _, err := tx.Exec(`UPDATE training_datasets SET deleted = ? WHERE project = ? AND name = ? AND version = ? AND deleted = 0`,
			db.Micros(s.now()), of, req.GetName(), req.GetVersion()); err != nil {
			return err
		}
		// Versions of other names, also in other projects, may hold the same rows.
		var others int64
		_, err = tx.Get(`SELECT count(*) FROM training_datasets WHERE content = ? AND deleted = 0`, []any{d.blob}, &others)
		if err == nil && others == 0 {
			unused = d.blob
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if unused != "" {
		if err := s.blobs.Remove(unused); err != nil {
			return nil, err
		}
	}
	return &trainingv1.DeleteDatasetResponse{}, nil
}
