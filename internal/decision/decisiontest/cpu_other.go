//go:build !unix

package decisiontest

import "testing"

// ReportCPU does nothing where the processor time is not known.
func ReportCPU(*testing.B) func() { return func() {} }
