package training

import trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"

// AtStep calls fn before each step ("begin"), and before what it made is stored ("end"). It must be called before anything runs.
func AtStep(fn func(step trainingv1.RunStep, when string)) { atStep = fn }
