package live

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/plumbline/plumbline/pipeline"
)

// call makes one call of an operation about a pipeline ("" for none). It sends body, or the SDK's own body
// for nil, and has read decode and check the reply. Reads are retried; a write is sent at most once. Every
// error is an [*Error].
func (r *Reader) call(ctx context.Context, op *operation, name string, body *pipeline.Node, read func([]byte) error) error {
	x := &exchange{op: op, read: read}
	if body != nil {
		x.body = body.JSON()
	}
	retryer := r.newRetries(ctx, op)
	if op.write {
		retryer, ctx = aws.NopRetryer{}, WithPurpose(ctx, Apply)
	}
	step := r.newAttempt(op.name, r.limitersOf(op)...)
	err := op.send(ctx, r, retryer, func(stack *middleware.Stack) error {
		if err := step.add(stack); err != nil {
			return err
		}
		return x.rewire(stack)
	})
	if err == nil {
		return nil
	}
	return r.failure(ctx, x, name, body, err)
}

// limitersOf returns the allowances that an attempt pays, the scarcest first.
func (r *Reader) limitersOf(op *operation) []*limiter {
	switch {
	case op.service == taggingService:
		return []*limiter{r.tags}
	case op.service == secretsService || op.service == parametersService:
		return []*limiter{r.vault}
	case op.service == trailService:
		return []*limiter{r.lookups}
	case op.service == queueService:
		return []*limiter{r.polls}
	case op.service == stsService:
		return []*limiter{r.identities}
	case op.write:
		return []*limiter{r.writes, r.common}
	}
	return []*limiter{r.common}
}

// failure turns whatever the SDK returned into the error that callers see.
func (r *Reader) failure(ctx context.Context, x *exchange, name string, body *pipeline.Node, err error) *Error {
	e := &Error{}
	var ours *Error
	var creds *credentialsError
	switch {
	case errors.As(err, &creds):
		e.Class, e.Err = credentialsClass(ctx, creds), creds
	case errors.As(err, &ours) && (x.refused || ctx.Err() == nil):
		*e = *ours
	case ctx.Err() != nil:
		e.Class, e.Err = Canceled, context.Cause(ctx)
	default:
		e.Class, e.Err = classify(err), shortCause(err)
	}
	e.Operation, e.Pipeline, e.Region = x.op.name, name, r.cfg.Region
	e.Message = clean(strings.NewReplacer(secretsOf(body)...).Replace(e.Message))
	if expiredCodes[e.Code] {
		r.renewCredentials()
	}
	e.Doubt = x.op.write && x.sent && !x.refused && !neverSent(err)
	return e
}

// shortCause leaves out what the SDK wraps around a cause and what our own message says already.
func shortCause(err error) error {
	var sending *smithyhttp.RequestSendError
	var operation *smithy.OperationError
	switch {
	case errors.As(err, &sending):
		return sending.Err
	case errors.As(err, &operation):
		return operation.Err
	}
	return err
}
