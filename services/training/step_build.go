package training

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine/gate"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// pins are what the first step settles, so that a run that goes on tomorrow does what it would have done today.
type pins struct {
	Dataset, Evaluation, Tuning, Golden *pin
	// Policy is the promise that the version is certified for, as JSON of the contract; Multi whether the deployment's model is a multi-label one.
	Policy string
	Multi  bool
	// Reviewers is what is known of those who labelled the rows that come from verdicts; nil in runs that an earlier release began.
	Reviewers *risk.Reviewers
}

// pin is a version of a data set.
type pin struct {
	Name    string
	Version int32
	Digest  string
}

// build finds or builds the data sets.
func (j *job) build() (any, string, error) {
	spec, p := j.run.GetSpec(), &pins{}
	d, err := j.s.deployed(j.ctx, j.run.project, j.run.caller, spec.GetOperation(), spec.GetDeployment())
	if err != nil {
		return nil, "", err
	}
	policy := d.GetPolicy()
	if policy == nil {
		policy = &modelsv1.Policy{MaxError: 0.05, Confidence: 0.95, AuditRate: 0.05}
	}
	text, err := protojson.Marshal(policy)
	if err != nil {
		return nil, "", err
	}
	p.Policy, p.Multi = string(text), d.GetChampion().GetMultiLabel()
	if p.Reviewers, err = j.reviewers(); err != nil {
		return nil, "", err
	}
	ref := spec.GetDataset()
	if b := spec.GetBuild(); b != nil {
		b = proto.CloneOf(b)
		if b.GetName() == "" {
			b.Name = spec.GetDeployment()
		}
		j.say(0, true, "building data set %s", b.GetName())
		leave, err := j.s.enter(j.ctx)
		if err != nil {
			return nil, "", err
		}
		built, _, err := j.s.build(j.ctx, j.run.project, j.run.caller, b)
		leave()
		if err != nil {
			return nil, "", err
		}
		ref = &trainingv1.DatasetRef{Name: built.GetName(), Version: built.GetVersion()}
	}
	for _, r := range []struct {
		ref *trainingv1.DatasetRef
		to  **pin
	}{{ref, &p.Dataset}, {spec.GetEvaluation(), &p.Evaluation}, {spec.GetTuning(), &p.Tuning}, {spec.GetGolden(), &p.Golden}} {
		if r.ref == nil {
			continue
		}
		found, err := j.s.find(j.ctx, j.run.project, r.ref.GetName(), r.ref.GetVersion())
		if err != nil {
			return nil, "", err
		}
		*r.to = &pin{found.GetName(), found.GetVersion(), found.GetDigest()}
	}
	j.mu.Lock()
	j.run.Dataset, j.run.DatasetDigest = &trainingv1.DatasetRef{Name: p.Dataset.Name, Version: p.Dataset.Version}, p.Dataset.Digest
	j.mu.Unlock()
	return p, fmt.Sprintf("data set %s version %d", p.Dataset.Name, p.Dataset.Version), nil
}

// rowSets are the rows of a run.
type rowSets struct {
	pins  *pins
	train *dataset.Set
	// measure are the rows to measure on without those that were trained or tuned on; lineage counts those.
	measure *dataset.Set
	tune    *dataset.Set // nil where a part of train serves
	golden  *dataset.Set // nil for none
	lineage gate.Lineage
	// decisions are the ids of what was judged, by line of the data set.
	decisions map[int]string
}

// rows reads the rows of the run, once.
func (j *job) rows() (*rowSets, error) {
	if j.data != nil {
		return j.data, nil
	}
	p, err := output[pins](j, trainingv1.RunStep_RUN_STEP_BUILD)
	if err != nil {
		return nil, err
	}
	sets := &rowSets{pins: p}
	all, err := j.at.rows(j, p.Dataset)
	if err != nil {
		return nil, err
	}
	sets.decisions = make(map[int]string, len(all))
	for _, r := range all {
		sets.decisions[r.Line] = r.DecisionID
	}
	sets.train = snapshot.Set(p.Dataset.String(), all, dataset.Train)
	measured, name := sideOf(all, dataset.Test), p.Dataset.String()
	if p.Evaluation != nil {
		rows, err := j.at.rows(j, p.Evaluation)
		if err != nil {
			return nil, err
		}
		name = p.Evaluation.String()
		if measured = sideOf(rows, dataset.Test); len(measured) == 0 {
			measured = rows
		}
	}
	for _, r := range []struct {
		pin *pin
		to  **dataset.Set
	}{{p.Tuning, &sets.tune}, {p.Golden, &sets.golden}} {
		if r.pin == nil {
			continue
		}
		rows, err := j.at.rows(j, r.pin)
		if err != nil {
			return nil, err
		}
		*r.to = snapshot.Set(r.pin.String(), rows, "")
	}
	sets.measure = snapshot.Set(name, slices.DeleteFunc(slices.Clone(measured), func(r snapshot.Row) bool { return r.Probability == 0 }), "")
	sets.lineage = relate(sets)
	j.data = sets
	return sets, nil
}

// String names a version for people.
func (p *pin) String() string { return fmt.Sprintf("%s version %d", p.Name, p.Version) }

func sideOf(rows []snapshot.Row, side dataset.Side) []snapshot.Row {
	var out []snapshot.Row
	for _, r := range rows {
		if r.Side == side {
			out = append(out, r)
		}
	}
	return out
}

