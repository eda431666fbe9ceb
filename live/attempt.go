package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
)

// newRetryer returns the retries of reads: the SDK's standard back-off and its quota, at most three attempts,
// and our own idea of what is worth one. The SDK's would repeat an exhausted quota and would not repeat a bare
// status 429, a truncated reply or a reply without its list. Clock skew is recognised by the SDK itself and
// comes with its own mark.
func newRetryer() *retry.Standard {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Retryables = []retry.IsErrorRetryable{
			retry.RetryableError{},
			retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
				var creds *credentialsError // has had its own retries
				return aws.BoolTernary(retriedAtOnce(classify(err)) && !errors.As(err, &creds))
			}),
		}
	})
}

// Perseverance is for how long a read that AWS throttles is tried again. It is counted for each operation, from when its
// latest calls were throttled and none was answered: where nothing gets through any more, one call waits so long and the
// others fail at once, and where something does, all get their turn.
const Perseverance = 2 * time.Minute

// retries are those of one read. Being throttled is no failure of it, but a turn that came too early: the SDK's quota and
// its three attempts, which a fleet uses up within seconds, are for everything else.
type retries struct {
	aws.RetryerV2
	limiter   *limiter
	operation string
	patient   bool
	failed    int // attempts
}

func (r *Reader) newRetries(ctx context.Context, op *operation) aws.Retryer {
	return &retries{
		RetryerV2: r.retryer, limiter: r.limitersOf(op)[0], operation: op.name,
		// A call that cannot be called off is not to wait for long, and nobody needs to know at once who did something.
		patient: !r.cfg.Hasty && ctx.Done() != nil && op.service != trailService,
	}
}

func (*retries) MaxAttempts() int { return 0 } // as many as are worth it

func (r *retries) persist(err error) bool {
	return r.patient && classify(err) == Throttled && r.limiter.throttledFor(r.operation) < Perseverance
}

// IsErrorRetryable is asked once for each attempt that fails.
func (r *retries) IsErrorRetryable(err error) bool {
	if r.persist(err) {
		return true
	}
	r.failed++
	return r.failed < r.RetryerV2.MaxAttempts() && r.RetryerV2.IsErrorRetryable(err)
}

func (r *retries) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	if r.persist(err) {
		return func(error) error { return nil }, nil
	}
	return r.RetryerV2.GetRetryToken(ctx, err)
}

// RetryDelay leaves it to the limiter, which has just slowed down, when a throttled call is sent again; a part of a second
// more keeps two daemons out of step.
func (r *retries) RetryDelay(attempt int, err error) (time.Duration, error) {
	if r.persist(err) {
		return rand.N(200 * time.Millisecond), nil
	}
	return r.RetryerV2.RetryDelay(max(1, min(attempt, r.failed)), err)
}

// attempt is the step inside the retry loop: every attempt waits for its turn and has its own deadline. The
// SDK has no deadline for a reply, so a hung server would hold a call for ever.
type attempt struct {
	operation string
	limiters  []*limiter
	timeout   time.Duration
	observe   func(Attempt)
}

func (r *Reader) newAttempt(operation string, limiters ...*limiter) *attempt {
	return &attempt{operation, limiters, r.cfg.Timeout, r.cfg.Observe}
}

// add puts the step directly behind the retry loop, before the request is signed: a signature made before a
// long wait would be stale.
func (a *attempt) add(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("PlumblineAttempt", a.handle), "Retry", middleware.After)
}

func (a *attempt) handle(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	out middleware.FinalizeOutput, md middleware.Metadata, err error,
) {
	start := time.Now()
	for i, l := range a.limiters {
		if err = l.wait(ctx); err != nil {
			for _, paid := range a.limiters[:i] {
				paid.refund()
			}
			a.observe(Attempt{Operation: a.operation, Waited: time.Since(start), Class: Canceled})
			return out, md, err
		}
	}
	for _, l := range a.limiters {
		l.sent(purposeOf(ctx))
	}
	turn := time.Now()
	bounded, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	out, md, err = next.HandleFinalize(bounded, in)
	if ctx.Err() == nil && bounded.Err() != nil && isCanceled(err) {
		err = &Error{Class: Unavailable, Message: fmt.Sprintf("no reply within %s", a.timeout)}
	}
	class := Class("")
	if err != nil {
		class = classify(err)
	}
	told, _ := awsmiddleware.GetServerTime(md)
	a.observe(Attempt{Operation: a.operation, Waited: turn.Sub(start), Took: time.Since(turn), Class: class, ServerTime: told})
	a.settle(turn, class)
	return out, md, err
}

// settle tells the limiters what came back. No answer at all tells nothing about the allowance.
func (a *attempt) settle(sent time.Time, class Class) {
	if class == Unavailable || class == Canceled {
		return
	}
	for _, l := range a.limiters {
		l.answered(a.operation, sent, class == Throttled)
	}
}

// isCanceled reports whether err is what the SDK makes of an ended context, or a body cut off by one.
func isCanceled(err error) bool {
	return err != nil && (classify(err) == Canceled || errors.Is(err, context.DeadlineExceeded))
}
