package review

import "time"

// SetScan changes how many rows one page of a list looks at.
func (s *Service) SetScan(rows int) { s.scan = rows }

// Retain changes how long what is done is kept, and lets it be looked for at once.
func (s *Service) Retain(retention map[string]time.Duration) {
	s.retiring.Lock()
	defer s.retiring.Unlock()
	s.config.Retention, s.retireNext = retention, time.Time{}
}