// relate holds the rows to measure on against those to train and tune on, by input, near copy and person, and takes out of them what is in both.
func relate(sets *rowSets) gate.Lineage {
	l := gate.Lineage{Of: len(sets.measure.Rows)}
	seen := []struct {
		name string
		set  *dataset.Set
	}{{"the rows to train on, " + sets.train.Name, sets.train}}
	if sets.tune != nil {
		seen = append(seen, struct {
			name string
			set  *dataset.Set
		}{"the rows to tune on, " + sets.tune.Name, sets.tune})
	}
	most, taken, copies := 0, make([]bool, l.Of), make([]bool, l.Of)
	for _, s := range seen {
		n := 0
		for i, how := range leaking(s.set.Rows, sets.measure.Rows) {
			switch how {
			case copied:
				n++
				copies[i] = true
				taken[i] = true
			case samePerson:
				taken[i] = true
			}
		}
		if n > most {
			most, l.Where = n, s.name
		}
	}
	kept := make([]dataset.Row, 0, l.Of)
	for i, row := range sets.measure.Rows {
		if copies[i] {
			l.Overlap++
		} else if taken[i] {
			l.Persons++
		}
		if taken[i] {
			continue
		}
		kept = append(kept, row)
	}
	sets.measure.Rows = kept
	l.MedianTrained, l.NewestMeasured = median(sets.train.Rows), newest(kept)
	return l
}

// near is the likeness from which rows of different data sets count as one.
const near = 0.9

// How a row stands elsewhere.
const (
	copied     = 1 // its input or a near copy
	samePerson = 2 // another row of its person
)

// leaking says for each row of b how it stands in a; 0 when it does not.
func leaking(a, b []dataset.Row) []int {
	both := slices.Concat(a, b) // copies: groups of their own
	persons := make(map[string]bool, len(a))
	for i := range both {
		if i < len(a) && both[i].Person != "" {
			persons[both[i].Person] = true
		}
		both[i].Person = ""
	}
	dataset.Group(both, near)
	groups := make(map[string]bool, len(a))
	for _, row := range both[:len(a)] {
		groups[row.Group] = true
	}
	out := make([]int, len(b))
	for i, row := range both[len(a):] {
		switch {
		case groups[row.Group]:
			out[i] = copied
		case persons[b[i].Person]:
			out[i] = samePerson
		}
	}
	return out
}

func median(rows []dataset.Row) time.Time {
	var times []time.Time
	for _, r := range rows {
		if !r.Time.IsZero() {
			times = append(times, r.Time)
		}
	}
	if len(times)*2 < len(rows) || len(times) == 0 {
		return time.Time{}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times[len(times)/2]
}

func newest(rows []dataset.Row) (t time.Time) {
	for _, r := range rows {
		t = later(t, r.Time)
	}
	return t
}

// splitOutput is what the second step settles.
type splitOutput struct {
	// Use counts the comparisons on the rows to measure on, this run's included.
	Use int
}

// split reads the rows, checks them, and counts how often those to measure on have served.
func (j *job) split() (any, string, error) {
	sets, err := j.rows()
	if err != nil {
		return nil, "", err
	}
	if len(sets.train.Rows) == 0 {
		return nil, "", fault.InvalidField("spec.dataset", "%s has no rows to train on", sets.train.Name)
	}
	findings := dataset.Check(sets.train, j.outOfScope())
	if err := dataset.Err(findings); err != nil {
		return nil, "", fault.InvalidField("spec.dataset", "the rows to train on of %s cannot be learned from: %v", sets.train.Name, err)
	}
	if sets.lineage.Of == 0 {
		return nil, "", fault.InvalidField("spec.evaluation", "%s has no rows to test on; name a data set that has", sets.measure.Name)
	}
	if sets.measure.Kind != "" && sets.measure.Kind != sets.train.Kind {
		return nil, "", fault.InvalidField("spec.evaluation", "holds %ss, the rows to train on are %ss", sets.measure.Kind, sets.train.Kind)
	}
	for _, f := range findings {
		j.say(0.5, true, "%s: %s", f.Severity, f.Message)
	}
	out := &splitOutput{}
	err = j.s.db.Tx(j.ctx, func(tx *db.Tx) error {
		out.Use = 0
		return useRows(tx, j.run, sets.measure.SHA256, &out.Use)
	})
	if err != nil {
		return nil, "", err
	}
	return out, fmt.Sprintf("%d rows to train on, %d to measure on", len(sets.train.Rows), len(sets.measure.Rows)), nil
}

// useRows notes that a run compares on rows, before it sees any answer, and returns which comparison on them that is.
func useRows(tx *db.Tx, r *storedRun, digest string, use *int) error {
	ok, err := tx.Get(`SELECT number FROM training_uses WHERE project = ? AND digest = ? AND run = ?`, []any{r.project, digest, r.GetRunId()}, use)
	if err != nil || ok {
		return err
	}
	if _, err := tx.Get(`SELECT count(*) FROM training_uses WHERE project = ? AND digest = ?`, []any{r.project, digest}, use); err != nil {
		return err
	}
	*use++
	_, err = tx.Exec(`INSERT INTO training_uses (project, digest, run, number) VALUES (?, ?, ?, ?)`, r.project, digest, r.GetRunId(), *use)
	return err
}

func (j *job) outOfScope() string {
	if l := j.run.GetSpec().GetTraining().GetOutOfScopeLabel(); l != "" {
		return l
	}
	return outOfScope
}
