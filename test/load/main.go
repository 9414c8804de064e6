// Command load measures the product's figures and prints them as one table. Ratios come from one run: both sides are separate server
// processes of the same layout on loopback, called by this process in alternating rounds, and the medians count.
//
// "make bench" builds and runs it; see docs/reference/performance.md for the table and how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/switchyard-ai/switchyard/internal/testkit/data"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// bench is one run of the measurements and what they share.
type bench struct {
	bin     string        // the product
	self    string        // this program, which is also the other side
	work    string        // folder for everything that is written
	data    string        // folder of the data sets
	python  string        // interpreter with FastAPI and scikit-learn
	rounds  int           // of every ratio
	window  time.Duration // of one side in one round
	env     []string      // added to the product's environment, to try a setting
	profile string        // folder for processor profiles; empty for none

	table  table
	shared shared
}

// measurement is a named part of the run.
type measurement struct {
	name string
	do   func(context.Context, *bench) error
}

// measurements in the order of the table.
var measurements = []measurement{
	{"accuracy", measureAccuracy},
	{"promise", measurePromise},
	{"loop", measureLoop},
	{"engine", measureEngine},
	{"grpc", measureGRPC},
	{"stream", measureStream},
	{"durable", measureDurable},
	{"rest", measureREST},
	{"fastapi", measureFastAPI},
	{"start", measureStart},
	{"memory", measureMemory},
	{"trial", measureTrial},
	{"jobs", measureJobs},
	{"kill", measureKill},
}

func main() {
	role := flag.String("role", "", "run as the other side of a measurement: grpc or http")
	answer := flag.String("answer", "", "with -role: file with the answer that is sent")
	only := flag.String("only", "", "measure only what this regular expression matches: accuracy, promise, loop, engine, grpc, stream, durable, rest, fastapi, start, memory, trial, jobs, kill")
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin/switchyard", "the built product")
	flag.StringVar(&b.work, "work", "bin/bench", "folder for what the measurements write; on a real disk, or fsync costs nothing")
	flag.StringVar(&b.data, "data", data.Dir(), "folder of the data sets")
	flag.StringVar(&b.python, "python", "/usr/bin/python3", "interpreter with fastapi, uvicorn and sklearn")
	flag.IntVar(&b.rounds, "rounds", 5, "alternating rounds of every ratio")
	flag.DurationVar(&b.window, "window", 2*time.Second, "how long each side is called in each round")
	flag.StringVar(&b.profile, "profile", "", "write processor profiles of the product to this folder; it then runs inside this process, so ratios are not comparable")
	flag.Func("env", "add NAME=value to the product's environment, to try a setting; repeat for several", func(v string) error {
		b.env = append(b.env, v)
		return nil
	})
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	switch {
	case *role != "":
		err = serveRole(ctx, *role, *answer)
	case b.profile != "":
		err = b.profileProduct(ctx, *only)
	default:
		err = b.run(ctx, *only)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// run measures what is asked for and prints the table. A measurement that fails leaves a row that says so; a figure that is missed is
// no failure of the run.
func (b *bench) run(ctx context.Context, only string) error {
	choose, err := regexp.Compile("^(" + only + ")$")
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if err := b.prepare(); err != nil {
		return err
	}
	defer b.cleanUp()
	var errs []error
	for _, m := range measurements {
		if only != "" && !choose.MatchString(m.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s\n", m.name)
		if err := m.do(ctx, b); err != nil {
			fmt.Fprintf(os.Stderr, "  %s: %v\n", m.name, err)
			errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	fmt.Println(machine())
	fmt.Println()
	b.table.print(os.Stdout)
	return errors.Join(errs...)
}

// prepare makes the paths absolute and the folder empty.
func (b *bench) prepare() (err error) {
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	for _, p := range []*string{&b.bin, &b.work, &b.data} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if _, err := os.Stat(b.bin); err != nil {
		return fmt.Errorf("%w; build it with: make build", err)
	}
	if err := os.MkdirAll(b.work, 0o700); err != nil {
		return err
	}
	b.work, err = os.MkdirTemp(b.work, "run")
	return err
}

func (b *bench) cleanUp() {
	b.shared.stop()
	_ = os.RemoveAll(b.work)
}

// command is how one measurement is repeated, for the table.
func command(name string) string { return "make bench ONLY=" + name }

// dataFile returns the path of a data set, or an error that says how to provide it.
func (b *bench) dataFile(name string) (string, error) {
	path := filepath.Join(b.data, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("data set %s is absent; set %s to the folder that holds it", name, data.Env)
	}
	return path, nil
}

func (b *bench) startProduct(ctx context.Context, name string, args ...string) (*process.Server, error) {
	return process.Start(ctx, process.Options{
		Bin: b.bin, DataDir: filepath.Join(b.work, name), Args: append([]string{"--socket", "none", "--no-starter"}, args...), Env: b.env,
	})
}
