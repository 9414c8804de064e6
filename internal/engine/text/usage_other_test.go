//go:build !unix

package text_test

func processorSeconds() float64 { return 0 }
func peakMiB() float64          { return 0 }
