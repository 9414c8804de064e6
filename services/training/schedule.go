package training

func (s *Service) keepSchedules() {}
