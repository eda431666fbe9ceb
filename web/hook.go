package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// hook is one source that can be sent webhooks.
type hook struct {
	source  string
	secret  secret
	gate    gate
	unread  rate.Sometimes // says that the secret cannot be read
	refused rate.Sometimes // says that and why a request was refused
}

// secretAge is how long a secret is used before it is read again. Requests cannot make it be read more often.
const secretAge = time.Second

// secret remembers a secret for a moment.
type secret struct {
	read func() ([]byte, error)

	mu    sync.Mutex
	value []byte
	err   error
	at    time.Time // when it was read
}

// now returns the secret as it is, or was a moment ago. Nobody writes to the slice.
func (s *secret) now() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() || time.Since(s.at) >= secretAge {
		s.value, s.err = s.read()
		s.at = time.Now()
		if s.err != nil {
			s.value = nil // an error and a value: take it for no value
		}
	}
	return s.value, s.err
}

// gate lets the first of many through at once, and the others together when gap is over. It needs no goroutine
// and at most one timer, however many knock.
type gate struct {
	gap  time.Duration
	open func()

	mu     sync.Mutex
	closed bool // it was opened less than gap ago, and a timer runs
	waits  bool // somebody knocked since
}

// knock opens the gate now or, once for all who knock until then, when gap is over.
func (g *gate) knock() {
	g.mu.Lock()
	if g.closed {
		g.waits = true
		g.mu.Unlock()
		return
	}
	g.closed = true
	g.mu.Unlock()
	time.AfterFunc(g.gap, g.over)
	g.open()
}

// over is called gap after each opening.
func (g *gate) over() {
	g.mu.Lock()
	again := g.waits
	g.waits, g.closed = false, again
	g.mu.Unlock()
	if again {
		time.AfterFunc(g.gap, g.over)
		g.open()
	}
}
