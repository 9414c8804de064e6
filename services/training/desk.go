package training

import (
	"context"
	"fmt"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// desk is where a step is carried out: in the process that has the tables, or in a worker that asks it. The steps that a worker can do touch nothing else.
type desk interface {
	// output reads what a step of the run has stored into out; false when it stored nothing.
	output(j *job, step trainingv1.RunStep, out any) (bool, error)
	// rows reads the rows of a data set that the run is about.
	rows(j *job, p *pin) ([]snapshot.Row, error)
	// deployment returns the deployment that the run is for, nil when it does not exist.
	deployment(j *job) (*modelsv1.Deployment, error)
	// champion reads the artifact of the version that answers.
	champion(j *job, v *modelsv1.ModelVersion) ([]byte, error)
	// learned reads the rows that the version which answers has learned from, nil when nobody knows.
	learned(j *job, v *modelsv1.ModelVersion) ([]snapshot.Row, error)
	// put stores bytes and returns their digest; get reads them.
	put(j *job, data []byte) (string, error)
	get(j *job, digest string) ([]byte, error)
	// checkpoint keeps what the present step has so far.
	checkpoint(j *job, output any) error
}

// local is the desk of the process that has the tables.
type local struct{ s *Service }

func (l local) output(j *job, step trainingv1.RunStep, out any) (ok bool, err error) {
	err = l.s.db.View(j.ctx, func(tx *db.Tx) error {
		ok, err = readStep(tx, j.run, step, out)
		return err
	})
	return ok, err
}

func (l local) rows(j *job, p *pin) ([]snapshot.Row, error) {
	d, err := l.s.find(j.ctx, j.run.project, p.Name, p.Version)
	if err != nil {
		return nil, err
	}
	return l.s.rowsOf(d)
}

func (l local) deployment(j *job) (*modelsv1.Deployment, error) {
	return l.s.deployed(j.ctx, j.run.project, j.run.caller, j.run.GetSpec().GetOperation(), j.run.GetSpec().GetDeployment())
}

func (l local) champion(j *job, v *modelsv1.ModelVersion) ([]byte, error) {
	return l.s.download(acting(j.ctx, j.run.project, j.run.caller, j.run.GetRunId()), v)
}

func (l local) learned(j *job, v *modelsv1.ModelVersion) ([]snapshot.Row, error) {
	set, err := l.s.teacher(j.ctx, j.run.project, v)
	if err != nil || set == nil {
		return nil, err
	}
	return l.s.rowsOf(set)
}

// teacher returns the data set that a version learned from, as far as a run here trained it and the rows are there; nil otherwise.
func (s *Service) teacher(ctx context.Context, project string, v *modelsv1.ModelVersion) (set *storedDataset, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		var run *storedRun
		err := tx.Each(`SELECT `+runColumns+` WHERE project = ? AND model = ? AND version = ? ORDER BY id LIMIT 1`, []any{project, v.GetModel(), v.GetVersion()},
			func(scan func(...any) error) (err error) {
				run, err = scanRun(scan)
				return err
			})
		if err != nil || run == nil {
			return err
		}
		p := &pins{}
		found, err := readStep(tx, run, trainingv1.RunStep_RUN_STEP_BUILD, p)
		if err != nil || !found || p.Dataset == nil {
			return err
		}
		set, err = readDataset(tx, project, p.Dataset.Name, p.Dataset.Version)
		if err == nil && set != nil && set.GetDeleted() {
			set = nil
		}
		return err
	})
	return set, err
}

func (l local) put(_ *job, data []byte) (string, error)   { return l.s.put(data) }
func (l local) get(_ *job, digest string) ([]byte, error) { return l.s.get(digest) }

func (l local) checkpoint(j *job, output any) error {
	return j.save(func(tx *db.Tx) error { return writeStep(tx, j.run, j.run.GetStep(), output) })
}

// output reads what a step that is done has stored.
func output[T any](j *job, step trainingv1.RunStep) (*T, error) {
	out := new(T)
	ok, err := j.at.output(j, step, out)
	if err == nil && !ok {
		err = fmt.Errorf("step %s of run %s has stored nothing", step, j.run.GetRunId())
	}
	return out, err
}
