package live

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// How a limiter gives way. AWS publishes no rates, and other clients of the account spend from the same
// allowance, so the right rate is found out: halved when throttled, raised by a tenth of the configured rate
// with each answer. From the floor it takes ten answers to be back.
const (
	slowestShare = 16 // the slowest rate is this part of the configured one
	recoverySpan = 10 // answers from nothing to the configured rate
)

// limiter hands out the turns of one allowance of requests. It is safe for concurrent use.
type limiter struct {
	bucket *rate.Limiter
	full   rate.Limit // requests a second, as configured
	burst  int
	log    *zap.Logger

	mu      sync.Mutex
	rate    rate.Limit // the present one, at most full
	lowered time.Time  // when it was lowered last
}

func newLimiter(perSecond float64, burst int, log *zap.Logger) *limiter {
	full := rate.Limit(perSecond)
	return &limiter{bucket: rate.NewLimiter(full, burst), full: full, burst: burst, log: log, rate: full}
}

// wait blocks until it is the caller's turn. It fails when ctx ends, or at once when the turn would come too
// late for ctx's deadline.
func (l *limiter) wait(ctx context.Context) error {
	err := l.bucket.Wait(ctx)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("waiting for a turn: %w", context.DeadlineExceeded)
	}
	return err
}

// answered is told of every attempt that got an answer, and when that attempt was sent. Several requests that
// were under way together and are throttled together lower the rate once.
func (l *limiter) answered(sent time.Time, throttled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !throttled {
		if l.rate < l.full {
			l.setLocked(min(l.full, l.rate+l.full/recoverySpan))
		}
		return
	}
	if sent.Before(l.lowered) {
		return
	}
	l.lowered = time.Now()
	if l.rate == l.full {
		l.log.Info("throttled by AWS, slowing down", zap.Float64("requests_per_second", float64(l.full)/2))
	}
	l.setLocked(max(l.full/slowestShare, l.rate/2))
}

// setLocked changes the rate. While it is reduced nothing is saved up, or the first calm second would bring
// a burst that is throttled again.
func (l *limiter) setLocked(r rate.Limit) {
	l.rate = r
	l.bucket.SetLimit(r)
	if r < l.full {
		l.bucket.SetBurst(1)
	} else {
		l.bucket.SetBurst(l.burst)
	}
}
