package record_test

import "github.com/switchyard-ai/switchyard/internal/engine"

func number(v float64) engine.Value { return engine.Value{Kind: engine.Number, Number: v} }
func text(v string) engine.Value    { return engine.Value{Kind: engine.Text, Text: v} }
func boolean(v bool) engine.Value   { return engine.Value{Kind: engine.Bool, Bool: v} }
