package emulator

import (
	"slices"
	"time"
)

const maxCalls = 100_000 // kept in the history

// Call is one request in the history.
type Call struct {
	Time      time.Time `json:"time"` // of arrival, by Options.Now
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	Operation string    `json:"operation"`
	Pipeline  string    `json:"pipeline,omitempty"` // empty: the request names none
	Secret    string    `json:"secret,omitempty"`   // the name or ARN of the secret or parameter that the request names; never its value
	Status    int       `json:"status"`             // HTTP status sent; 0: no reply was sent
	Code      string    `json:"code,omitempty"`     // error code sent
	Fault     string    `json:"fault,omitempty"`    // actions of the faults that hit it, joined by "+"
}

// Calls returns the history, oldest first: the last 100,000 calls.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls[max(0, len(s.calls)-maxCalls):])
}

// ResetCalls empties the history.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

func (s *Server) record(c *call, r reply) {
	rec := c.record
	if r.fate == delivered || r.fate == cut {
		rec.Status, rec.Code = r.status, r.code
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) == 2*maxCalls { // trimmed seldom, so that a call costs the same however long the history is
		s.calls = slices.Clone(s.calls[maxCalls:])
	}
	s.calls = append(s.calls, rec)
}
