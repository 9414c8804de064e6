package training_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/status"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

func reason(err error) string {
	if err == nil {
		return ""
	}
	return fault.FromStatus(status.Convert(err)).ReasonName()
}

// export reads a version back as a file.
func (s *system) export(name string, format trainingv1.DatasetFormat, side trainingv1.DatasetSide) []byte {
	s.t.Helper()
	stream, err := s.datasets.ExportDataset(s.t.Context(), &trainingv1.ExportDatasetRequest{Name: name, Format: format, Side: side})
	if err != nil {
		s.t.Fatal(err)
	}
	var out []byte
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			s.t.Fatalf("export %s: %v", name, err)
		}
		out = append(out, m.GetChunk()...)
	}
}

func TestTheSameRowsAreTheSameVersionEverywhere(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := lines(tickets(400, 1))
	first := s.add("tickets", file)
	again := s.add("tickets", file)
	if again.GetVersion() != 1 || again.GetDigest() != first.GetDigest() {
		t.Errorf("the same file became version %d, %s", again.GetVersion(), again.GetDigest())
	}
	other := start(t).add("elsewhere", file)
	if other.GetDigest() != first.GetDigest() {
		t.Errorf("another server says %s, this one %s", other.GetDigest(), first.GetDigest())
	}
	seeded := s.add("tickets", file, func(i *trainingv1.ImportSpec) { i.Split.Seed = 2 })
	if seeded.GetVersion() != 2 || seeded.GetDigest() == first.GetDigest() {
		t.Errorf("another split is version %d, %s", seeded.GetVersion(), seeded.GetDigest())
	}
	if _, err := s.datasets.DeleteDataset(t.Context(), &trainingv1.DeleteDatasetRequest{Name: "tickets", Version: 2}); err != nil {
		t.Fatal(err)
	}
	if d := s.add("tickets", file, func(i *trainingv1.ImportSpec) { i.Split.Seed = 2 }); d.GetVersion() != 3 || d.GetDigest() != seeded.GetDigest() {
		t.Errorf("after the deletion it is version %d, %s", d.GetVersion(), d.GetDigest())
	}
}

