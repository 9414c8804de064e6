package training_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

const routing = commonv1.Operation_OPERATION_ROUTING

// system is the product with clients of what is tested.
type system struct {
	*testkit.System
	t        *testing.T
	conn     *grpc.ClientConn
	datasets trainingv1.DatasetServiceClient
	runs     trainingv1.RunServiceClient
	models   modelsv1.ModelServiceClient
}

func start(t *testing.T, options ...testkit.Option) *system {
	t.Helper()
	quick := func(c *app.Config) {
		c.Training.Lease, c.Training.PollInterval = time.Second, 50*time.Millisecond
		c.Lake.Flush = 100 * time.Millisecond
	}
	s := testkit.Start(t, append([]testkit.Option{quick}, options...)...)
	conn := s.Dial(s.Key)
	return &system{s, t, conn, trainingv1.NewDatasetServiceClient(conn), trainingv1.NewRunServiceClient(conn), modelsv1.NewModelServiceClient(conn)}
}

// example is a labelled row of a file.
type example struct {
	Text    string `json:"text"`
	Label   string `json:"label"`
	Person  string `json:"person,omitempty"`
	Time    string `json:"time,omitempty"`
	Dialect string `json:"dialect,omitempty"`
}

var vocabulary = map[string]string{
	"access":   "password login locked account reset permission token denied vpn unlock credentials sign shared folder rights",
	"billing":  "invoice refund payment charged twice credit card price receipt subscription tax bank transfer cost please",
	"hardware": "laptop screen keyboard mouse black broken replaced monitor cable battery charger dock printer stays fan",
}

// tickets makes rows of three labels, of the day of the seed, that a model tells apart mostly: most words of a row are its label's, some are another's.
func tickets(n int, seed uint64) []example {
	random := rand.New(rand.NewPCG(seed, 1))
	labels := []string{"access", "billing", "hardware"}
	at := time.Date(2026, 1, 1+int(seed), 0, 0, 0, 0, time.UTC)
	out := make([]example, n)
	for i := range out {
		label := labels[random.IntN(3)]
		words := make([]string, 7)
		for k := range words {
			from := label
			if random.IntN(100) < 30 {
				from = labels[random.IntN(3)]
			}
			list := strings.Fields(vocabulary[from])
			words[k] = list[random.IntN(len(list))]
		}
		out[i] = example{
			Text: strings.Join(words, " "), Label: label, Person: fmt.Sprintf("p%d-%d", seed, random.IntN(n)), Time: at.Add(time.Duration(i) * time.Minute).Format(time.RFC3339),
			Dialect: []string{"north", "south", "east"}[i%3],
		}
	}
	return out
}

// flipped gives a share of the rows another label.
func flipped(rows []example, share float64) []example {
	random := rand.New(rand.NewPCG(99, 1))
	labels := []string{"access", "billing", "hardware"}
	out := slices.Clone(rows)
	for i := range out {
		if random.Float64() < share {
			at := slices.Index(labels, out[i].Label)
			out[i].Label = labels[(at+1+random.IntN(2))%3]
		}
	}
	return out
}

func lines(rows []example) []byte {
	var b []byte
	for _, r := range rows {
		line, _ := json.Marshal(r) // texts only
		b = append(append(b, line...), '\n')
	}
	return b
}

// add imports rows as a data set.
func (s *system) add(name string, file []byte, change ...func(*trainingv1.ImportSpec)) *trainingv1.Dataset {
	s.t.Helper()
	d, err := s.tryAdd(name, file, change...)
	if err != nil {
		s.t.Fatalf("import %s: %v", name, err)
	}
	return d
}

func (s *system) tryAdd(name string, file []byte, change ...func(*trainingv1.ImportSpec)) (*trainingv1.Dataset, error) {
	spec := &trainingv1.ImportSpec{
		Name: name, Operation: routing, Deployment: "support", File: name + ".jsonl", PersonField: "person", TimeField: "time", Attributes: []string{"dialect"},
		Split: &trainingv1.SplitSpec{Method: trainingv1.SplitMethod_SPLIT_METHOD_RANDOM, TestShare: 0.25},
	}
	for _, f := range change {
		f(spec)
	}
	stream, err := s.datasets.ImportDataset(s.t.Context())
	if err != nil {
		return nil, err
	}
	_ = stream.Send(&trainingv1.ImportDatasetRequest{Part: &trainingv1.ImportDatasetRequest_Spec{Spec: spec}}) // CloseAndRecv has the reason
	for part := range slices.Chunk(file, 1<<18) {
		_ = stream.Send(&trainingv1.ImportDatasetRequest{Part: &trainingv1.ImportDatasetRequest_Chunk{Chunk: part}})
	}
	r, err := stream.CloseAndRecv()
	return r.GetDataset(), err
}

func only(method trainingv1.SplitMethod) func(*trainingv1.ImportSpec) {
	return func(s *trainingv1.ImportSpec) { s.Split = &trainingv1.SplitSpec{Method: method} }
}

func onDataset(name string, version int32) *trainingv1.RunSpec {
	return &trainingv1.RunSpec{
		Operation: routing, Deployment: "support", Data: &trainingv1.RunSpec_Dataset{Dataset: &trainingv1.DatasetRef{Name: name, Version: version}},
		Training: &trainingv1.TrainingSpec{Buckets: 1 << 13},
	}
}

// run starts a run and waits for its end.
func (s *system) run(spec *trainingv1.RunSpec) *trainingv1.Run {
	s.t.Helper()
	r, err := s.runs.StartRun(s.t.Context(), &trainingv1.StartRunRequest{Spec: spec})
	if err != nil {
		s.t.Fatalf("start run: %v", err)
	}
	return s.wait(r.GetRun().GetRunId())
}

// wait follows a run to its end.
func (s *system) wait(id string) *trainingv1.Run {
	s.t.Helper()
	stream, err := s.runs.WatchRun(s.t.Context(), &trainingv1.WatchRunRequest{RunId: id})
	if err != nil {
		s.t.Fatal(err)
	}
	var last *trainingv1.Run
	for {
		m, err := stream.Recv()
		if err != nil {
			break
		}
		last = m.GetRun()
	}
	switch last.GetState() {
	case trainingv1.RunState_RUN_STATE_QUEUED, trainingv1.RunState_RUN_STATE_RUNNING, trainingv1.RunState_RUN_STATE_UNSPECIFIED:
		s.t.Fatalf("run %s did not end: %v", id, last)
	}
	return last
}

// refusals are the names of the gates that refused.
func refusals(r *trainingv1.Run) []string {
	var out []string
	for _, g := range r.GetGates() {
		if !g.GetPassed() {
			out = append(out, g.GetGate())
		}
	}
	return out
}

// trains leaves a test that trains for long to the run without the race detector.
func trains(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it runs with the measurements")
	}
}
