package web

import (
	"net/http"
	"sync"
	"time"
)

// Deliveries remembers, for each source, what became of the webhooks that were sent for it. The zero value is ready for
// use, by the listener of webhooks that writes it and the pages that show it.
type Deliveries struct {
	mu      sync.Mutex
	sources map[string]DeliveryStatus
}

// DeliveryStatus is what became of the webhooks of a source since the start.
type DeliveryStatus struct {
	Accepted     int       `json:"accepted"`
	Refused      int       `json:"refused"`
	LastAccepted time.Time `json:"lastAccepted,omitzero"`
	LastRefused  time.Time `json:"lastRefused,omitzero"`
	Why          string    `json:"why,omitempty"` // the last one was refused; who sent it is not told
}

// note takes in one delivery; no is nil for one that was accepted. Sources are those of the configuration, so there
// are only so many.
func (d *Deliveries) note(source string, no *refusal) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sources == nil {
		d.sources = map[string]DeliveryStatus{}
	}
	s := d.sources[source]
	if no == nil {
		s.Accepted++
		s.LastAccepted = time.Now().UTC()
	} else {
		s.Refused++
		s.LastRefused, s.Why = time.Now().UTC(), http.StatusText(no.status)
		if no.why != nil {
			s.Why = no.why.Error()
		}
	}
	d.sources[source] = s
}

// Of returns what became of the webhooks of a source, nil where none was sent.
func (d *Deliveries) Of(source string) *DeliveryStatus {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.sources[source]; ok {
		return &s
	}
	return nil
}
