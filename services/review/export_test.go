package review

import (
	"context"
	"time"
)

// SetScan changes how many rows one page of a list looks at.
func (s *Service) SetScan(rows int) { s.scan = rows }

// Retain changes how long what is done is kept, and lets it be looked for at once.
func (s *Service) Retain(retention map[string]time.Duration) {
	s.retiring.Lock()
	defer s.retiring.Unlock()
	s.config.Retention, s.retireNext = retention, time.Time{}
}

// MergeSome does one transaction of a merge, of about so many keys, and says whether there may be more to do.
func (s *Service) MergeSome(ctx context.Context, rows int) (bool, error) {
	return s.mergeSome(ctx, rows)
}
