package main

import (
	"fmt"
	stdsync "sync"
	"time"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/live"
)

// note tells a person something besides what was asked for.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.stderr, "plumbline: note: %s\n", printable(fmt.Sprintf(format, args...)))
}

// quietWait is for how long a command waits for AWS's limits without a word.
const quietWait = 5 * time.Second

// tellWaiting returns what tells a person, once, why nothing happens.
func (a *app) tellWaiting(t config.Target) func(live.Attempt) {
	var mu stdsync.Mutex
	var since time.Time
	told := false
	return func(attempt live.Attempt) {
		if attempt.Class != live.Throttled {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if since.IsZero() {
			since = time.Now()
		}
		if !told && time.Since(since) >= quietWait {
			told = true
			a.note("AWS throttles the calls in %s (target %s), so they wait for their turn; Ctrl-C ends that", t.Region, t.Name)
		}
	}
}
