package emulator

// emit is told of every change of state of an execution, a stage or an action, in the order in which they happen and
// with the lock held. It may keep the transition.
func (s *Server) emit(transition) {}