func TestEveryFormatHoldsTheSameRows(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("tickets", lines(tickets(300, 1)), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	want := s.add("again", s.export("tickets", trainingv1.DatasetFormat_DATASET_FORMAT_JSONL, 0), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	for name, format := range map[string]trainingv1.DatasetFormat{
		"csv": trainingv1.DatasetFormat_DATASET_FORMAT_CSV, "parquet": trainingv1.DatasetFormat_DATASET_FORMAT_PARQUET,
	} {
		file := s.export("tickets", format, 0)
		got := s.add("from-"+name, file, only(trainingv1.SplitMethod_SPLIT_METHOD_NONE), func(i *trainingv1.ImportSpec) {
			i.File = "export." + name
			if name == "parquet" {
				i.PersonField = "person_id"
			}
		})
		if got.GetRows() != 300 || got.GetReport().GetSubjects() != want.GetReport().GetSubjects() || !got.GetFirstTime().AsTime().Equal(want.GetFirstTime().AsTime()) {
			t.Errorf("%s: %d rows of %d persons since %v, want %d since %v", name, got.GetRows(), got.GetReport().GetSubjects(), got.GetFirstTime().AsTime(), want.GetReport().GetSubjects(), want.GetFirstTime().AsTime())
		}
	}
	half := bytes.Count(s.export("tickets", trainingv1.DatasetFormat_DATASET_FORMAT_JSONL, trainingv1.DatasetSide_DATASET_SIDE_TEST), []byte("\n"))
	if half != 0 {
		t.Errorf("a set that is all to train on has %d rows to test on", half)
	}
}

// sampledTickets are rows of a model that answers and is audited: what it left to people is right as a model sees it, and a tenth of the rest was looked at and has labels that a model does not expect.
func sampledTickets(n int, seed uint64, column string) []byte {
	var out bytes.Buffer
	for i, row := range tickets(n, seed) {
		line := map[string]any{"text": row.Text, "label": row.Label, "person": row.Person, "time": row.Time, column: 1}
		if i%4 == 0 {
			line["label"], line[column] = map[string]string{"access": "billing", "billing": "hardware", "hardware": "access"}[row.Label], 0.1
		}
		data, _ := json.Marshal(line) // texts and numbers only
		out.Write(append(data, '\n'))
	}
	return out.Bytes()
}

func TestProbabilitiesSurviveAnExportAndAnImport(t *testing.T) {
	t.Parallel()
	s := start(t)
	whole := func(i *trainingv1.ImportSpec) {
		i.Split, i.Attributes = &trainingv1.SplitSpec{Method: trainingv1.SplitMethod_SPLIT_METHOD_NONE}, nil
	}
	first := s.add("tickets", sampledTickets(400, 1, "probability"), whole)
	finding := func(d *trainingv1.Dataset) string {
		for _, f := range d.GetReport().GetFindings() {
			if f.GetCode() == "sampled" {
				return f.GetMessage()
			}
		}
		return ""
	}
	if got := finding(first); !strings.Contains(got, "100 rows were chosen to be labelled with a probability below 1") || !strings.Contains(got, "400 rows stand for about 1300 decisions") {
		t.Errorf("the report says %q", got)
	}
	for name, format := range map[string]trainingv1.DatasetFormat{
		"jsonl": trainingv1.DatasetFormat_DATASET_FORMAT_JSONL, "csv": trainingv1.DatasetFormat_DATASET_FORMAT_CSV, "parquet": trainingv1.DatasetFormat_DATASET_FORMAT_PARQUET,
	} {
		file := s.export("tickets", format, 0)
		back := s.add("from-"+name, file, whole, func(i *trainingv1.ImportSpec) {
			if i.File = "export." + name; name == "parquet" {
				i.PersonField = "person_id"
			}
		})
		if finding(back) != finding(first) || back.GetRows() != 400 {
			t.Errorf("%s: %d rows, %q; exported were %q", name, back.GetRows(), finding(back), finding(first))
		}
		if again := s.export("from-"+name, format, 0); format == trainingv1.DatasetFormat_DATASET_FORMAT_CSV && !bytes.Equal(again, file) {
			t.Errorf("%s: exported again it is another file", name)
		}
		if name != "parquet" && back.GetDigest() != first.GetDigest() {
			t.Errorf("%s: the digest is %s, was %s", name, back.GetDigest(), first.GetDigest())
		}
	}
	if plain := s.export("tickets", trainingv1.DatasetFormat_DATASET_FORMAT_CSV, 0); !bytes.HasPrefix(plain, []byte("text,label,side,person,time,probability,least\n")) {
		t.Errorf("the header is %.80s", plain)
	}
	renamed := s.add("renamed", sampledTickets(400, 1, "drawn"), whole, func(i *trainingv1.ImportSpec) { i.ProbabilityField = "drawn" })
	if renamed.GetDigest() != first.GetDigest() {
		t.Error("a column of another name says something else")
	}
	none := s.add("none", sampledTickets(400, 1, "probability"), whole, func(i *trainingv1.ImportSpec) { i.ProbabilityField = "-" })
	if finding(none) != "" {
		t.Errorf("a column that is none of probabilities: %q", finding(none))
	}
	bad := bytes.Replace(sampledTickets(400, 1, "probability"), []byte(`"probability":0.1`), []byte(`"probability":1.1`), 1)
	d := s.add("bad", bad, whole)
	if d.GetReport().GetRejectedRows() != 1 || !strings.Contains(fmt.Sprint(d.GetReport()), `line 1: bad probability: field \"probability\" is \"1.1\"`) {
		t.Errorf("rejected: %v", d.GetReport())
	}
}

func TestAnEvaluationWeightsImportedRows(t *testing.T) {
	trains(t)
	t.Parallel()
	s := start(t)
	s.add("tickets", lines(tickets(900, 1)))
	whole := func(i *trainingv1.ImportSpec) {
		i.Split, i.Attributes = &trainingv1.SplitSpec{Method: trainingv1.SplitMethod_SPLIT_METHOD_TEST_ONLY}, nil
	}
	s.add("even", sampledTickets(600, 9, "probability"), whole, func(i *trainingv1.ImportSpec) { i.ProbabilityField = "-" })
	s.add("drawn", sampledTickets(600, 9, "probability"), whole)
	accuracy := map[string]float64{}
	for _, name := range []string{"even", "drawn"} {
		spec := onDataset("tickets", 0)
		spec.Evaluation, spec.RegisterOnly = &trainingv1.DatasetRef{Name: name}, true
		r := s.run(spec)
		report, err := s.runs.GetRunReport(t.Context(), &trainingv1.GetRunReportRequest{RunId: r.GetRunId()})
		if err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		var said struct{ Evaluation struct{ Accuracy float64 } }
		if err := json.Unmarshal([]byte(report.GetJson()), &said); err != nil {
			t.Fatal(err)
		}
		accuracy[name] = said.Evaluation.Accuracy
	}
	// Of 600 rows 150 are wrong; each of them stands for ten.
	right := accuracy["even"]
	if right < 0.55 || right > 0.76 {
		t.Errorf("unweighted it is right in %.3f", right)
	}
	if got, want := accuracy["drawn"], right*600/(450+1500); math.Abs(got-want) > 0.06 {
		t.Errorf("weighted it is right in %.3f, want about %.3f", got, want)
	}
}

func TestWhatCannotBeLearnedFromIsSaid(t *testing.T) {
	t.Parallel()
	s := start(t)
	one := tickets(200, 1)
	for i := range one {
		one[i].Label = "access"
	}
	d := s.add("one", lines(one))
	if f := d.GetReport().GetFindings()[0]; f.GetSeverity() != trainingv1.Severity_SEVERITY_ERROR || f.GetCode() != "one-label" {
		t.Errorf("the report begins with %v", f)
	}
	r := s.run(onDataset("one", 0))
	if r.GetState() != trainingv1.RunState_RUN_STATE_FAILED || r.GetProblem().GetReason() != "INVALID_ARGUMENT" || !strings.Contains(r.GetStatement(), `have the label "access": a model needs rows of at least two labels`) {
		t.Errorf("run %s: %s", r.GetState(), r.GetStatement())
	}
	s.add("untested", lines(tickets(200, 2)), only(trainingv1.SplitMethod_SPLIT_METHOD_NONE))
	if r := s.run(onDataset("untested", 0)); r.GetState() != trainingv1.RunState_RUN_STATE_FAILED || r.GetProblem().GetField() != "spec.evaluation" {
		t.Errorf("without rows to test on: %s %s", r.GetState(), r.GetStatement())
	}
	for name, c := range map[string]struct{ file, says string }{
		"nothing":   {"", "has no usable row"},
		"an array":  {"[{\"text\": \"a\", \"label\": \"b\"}]", "one JSON array"},
		"zeros":     {"\x00\x01\x02\x03", "neither JSONL, CSV nor Parquet"},
		"no label":  {"{\"text\": \"a\"}\n", "missing label"},
		"no column": {"a,b\n1,2\n", "no column is named"},
	} {
		_, err := s.tryAdd("bad", []byte(c.file), func(i *trainingv1.ImportSpec) { i.File = "" })
		if reason(err) != "INVALID_ARGUMENT" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoFileIsTooLargeAndNoNameIsAPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, func(c *app.Config) { c.DataDir, c.Training.MaxImportBytes = filepath.Join(dir, "data"), 64<<10 })
	if _, err := s.tryAdd("large", lines(tickets(2000, 1))); reason(err) != "REQUEST_TOO_LARGE" {
		t.Errorf("a large file: %v", err)
	}
	d := s.add("path", lines(tickets(50, 1)), func(i *trainingv1.ImportSpec) { i.File = "../../../../evil.jsonl" })
	if d.GetFile() != "evil.jsonl" {
		t.Errorf("the file is called %q", d.GetFile())
	}
	if _, err := s.tryAdd("../x", lines(tickets(50, 1))); reason(err) != "INVALID_ARGUMENT" {
		t.Errorf("a name that is a path: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "data", "training", "received", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "evil.jsonl")); err == nil {
		t.Error("a file was written outside of the data folder")
	}
}

func TestAnotherProjectHasItsOwnDatasets(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("tickets", lines(tickets(100, 1)))
	other := *s
	conn := s.Dial(testkit.NewProject(t, s.conn, "other"))
	other.datasets, other.runs = trainingv1.NewDatasetServiceClient(conn), trainingv1.NewRunServiceClient(conn)
	if _, err := other.datasets.GetDataset(t.Context(), &trainingv1.GetDatasetRequest{Name: "tickets"}); reason(err) != "NOT_FOUND" {
		t.Errorf("get: %v", err)
	}
	if _, err := other.runs.StartRun(t.Context(), &trainingv1.StartRunRequest{Spec: onDataset("tickets", 0)}); reason(err) != "NOT_FOUND" {
		t.Errorf("run on it: %v", err)
	}
	// The same rows of both projects are one file; deleting one leaves the other.
	other.add("tickets", lines(tickets(100, 1)))
	if _, err := s.datasets.DeleteDataset(t.Context(), &trainingv1.DeleteDatasetRequest{Name: "tickets", Version: 1}); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(other.export("tickets", 0, 0), []byte("\n")); n != 100 {
		t.Errorf("the other project has %d rows left", n)
	}
}
