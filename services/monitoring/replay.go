package monitoring

// Replay reads decisions and what became known of them.
type Replay any
