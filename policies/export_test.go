package policies

// Chosen returns the policies that apply to a change, as name:mode, in the order in which their defaults win.
func (s *Set) Chosen(ch Change, c Cluster) ([]string, error) {
	chosen, err := s.selectFor(ch, c)
	var names []string
	for _, p := range chosen {
		names = append(names, p.Name+":"+string(p.mode))
	}
	return names, err
}
