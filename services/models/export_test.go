package models

import "github.com/switchyard-ai/switchyard/internal/db"

// VerifyIn verifies what a transaction sees.
func VerifyIn(tx *db.Tx) ([]error, error) {
	v := newVerifier()
	v.hasAliases = true
	err := v.walk(tx)
	return v.problems, err
}
