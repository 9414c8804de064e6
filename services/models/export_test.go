package models

import "github.com/switchyard-ai/switchyard/internal/db"

// VerifyIn verifies what a transaction sees.
func VerifyIn(tx *db.Tx) ([]error, error) {
	v := verifier{chains: map[string]*chain{}, live: map[deploymentKey]*state{}}
	err := v.walk(tx)
	return v.problems, err
}
