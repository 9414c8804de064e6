// Command build trains the starter models anew and writes them with their list: go run ./starter/build. It reads the data
// sets from $SWITCHYARD_DATA; which of them may be trained on for others is said in NOTICE.md. Same data, same bytes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/starter"
)

// plan is one model to train.
type plan struct {
	starter.Model
	buckets int
	train   func(data string) (*dataset.Set, error)
	test    func(data string) (*dataset.Set, error)
}

var plans = []plan{
	{
		Model: starter.Model{
			Name: "starter-it-tickets", Operation: "routing", Deployments: []string{"support"}, File: "it-tickets.model.zst",
			Notice: "Trained on the IT service ticket classification data set (CC0 public domain).",
		},
		buckets: 1 << 16,
		train:   read("it_tickets/train.jsonl.gz", "label"), test: read("it_tickets/valid.jsonl.gz", "label"),
	},
	{
		Model: starter.Model{
			Name: "starter-topics", Operation: "classification", Deployments: []string{"topics"}, File: "topics.model.zst",
			Notice: "Trained on CLINC150 by Larson et al. (2019), github.com/clinc/oos-eval, CC BY 3.0; the labels are its domains.",
		},
		buckets: 1 << 15,
		train:   read("clinc150/train.jsonl.gz", "domain"), test: read("clinc150/test.jsonl.gz", "domain"),
	},
	{
		Model: starter.Model{
			Name: "starter-spam", Operation: "moderation", Deployments: []string{"comments"}, File: "spam.model.zst",
			Notice: "Trained on messages written for this project and, as harmless examples, on CLINC150 (CC BY 3.0, Larson et al. 2019), " +
				"BANKING77 (CC BY 4.0, PolyAI 2020) and the Bitext customer support data set (CDLA-Sharing-1.0).",
		},
		buckets: 1 << 15,
		train:   spamTrain, test: read("sms_spam/test.jsonl.gz", "label"),
	},
}

func main() {
	data := flag.String("data", os.Getenv("SWITCHYARD_DATA"), "folder of the data sets")
	out := flag.String("out", "starter/models", "folder to write to")
	flag.Parse()
	if *data == "" {
		log.Fatal("set SWITCHYARD_DATA or -data to the folder of the data sets")
	}
	if err := run(*data, *out); err != nil {
		log.Fatal(err)
	}
}

func run(data, out string) error {
	// The certification rows and the order of rows in memory do not matter to the bytes; a small heap does to small machines.
	debug.SetGCPercent(50)
	var list []starter.Model
	for _, p := range plans {
		m, artifact, err := build(p, data)
		if err != nil {
			return fmt.Errorf("build %s: %w", p.Name, err)
		}
		fmt.Printf("%-20s %7d bytes, accuracy %.3f on %d rows\n", m.Name, len(artifact), m.Accuracy, m.TestRows)
		packed, err := starter.Pack(artifact)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, m.File), packed, 0o644); err != nil {
			return err
		}
		list = append(list, m)
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "models.json"), append(text, '\n'), 0o644)
}

func build(p plan, data string) (starter.Model, []byte, error) {
	train, err := p.train(data)
	if err != nil {
		return starter.Model{}, nil, err
	}
	test, err := p.test(data)
	if err != nil {
		return starter.Model{}, nil, err
	}
	result, err := fit.Run(context.Background(), train, test, fit.Options{
		Operation: p.Operation, OutOfScopeLabel: "oos", Alpha: 0.05, Delta: 0.05, Seed: 1, Buckets: p.buckets,
	}, func(fit.Event) {})
	if err != nil {
		return starter.Model{}, nil, err
	}
	m := p.Model
	m.Digest = result.Info.Digest
	m.Rows, m.TestRows = result.Evaluation.Data.TrainingRows, result.Evaluation.Rows
	m.Accuracy, m.MacroF1 = result.Evaluation.Accuracy, result.Evaluation.MacroF1
	for _, i := range result.Harmless {
		m.HarmlessLabels = append(m.HarmlessLabels, result.Info.Labels[i])
	}
	return m, result.Artifact, nil
}

// read returns a reader of one data set with its labels in the named field.
func read(name, label string) func(string) (*dataset.Set, error) {
	return func(data string) (*dataset.Set, error) {
		return dataset.Read(context.Background(), filepath.Join(data, filepath.FromSlash(name)), dataset.Options{LabelField: label})
	}
}

// spamTrain mixes generated messages with real harmless ones, so that spam is about a third.
func spamTrain(data string) (*dataset.Set, error) {
	random := rand.New(rand.NewPCG(1, 2))
	templates, err := loadTemplates("starter/spam")
	if err != nil {
		return nil, err
	}
	set := &dataset.Set{Kind: dataset.Text}
	seen := map[string]bool{}
	add := func(text, label string) {
		if key := label + text; !seen[key] {
			seen[key] = true
			set.Rows = append(set.Rows, dataset.Row{Line: len(set.Rows) + 1, Text: text, Labels: []string{label}})
		}
	}
	for _, t := range templates.spam {
		for range 60 {
			add(templates.fill(t, random), "spam")
		}
	}
	for _, t := range templates.ham {
		for range 40 {
			add(templates.fill(t, random), "ham")
		}
	}
	for _, source := range []struct {
		name  string
		share float64
	}{{"clinc150/train.jsonl.gz", 0.25}, {"banking77/train.jsonl.gz", 0.2}, {"bitext_support/train.jsonl.gz", 0.2}} {
		real, err := read(source.name, "label")(data)
		if err != nil {
			return nil, err
		}
		for _, row := range real.Rows {
			if random.Float64() < source.share {
				add(row.Text, "ham")
			}
		}
	}
	return set, nil
}
