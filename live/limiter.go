package live

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// How a limiter gives way. AWS publishes no rates, and other clients of the account spend from the same
// allowance, so the right rate is found out: halved when throttled, raised by a tenth of the configured rate
// with each answer, but for a minute only up to a little below the rate that was too high, and slowly from there. From the
// floor it takes ten answers to be back.
const (
	slowestShare = 16 // the slowest rate is this part of the configured one
	recoverySpan = 10 // answers from nothing to the configured rate
	careful      = 32 // close to the rate that was too high it takes so many times as many
	lately       = time.Minute
	nearby       = 7. / 8
)

// limiter hands out the turns of one allowance of requests: a token bucket, and before it a queue for each
// purpose. (x/time/rate has one queue, in which a place is final.) It is safe for concurrent use, has no goroutine,
// and a timer only while somebody waits.
type limiter struct {
	full  float64 // requests a second, as configured
	burst int
	log   *zap.Logger

	mu      sync.Mutex
	rate    float64   // the present one, at most full
	lowered time.Time // when it was lowered last
	tooHigh float64   // the rate that was lowered then
	tokens  float64   // turns that may be taken at once, as of filled
	filled  time.Time
	waiting [purposes][]chan struct{} // each closed when its turn has come; in order of arrival
	passed  [purposes]int             // turns that the others got while this one waited, since its own last
	timer   *time.Timer               // of the next turn
	trouble map[string]time.Time      // :: operation → since when every answer was that it is throttled
	spent   ledger
}

func newLimiter(perSecond float64, burst int, log *zap.Logger) *limiter {
	return &limiter{full: perSecond, burst: burst, log: log, rate: perSecond, tokens: float64(burst), filled: time.Now()}
}

// wait blocks until it is the turn of a request with ctx's purpose. It fails when ctx ends, or at once when the
// turn would come too late for ctx's deadline.
func (l *limiter) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	turn, err := l.join(ctx)
	if err != nil {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		l.leave(purposeOf(ctx), turn)
		return ctx.Err()
	}
}

// join takes a place in a queue.
func (l *limiter) join(ctx context.Context) (turn chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fillLocked()
	queue := &l.waiting[purposeOf(ctx)]
	// Those before it in its own queue go first in any case; how many of the others do, nobody knows yet.
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < l.untilLocked(len(*queue)+1) {
		return nil, fmt.Errorf("waiting for a turn: %w", context.DeadlineExceeded)
	}
	turn = make(chan struct{})
	*queue = append(*queue, turn)
	l.serveLocked()
	return turn, nil
}

// leave gives up a place, or the turn that came at the same moment.
func (l *limiter) leave(p Purpose, turn chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting[p], turn); i >= 0 {
		l.waiting[p] = slices.Delete(l.waiting[p], i, i+1)
	} else {
		l.tokens++
	}
	l.serveLocked()
}

// refund takes back a turn that was not used.
func (l *limiter) refund() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens++
	l.serveLocked()
}

// serve hands out the turns that have come.
func (l *limiter) serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serveLocked()
}

func (l *limiter) serveLocked() {
	l.fillLocked()
	p, found := l.nextLocked()
	for ; found && l.untilLocked(l.needLocked(p)) == 0; p, found = l.nextLocked() {
		l.tokens--
		close(l.waiting[p][0])
		l.waiting[p] = slices.Delete(l.waiting[p], 0, 1)
		l.passed[p] = 0
		for other := range l.waiting {
			if len(l.waiting[other]) > 0 && Purpose(other) != p {
				l.passed[other]++
			}
		}
	}
	switch {
	case l.timer == nil && found:
		l.timer = time.AfterFunc(l.untilLocked(l.needLocked(p)), l.serve)
	case found:
		l.timer.Reset(l.untilLocked(l.needLocked(p)))
	case l.timer != nil:
		l.timer.Stop()
	}
}

// nextLocked returns whose turn is next: the most urgent one's that waits, unless another has waited for longer
// than its floor allows.
func (l *limiter) nextLocked() (next Purpose, found bool) {
	for i := range l.waiting {
		p := Purpose(i)
		if len(l.waiting[p]) > 0 && (!found || l.passed[p] >= floor && l.passed[p] > l.passed[next]) {
			next, found = p, true
		}
	}
	return next, found
}

// needLocked is how many turns must be there for the next of a purpose to be taken. Following executions never ends, and would
// keep the bucket empty: what it leaves is for a change that somebody pushes, to go out at once. Where others are ahead all the time,
// its floor counts instead.
func (l *limiter) needLocked(p Purpose) int {
	if p != Executions || l.passed[p] >= floor {
		return 1
	}
	return 1 + max(0, min(reserve, int(l.depthLocked())-1))
}

func (l *limiter) fillLocked() {
	now := time.Now()
	l.tokens = min(l.tokens+l.rate*now.Sub(l.filled).Seconds(), l.depthLocked())
	l.filled = now
}

// depthLocked is how many turns may be saved up. While the rate is reduced that is one, or the first calm second
// would bring a burst that is throttled again.
func (l *limiter) depthLocked() float64 {
	if l.rate < l.full {
		return 1
	}
	return float64(l.burst)
}

// untilLocked returns how long it takes until n turns may be taken, of a bucket that was just filled.
func (l *limiter) untilLocked(n int) time.Duration {
	short := float64(n) - l.tokens
	if short < 1e-6 { // which is what sums of fractions miss by
		return 0
	}
	return time.Duration(min(math.Ceil(short/l.rate*float64(time.Second)), math.MaxInt64/2))
}

// answered is told of every attempt that got an answer, and when that attempt was sent. Several requests that
// were under way together and are throttled together lower the rate once.
func (l *limiter) answered(operation string, sent time.Time, throttled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !throttled {
		delete(l.trouble, operation)
		if l.rate < l.full {
			const step = 1. / recoverySpan
			next := l.rate + l.full*step
			if near := l.tooHigh * nearby; next > near && time.Since(l.lowered) < lately {
				next = max(near, l.rate+l.full*step/careful)
			}
			l.setLocked(min(l.full, next))
		}
		return
	}
	now := time.Now()
	if _, already := l.trouble[operation]; !already {
		if l.trouble == nil {
			l.trouble = map[string]time.Time{}
		}
		l.trouble[operation] = now
	}
	l.spent.at(now).throttled++
	l.spent.last = now
	if sent.Before(l.lowered) {
		return
	}
	l.lowered, l.tooHigh = now, l.rate
	if l.rate == l.full {
		l.log.Info("throttled by AWS, slowing down", zap.Float64("requests_per_second", l.full/2))
	}
	l.setLocked(max(l.full/slowestShare, l.rate/2))
}

// throttledFor returns for how long an operation has only been throttled.
func (l *limiter) throttledFor(operation string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	since, is := l.trouble[operation]
	if !is {
		return 0
	}
	return time.Since(since)
}

// setLocked changes the rate, from now on.
func (l *limiter) setLocked(rate float64) {
	l.fillLocked()
	l.rate = rate
	l.serveLocked()
}
