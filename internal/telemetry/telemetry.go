// Package telemetry is how the product says what it does: logs, metrics and traces, and the values of one request that all three
// share. Never in any of them: payloads, keys, personal data.
package telemetry
