package training_test

import (
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/services/training"
)

func TestTheConfigurationNamesWhoMayTrain(t *testing.T) {
	t.Parallel()
	for _, by := range []string{training.InProcess, training.External, training.Both} {
		c := training.Default()
		if c.Execution = by; c.Validate() != nil {
			t.Errorf("%s: %v", by, c.Validate())
		}
	}
	c := training.Default()
	c.Execution, c.MaxDeliveries = "elsewhere", 0
	err := c.Validate()
	for _, want := range []string{`execution: is "elsewhere", must be "in-process", "external" or "both"`, "max_deliveries: is 0, must be 1 to 100"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}
