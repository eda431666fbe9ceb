package metrics

import (
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/live"
)

// attempts counts the requests of one target. They come while a pass runs, so they are no part of a snapshot;
// and they come before it is known whose account it is, so they are counted here and get their labels later.
type attempts struct {
	waits prometheus.Histogram

	mu     sync.Mutex
	counts map[string]*requests // :: operation → its requests
}

type requests struct {
	total    int
	failures map[live.Class]int
}

func newAttempts() *attempts {
	return &attempts{
		waits:  prometheus.NewHistogram(histogramOpts(awsLimiterWait)),
		counts: map[string]*requests{},
	}
}

// note counts an attempt and reports whether a request was sent at all.
func (a *attempts) note(attempt live.Attempt) (sent bool) {
	a.waits.Observe(attempt.Waited.Seconds())
	if attempt.Class == live.Canceled && attempt.Took == 0 {
		return false // the pass ended while this one waited for its turn
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.counts[attempt.Operation]
	if r == nil {
		r = &requests{failures: map[live.Class]int{}}
		a.counts[attempt.Operation] = r
	}
	r.total++
	if attempt.Class != "" {
		r.failures[attempt.Class]++
	}
	return true
}

// render adds the series as they are now. The lock is not held while anybody reads them.
func (a *attempts) render(out *samples, of *labels) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, op := range slices.Sorted(maps.Keys(a.counts)) {
		r := a.counts[op]
		operation := with(of, pair("operation", op))
		out.add(awsRequests, operation, float64(r.total))
		for _, c := range classes {
			out.add(awsRequestFailures, with(operation, pair("reason", string(c))), float64(r.failures[c]))
		}
	}
}
