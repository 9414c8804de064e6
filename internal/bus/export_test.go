package bus

// Restart makes the watchdog restart the embedded server, as a failed store does.
func (b *Bus) Restart(reason string) { b.report(reason) }

// Remembers says whether followers in this process get a message without asking the stream.
func (b *Bus) Remembers(seq uint64) bool {
	batch, _, _ := b.recent.after(seq, 1, nil)
	return len(batch) == 1
}
