package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/testkit/data"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// metrics of one Go benchmark, by unit: "ns/op", "allocs/op" and its own.
type metrics map[string]float64

// goTest runs "go test" in the checkout and returns what it printed.
func goTest(ctx context.Context, args ...string) (string, error) {
	return goTestWith(ctx, nil, args...)
}

// goTestWith is goTest with more in the environment.
func goTestWith(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1"}, args...)...)
	cmd.Dir = process.Root()
	cmd.Env = append(append(os.Environ(), data.Env+"="+data.Dir()), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("go test %s: %w\n%s", strings.Join(args, " "), err, tail(string(out)))
	}
	return string(out), nil
}

// goBench runs benchmarks of a package and returns the metrics of each by its name without "Benchmark".
func goBench(ctx context.Context, pkg, pattern string, args ...string) (map[string]metrics, error) {
	out, err := goTest(ctx, append([]string{"-run", "^$", "-bench", pattern, pkg}, args...)...)
	if err != nil {
		return nil, err
	}
	return parseBench(out), nil
}

var benchName = regexp.MustCompile(`^Benchmark(.+?)(-\d+)?$`)

func parseBench(out string) map[string]metrics {
	all := map[string]metrics{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) < 4 {
			continue
		}
		name := benchName.FindStringSubmatch(words[0])
		if name == nil {
			continue
		}
		m := metrics{}
		for i := 2; i+1 < len(words); i += 2 {
			v, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				break
			}
			m[words[i+1]] = v
		}
		all[name[1]] = m
	}
	return all
}

// tail returns the last lines of an output.
func tail(out string) string {
	const keep = 2000
	if len(out) > keep {
		return "…" + out[len(out)-keep:]
	}
	return out
}

// measureEngine takes the figures of the engine from its own benchmarks, on one core.
func measureEngine(ctx context.Context, b *bench) error {
	if _, err := b.dataFile("banking77/train.jsonl.gz"); err != nil {
		return err
	}
	const pattern = "^BenchmarkPredict(Banking77|4KiB|1024Labels)$"
	const cmd = "go test -run '^$' -bench Predict -cpu 1 ./internal/engine/text"
	all, err := goBench(ctx, "./internal/engine/text", pattern, "-cpu", "1", "-benchmem")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name, what string
		figure     float64
	}{
		{"PredictBanking77", "engine, banking77 texts (77 labels), one core", 15},
		{"Predict1024Labels", "engine, 1,024 labels", 70},
		{"Predict4KiB", "engine, a text of 4 KiB", 700},
	} {
		m := all[f.name]
		if m == nil {
			return fmt.Errorf("no result of Benchmark%s", f.name)
		}
		us, basis := m["ns/op"]/1000, "wall time"
		if cpu, ok := m["cpu-µs/text"]; ok {
			us, basis = cpu, fmt.Sprintf("processor time; wall %.1f µs", us)
		}
		b.table.atMost(f.what, us, f.figure, "µs", fmt.Sprintf("%s, %.0f allocations a text", basis, m["allocs/op"]), cmd)
	}
	return nil
}

var promise = regexp.MustCompile(`(population|with replacement|test half)\s+promise broken in\s+([\d.]+) % of the splits, by the naive threshold in\s+([\d.]+) %`)

// measurePromise takes the share of broken promises from the test that gates it.
func measurePromise(ctx context.Context, b *bench) error {
	if _, err := b.dataFile("it_tickets/valid.jsonl.gz"); err != nil {
		return err
	}
	out, err := goTest(ctx, "-run", "TestFigurePromiseIsKept", "-v", "./internal/engine/fit")
	if err != nil {
		return err
	}
	found := promise.FindAllStringSubmatch(out, -1)
	if len(found) == 0 {
		return fmt.Errorf("the test printed no shares")
	}
	for _, m := range found {
		share, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return err
		}
		r := row{
			what: "promise broken, 500 resplits of it_tickets validation at α = 5 %, δ = 5 %, judged on " + m[1], measured: m[2] + " %",
			basis: "naive threshold: " + m[3] + " %", command: "go test -run TestFigurePromiseIsKept -v ./internal/engine/fit",
		}
		if m[1] != "test half" { // its own noise breaks sound thresholds; it only informs
			r.figure, r.met = "≤ 5 % + 2.9 % sampling error", share <= 7.9
		}
		b.table.add(r)
	}
	return b.measureLivePromise(ctx)
}

var killed = regexp.MustCompile(`(\d+) kills, ([\d]+) acknowledged decisions, (\d+) missing`)

// measureKill runs the test that kills the server under load.
func measureKill(ctx context.Context, b *bench) error {
	const cmd = "go test -run ^TestKill$ -v ./test/e2e"
	out, err := goTest(ctx, "-run", "^TestKill$", "-v", "./test/e2e")
	m := killed.FindStringSubmatch(out)
	if m == nil {
		return fmt.Errorf("the test printed no count: %w", err)
	}
	b.table.add(row{
		what: "kill -9 under load, acknowledged decisions missing from journal and stream", measured: m[3], figure: "0", met: m[3] == "0" && err == nil,
		basis: m[2] + " acknowledged decisions, " + m[1] + " kills", command: cmd,
	})
	return err
}
