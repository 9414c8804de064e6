package training

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// keepErasures is how long it is remembered which data sets held rows of a person who was erased.
const keepErasures = 30 * 24 * time.Hour

// personMark stands for a person who was erased.
func personMark(project, subject string) []byte {
	sum := sha256.Sum256([]byte("erased\x00" + project + "\x00" + subject))
	return sum[:16]
}

// noteErasure remembers in the transaction that changes a version of a data set how many rows of a person it held.
func (s *Service) noteErasure(tx *db.Tx, project, subject string, d *storedDataset, train, test int64) error {
	now := s.now()
	if _, err := tx.Exec(`DELETE FROM training_erasures WHERE erased < ?`, db.Micros(now.Add(-keepErasures))); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO training_erasures (project, person, name, version, train, test, erased) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, person, name, version) DO UPDATE SET train = training_erasures.train + excluded.train, test = training_erasures.test + excluded.test`,
		project, personMark(project, subject), d.GetName(), d.GetVersion(), train, test, db.Micros(now))
	return err
}

// held is how many rows of a person a version of a data set held.
type held struct{ train, test int64 }

// Learned returns the registered versions that came from the data of a person who was erased, and where they answer now. Versions that were trained elsewhere on exported rows, or on a
// data set whose rows were deleted before, are not known here.
func (s *Service) Learned(ctx context.Context, project, subject string) (out []*decisionsv1.TrainedModel, err error) {
	sets := map[pinKey]held{}
	var runs []*storedRun
	steps := map[string]*pins{}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		err := tx.Each(`SELECT name, version, train, test FROM training_erasures WHERE project = ? AND person = ?`, []any{project, personMark(project, subject)},
			func(scan func(...any) error) error {
				var k pinKey
				var h held
				err := scan(&k.name, &k.version, &h.train, &h.test)
				sets[k] = h
				return err
			})
		if err != nil || len(sets) == 0 {
			return err
		}
		err = tx.Each(`SELECT `+runColumns+` WHERE project = ? AND version > 0`, []any{project}, func(scan func(...any) error) error {
			r, err := scanRun(scan)
			runs = append(runs, r)
			return err
		})
		for _, r := range runs {
			if err != nil {
				return err
			}
			p := &pins{}
			if _, err = readStep(tx, r, trainingv1.RunStep_RUN_STEP_BUILD, p); err == nil {
				steps[r.GetRunId()] = p
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find what was trained: %w", err)
	}
	for _, r := range runs {
		if used := steps[r.GetRunId()].usedOf(sets); len(used) > 0 {
			out = append(out, &decisionsv1.TrainedModel{Model: r.GetModel(), Version: r.GetVersion(), Digest: r.GetArtifactDigest(), RunId: r.GetRunId(), Data: used})
		}
	}
	slices.SortFunc(out, func(a, b *decisionsv1.TrainedModel) int {
		return cmp.Or(cmp.Compare(a.GetModel(), b.GetModel()), cmp.Compare(a.GetVersion(), b.GetVersion()), cmp.Compare(a.GetRunId(), b.GetRunId()))
	})
	return out, s.findLive(ctx, project, out)
}

// pinKey names a version of a data set.
type pinKey struct {
	name    string
	version int32
}

// usedOf says what a run did with the rows of a person that its data sets held.
func (p *pins) usedOf(sets map[pinKey]held) (out []*decisionsv1.TrainedOn) {
	add := func(p *pin, use decisionsv1.DataUse, rows func(held) int64) {
		if p == nil {
			return
		}
		if n := rows(sets[pinKey{p.Name, p.Version}]); n > 0 {
			out = append(out, &decisionsv1.TrainedOn{Dataset: p.Name, Version: p.Version, Use: use, Rows: n})
		}
	}
	train := func(h held) int64 { return h.train }
	test := func(h held) int64 { return h.test }
	all := func(h held) int64 { return h.train + h.test }
	add(p.Dataset, decisionsv1.DataUse_DATA_USE_TRAINED, train)
	if p.Evaluation == nil {
		add(p.Dataset, decisionsv1.DataUse_DATA_USE_MEASURED, test)
	}
	add(p.Tuning, decisionsv1.DataUse_DATA_USE_TUNED, all)
	add(p.Evaluation, decisionsv1.DataUse_DATA_USE_MEASURED, all)
	add(p.Golden, decisionsv1.DataUse_DATA_USE_MEASURED, all)
	return out
}

// findLive adds the deployments that answer with the versions now.
func (s *Service) findLive(ctx context.Context, project string, trained []*decisionsv1.TrainedModel) error {
	if len(trained) == 0 || s.models == nil {
		return nil
	}
	ctx = acting(ctx, project, "erasure", "")
	req := &modelsv1.ListDeploymentsRequest{Page: &commonv1.PageRequest{Size: db.MaxPageSize}}
	for {
		r, err := s.models.ListDeployments(ctx, req)
		if err != nil {
			return err
		}
		for _, d := range r.GetDeployments() {
			name := fault.OperationName(d.GetOperation()) + "/" + d.GetName()
			for _, t := range trained {
				if answersWith(d, t) {
					t.Deployments = append(t.Deployments, name)
				}
			}
		}
		if req.Page.Token = r.GetPage().GetNextToken(); req.Page.Token == "" {
			return nil
		}
	}
}

func answersWith(d *modelsv1.Deployment, t *decisionsv1.TrainedModel) bool {
	is := func(v *modelsv1.ModelVersion) bool {
		return v.GetModel() == t.GetModel() && v.GetVersion() == t.GetVersion()
	}
	return is(d.GetChampion()) || slices.ContainsFunc(d.GetChallengers(), func(c *modelsv1.Challenger) bool { return is(c.GetVersion()) })
}
