package testkit

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/registry"
)

// Trained is a small model that was really trained, on sentences made of a few words each.
type Trained struct {
	Operation commonv1.Operation
	Result    *fit.Result
}

// The models that tests deploy; each is trained once a process.
var (
	Support  = sync.OnceValues(func() (*Trained, error) { return trainTexts("routing", supportWords, 7) })
	Topics   = sync.OnceValues(func() (*Trained, error) { return trainTexts("classification", supportWords, 7) })
	Comments = sync.OnceValues(func() (*Trained, error) { return trainTexts("moderation", commentWords, 7) })
	Expenses = sync.OnceValues(trainExpenses)
	// SupportAnew and CommentsAnew were trained on other sentences: other weights, other answers.
	SupportAnew  = sync.OnceValues(func() (*Trained, error) { return trainTexts("routing", supportWords, 8) })
	CommentsAnew = sync.OnceValues(func() (*Trained, error) { return trainTexts("moderation", commentWords, 8) })
)

var supportWords = map[string]string{
	"hardware": "laptop screen keyboard mouse black broken replaced monitor cable battery charger dock printer stays fan",
	"billing":  "invoice refund payment charged twice credit card price receipt subscription tax bank transfer cost please",
	"access":   "password login locked account reset permission token denied vpn unlock credentials sign shared folder rights",
}

var commentWords = map[string]string{
	"ham":  "thank you for the article the second part was helpful to read I agree with point about garden weather book photo question family",
	"spam": "win a free prize now click the link to claim your cash bonus casino crypto offer cheap loan winner urgent guaranteed",
}

const rowsPerLabel = 700

func trainTexts(operation string, words map[string]string, seed uint64) (*Trained, error) {
	random := rand.New(rand.NewPCG(seed, 7))
	set := &dataset.Set{Kind: dataset.Text}
	for _, label := range slices.Sorted(maps.Keys(words)) {
		all := strings.Fields(words[label])
		for range rowsPerLabel {
			picked := make([]string, 6+random.IntN(6))
			for j := range picked {
				picked[j] = all[random.IntN(len(all))]
			}
			set.Rows = append(set.Rows, dataset.Row{Text: strings.Join(picked, " "), Labels: []string{label}})
		}
	}
	sortRows(set)
	return train(operation, set)
}

func trainExpenses() (*Trained, error) {
	random := rand.New(rand.NewPCG(9, 9))
	set := &dataset.Set{Kind: dataset.Record}
	kinds := []struct {
		label     string
		low, high float64
		merchants []string
	}{
		{"travel", 200, 3000, []string{"airline", "hotel", "railway"}},
		{"meals", 5, 120, []string{"restaurant", "cafe", "bakery"}},
		{"office", 10, 400, []string{"stationer", "furniture", "electronics"}},
	}
	for i := range 3 * rowsPerLabel {
		k := kinds[i%len(kinds)]
		set.Rows = append(set.Rows, dataset.Row{Line: i + 1, Labels: []string{k.label}, Record: engine.Record{
			"amount":   {Kind: engine.Number, Number: k.low + random.Float64()*(k.high-k.low)},
			"merchant": {Kind: engine.Text, Text: k.merchants[random.IntN(len(k.merchants))]},
			"weekend":  {Kind: engine.Bool, Bool: random.IntN(2) == 0},
		}})
	}
	return train("classification", set)
}

// sortRows gives the rows an order that does not depend on that of a map.
func sortRows(set *dataset.Set) {
	byLabel := map[string][]dataset.Row{}
	for _, r := range set.Rows {
		byLabel[r.Labels[0]] = append(byLabel[r.Labels[0]], r)
	}
	set.Rows = set.Rows[:0]
	for i := range rowsPerLabel {
		for _, label := range []string{"hardware", "billing", "access", "ham", "spam"} {
			if rows := byLabel[label]; i < len(rows) {
				row := rows[i]
				row.Line = len(set.Rows) + 1
				set.Rows = append(set.Rows, row)
			}
		}
	}
}

func train(operation string, set *dataset.Set) (*Trained, error) {
	result, err := fit.Run(context.Background(), set, nil, fit.Options{
		Operation: operation, Alpha: 0.05, Delta: 0.05, Seed: 1, HoldOut: 0.3, Buckets: 1 << 13, OutOfScopeLabel: "oos",
	}, func(fit.Event) {})
	if err != nil {
		return nil, err
	}
	op, err := registry.Operation(operation)
	return &Trained{Operation: op, Result: result}, err
}

// Deploy registers a model under a name and lets it answer under the same name. With certify false it brings no certification sample.
func Deploy(tb testing.TB, conn grpc.ClientConnInterface, name string, model func() (*Trained, error), certify bool) *modelsv1.Deployment {
	tb.Helper()
	v := Register(tb, conn, name, model, certify)
	r, err := modelsv1.NewModelServiceClient(conn).Deploy(tb.Context(), &modelsv1.DeployRequest{
		Operation: v.GetOperation(), Deployment: name, Model: name, Version: v.GetVersion(),
	})
	if err != nil {
		tb.Fatalf("deploy %s: %v", name, err)
	}
	return r.GetDeployment()
}

// Register registers a model under a name. With certify false it brings no certification sample.
func Register(tb testing.TB, conn grpc.ClientConnInterface, name string, model func() (*Trained, error), certify bool) *modelsv1.ModelVersion {
	tb.Helper()
	t, err := model()
	if err != nil {
		tb.Fatalf("train %s: %v", name, err)
	}
	e := t.Result.Evaluation
	evaluation, err := json.Marshal(e)
	if err != nil {
		tb.Fatalf("evaluation of %s: %v", name, err)
	}
	spec := &modelsv1.VersionSpec{
		Model: name, Operation: t.Operation, Digest: t.Result.Info.Digest,
		Metrics:        &modelsv1.Metrics{Rows: int64(e.Rows), Accuracy: e.Accuracy, MacroF1: e.MacroF1, CalibrationError: e.CalibrationError},
		Lineage:        &modelsv1.Lineage{TrainRows: int64(e.Data.TrainingRows), CertificationRows: int64(len(t.Result.Sample)), Seed: 1},
		EvaluationJson: string(evaluation),
	}
	for _, i := range t.Result.Harmless {
		spec.HarmlessLabels = append(spec.HarmlessLabels, t.Result.Info.Labels[i])
	}
	if certify {
		spec.Samples = registry.Samples(t.Operation, t.Result.Sample)
	}
	v, err := registry.Push(tb.Context(), modelsv1.NewModelServiceClient(conn), spec, t.Result.Artifact)
	if err != nil {
		tb.Fatalf("register %s: %v", name, err)
	}
	return v
}
