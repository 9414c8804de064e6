package monitoring

import (
	"errors"
	"fmt"
)

// Config holds what is assumed until it is measured.
type Config struct {
	// ReviewerError is how often reviewers are taken to be wrong while there are too few answers that tell, 0 to 0.3: 0.03. An alarm needs more
	// disagreement than that explains, so a value that is too high lets errors pass unnoticed, and one that is too low stops automation for the reviewers' errors.
	ReviewerError float64 `yaml:"reviewer_error"`
	// ReviewerAnswers is from how many telling answers in a deployment's queue on their errors are measured, 30 to 100,000: 200. Telling are answers to test items, and those of
	// two people to the same audit.
	ReviewerAnswers int `yaml:"reviewer_answers"`
}

// Default returns what holds when nothing is configured.
func Default() Config { return Config{ReviewerError: 0.03, ReviewerAnswers: 200} }

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if !(c.ReviewerError >= 0 && c.ReviewerError <= 0.3) {
		errs = append(errs, fmt.Errorf("reviewer_error: is %v, must be 0 to 0.3", c.ReviewerError))
	}
	if c.ReviewerAnswers < 30 || c.ReviewerAnswers > 100_000 {
		errs = append(errs, fmt.Errorf("reviewer_answers: is %d, must be 30 to 100000", c.ReviewerAnswers))
	}
	return errors.Join(errs...)
}
