package lake_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/lake/laketest"
)

// python returns an interpreter that has the module: of .bin/lake-venv, made by "python3 -m venv .bin/lake-venv && .bin/lake-venv/bin/pip install duckdb pyarrow pandas".
func python(t *testing.T, module string) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	for _, p := range []string{filepath.Join(filepath.Dir(file), "..", "..", ".bin", "lake-venv", "bin", "python"), "python3"} {
		if exec.CommandContext(t.Context(), p, "-c", "import "+module).Run() == nil {
			return p
		}
	}
	t.Skipf("there is no Python with %s", module)
	return ""
}

// answer is what the readers below print.
type answer struct {
	Rows    int64
	Labels  map[string]int64
	Columns map[string]string
	Row     map[string]any
}

const duckdb = `
import duckdb, json, sys
c = duckdb.connect()
lake = sys.argv[1]
src = f"read_parquet('{lake}/*/kind=decisions/*/*.parquet', hive_partitioning=true)"
rows = c.execute(f"select count(*) from {src}").fetchone()[0]
labels = dict(c.execute(f"select label, count(*) from {src} group by 1").fetchall())
columns = {r[0]: r[1] for r in c.execute(f"describe select * from {src}").fetchall()}
cur = c.execute(f"select project, kind, date::varchar date, decision_id, epoch_us(time) us, labels, probabilities[1]::double p, input_sha256, fields->>'a' a, audit_probability, erased_at from {src} where stream_seq = 7")
row = dict(zip([d[0] for d in cur.description], cur.fetchone()))
row["input_sha256"] = bytes(row["input_sha256"]).decode()
print(json.dumps({"Rows": rows, "Labels": labels, "Columns": columns, "Row": row}))
`

const pandas = `
import pandas, pyarrow.dataset, json, sys, glob
d = pandas.read_parquet(sorted(glob.glob(sys.argv[1] + "/*/kind=decisions/*/*.parquet")))
x = pyarrow.dataset.dataset(sys.argv[1] + "/project=q", format="parquet", partitioning="hive").to_table().to_pandas()
r = d[d.stream_seq == 7].iloc[0]
print(json.dumps({"Rows": len(d), "Labels": d.label.value_counts().to_dict(), "Columns": {k: str(v) for k, v in d.dtypes.items()}, "Row": {
  "project": "q" if len(x) == (d.stream_seq % 2 == 1).sum() else "?", "kind": x.kind.iloc[0], "date": x[x.stream_seq == 7].date.iloc[0], "decision_id": r.decision_id, "us": int(r.time.value // 1000),
  "labels": list(r.labels), "p": float(r.probabilities[0]), "input_sha256": r.input_sha256.decode(), "a": str(json.loads(r.fields)["a"]), "audit_probability": float(r.audit_probability), "erased_at": None if pandas.isna(r.erased_at) else "?"}}))
`

func TestOtherToolsReadTheLakeAsItIs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lake")
	store, err := lake.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	l := laketest.OpenLake(t, store)
	for first := uint64(1); first < 900; first += 100 {
		laketest.Append(t, l, laketest.Batch(first, first+99))
	}
	for {
		n, err := l.Compact(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if err := l.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	labels, err := l.Histogram(t.Context(), lake.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	want := laketest.Rows(7, 7)[0]
	for module, script := range map[string]string{"duckdb": duckdb, "pandas": pandas} {
		t.Run(module, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), python(t, module), "-c", script, dir)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var got answer
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got.Rows != 900 || len(got.Labels) != len(labels) {
				t.Errorf("%d rows, labels %v, want 900 and %v", got.Rows, got.Labels, labels)
			}
			for label, n := range labels {
				if got.Labels[label] != n {
					t.Errorf("%d rows of %s, want %d", got.Labels[label], label, n)
				}
			}
			for column, value := range map[string]any{
				"project": want.Project, "kind": "decisions", "date": "2026-05-04", "decision_id": want.DecisionID, "us": float64(want.Time.UnixMicro()), "p": 0.75,
				"input_sha256": string(want.InputSHA256), "a": "1", "audit_probability": want.AuditProbability, "erased_at": nil,
			} {
				if got.Row[column] != value {
					t.Errorf("%s of row 7 is %v, want %v", column, got.Row[column], value)
				}
			}
			t.Log(got.Columns)
		})
	}
}
