// Package sync makes live pipelines what the repository says: it decides what differs and why, what may be
// written, and writes it, one target (an account and region) at a time.
//
// [Pass] is the whole of it: an ordinary function from values to a [Report]. The command line, the daemon and
// the tests call the same function; a plan is a pass of a target that has no Writer.
//
//	Read      the snapshots' files, parsed once            desired.go
//	Tree.For  what they want of one target                 desired.go
//	judge     the table that decides: status, verb, hold   judge.go
//	plan      one pipeline's facts, gathered and judged    plan.go
//	apply     the checks before a write, the write, the doubt after it, the record   apply.go
//
// What was last applied is not kept in a database but in three tags of the live pipeline itself (record.go),
// so a pass after a restart, on another machine or of another instance knows the same as the one before.
//
// The package's name is the standard library's too. In files that import both, the standard one is stdsync.
package sync

import (
	"context"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// Reader is what a pass sees of a target. Every method may be called again and from several goroutines; an
// answer is whole or it is an error, and an error never means that something is absent, unless
// [live.ClassOf] says [live.NotFound].
type Reader interface {
	// Identity returns whose credentials these are. It fails if that is not the configured account.
	Identity(ctx context.Context) (live.Identity, error)
	// Inventory returns all pipelines of the target. Tags that it could not see are nil.
	Inventory(ctx context.Context) (live.Inventory, error)
	// Pipeline returns one pipeline as it is now.
	Pipeline(ctx context.Context, name string) (live.Pipeline, error)
	// Tags returns the tags of one pipeline as they are now, never nil without an error.
	Tags(ctx context.Context, name string) (map[string]string, error)
	// Types returns the types of actions and rules that the target has.
	Types(ctx context.Context) (*pipeline.Types, error)
	// Running returns the executions that an update would cancel.
	Running(ctx context.Context, name string) ([]live.Execution, error)
	// SecretVersion returns the version of a secret that a reference means now, without reading its value.
	SecretVersion(ctx context.Context, ref pipeline.Reference) (string, error)
}

// Writer makes one attempt per call. After an error that is a doubt (see [live.Error]) the call may or may not
// have happened; the caller reads before it does anything else.
type Writer interface {
	Create(ctx context.Context, declaration *pipeline.Node, tags map[string]string) (live.Pipeline, error)
	Update(ctx context.Context, declaration *pipeline.Node) (live.Pipeline, error)
	Delete(ctx context.Context, name string) error
	Tag(ctx context.Context, name string, tags map[string]string) error
	Untag(ctx context.Context, name string, keys []string) error
	// Secret returns what a reference stands for, for a Create or an Update at once, and its version. It may be asked
	// again. The value is in no error.
	Secret(ctx context.Context, ref pipeline.Reference) (value, version string, err error)
}
