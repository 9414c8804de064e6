//go:build !linux

package main

import "runtime/debug"

// settle gives freed memory back that only the start needed.
func settle() { debug.FreeOSMemory() }
