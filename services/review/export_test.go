package review

// SetScan changes how many rows one page of a list looks at.
func (s *Service) SetScan(rows int) { s.scan = rows }
