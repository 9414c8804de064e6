package bus

// Restart makes the watchdog restart the embedded server, as a failed store does.
func (b *Bus) Restart(reason string) { b.report(reason) }
