package live

import "time"

// BudgetSpan is the time of which a Budget tells what was spent.
const BudgetSpan = 10 * time.Minute

// Budget is a target's allowance of requests to CodePipeline at one moment, and what it was spent on lately.
type Budget struct {
	PerSecond float64 // requests a second, as configured
	Burst     int     // requests that may be made at once after a calm, as configured
	Rate      float64 // requests a second at present: lower than PerSecond while AWS throttles, and for ten answers after
	Waiting   int     // requests that wait for their turn

	// Attempts that were sent within BudgetSpan, by what they serve, to the minute.
	Apply, Drift, Executions int
	// Throttled are the answers within BudgetSpan that said there were too many. LastThrottled is when the last one came
	// since the start; zero for never.
	Throttled     int
	LastThrottled time.Time
}

// Sent is how many attempts were sent within BudgetSpan.
func (b Budget) Sent() int { return b.Apply + b.Drift + b.Executions }

// Budget returns what became of r's allowance of requests.
func (r *Reader) Budget() Budget { return r.common.budget() }

// ledger notes what turns were spent on, minute by minute.
type ledger struct {
	slots [BudgetSpan / time.Minute]slot
	last  time.Time // throttled
}

type slot struct {
	minute    int64
	sent      [purposes]int
	throttled int
}

// at returns the slot of a time, emptied where it was another minute's.
func (g *ledger) at(t time.Time) *slot {
	minute := t.Unix() / 60
	s := &g.slots[minute%int64(len(g.slots))]
	if s.minute != minute {
		*s = slot{minute: minute}
	}
	return s
}

// sent is told of every attempt that has got its turn.
func (l *limiter) sent(p Purpose) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spent.at(time.Now()).sent[p]++
}

func (l *limiter) budget() Budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := Budget{PerSecond: l.full, Burst: l.burst, Rate: l.rate, LastThrottled: l.spent.last}
	for _, queue := range l.waiting {
		b.Waiting += len(queue)
	}
	now := time.Now().Unix() / 60
	for _, s := range l.spent.slots {
		if s.minute <= now-int64(len(l.spent.slots)) {
			continue
		}
		b.Apply, b.Drift, b.Executions = b.Apply+s.sent[Apply], b.Drift+s.sent[Drift], b.Executions+s.sent[Executions]
		b.Throttled += s.throttled
	}
	return b
}
