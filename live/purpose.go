package live

import "context"

// Purpose is what a request serves. Where requests wait for their turn, it decides which goes first.
type Purpose int

// The purposes, the most urgent first. Whatever the others ask for, each one that waits gets a quarter of the
// turns at least: a storm of changes must not blind the daemon to drift, nor to executions that fail.
const (
	Apply      Purpose = iota // to write a change, with the reads that make it safe; every write is for this
	Drift                     // to see what is live; what a request is for unless somebody says otherwise
	Executions                // to follow executions
	purposes
)

// floor is how many turns others get at most before it is the turn of one that has waited meanwhile: one in four.
const floor = 3

// reserve is how many turns that could be taken at once are left by what follows executions: the six of a change, and two that
// executions get meanwhile.
const reserve = 8

type purposeKey struct{}

// WithPurpose makes the requests under a context serve a purpose.
func WithPurpose(ctx context.Context, p Purpose) context.Context {
	return context.WithValue(ctx, purposeKey{}, p)
}

func purposeOf(ctx context.Context) Purpose {
	if p, ok := ctx.Value(purposeKey{}).(Purpose); ok {
		return p
	}
	return Drift
}
