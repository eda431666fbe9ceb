package live

import (
	"context"
	"errors"
	"fmt"
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
func newRetryer() aws.Retryer {
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
		l.answered(sent, class == Throttled)
	}
}

// isCanceled reports whether err is what the SDK makes of an ended context, or a body cut off by one.
func isCanceled(err error) bool {
	return err != nil && (classify(err) == Canceled || errors.Is(err, context.DeadlineExceeded))
}
