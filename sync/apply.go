package sync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// recheck is how old the knowledge that a source has not moved may be when something is written.
const recheck = time.Minute

// apply makes the changes that nothing holds, one after the other. A plan stops each of them where the first
// write would be, so that it has made the same checks.
func (p *pass) apply(ctx context.Context) {
	for i := range p.report.Changes {
		c := &p.report.Changes[i]
		if c.Outcome != Planned {
			continue
		}
		if err := ctx.Err(); err != nil {
			c.Outcome, c.Err = Skipped, err
			continue
		}
		may := func() bool { return p.Target.Writer == nil || p.mayWrite(ctx, c) }
		if p.try(ctx, c, may) && p.Progress != nil {
			p.Progress(*c)
		}
	}
}

// try makes a change, if it still may be made, and again where AWS throttles it. It reports whether it came to that.
func (p *pass) try(ctx context.Context, c *Change, may func() bool) (tried bool) {
	planned := *c
	for may() {
		tried = true
		if p.change(ctx, c, may); !p.repeats(ctx, c) {
			break
		}
		*c = planned
	}
	return tried
}

// repeats reports whether a change is made again, from its checks on: AWS did not do it, and throttled what was asked. It ends as
// for reads, when no change got through for so long.
func (p *pass) repeats(ctx context.Context, c *Change) bool {
	if c.Outcome != Failed || live.ClassOf(c.Err) != live.Throttled || isDoubt(c.Err) {
		p.throttled = time.Time{}
		return false
	}
	if p.throttled.IsZero() {
		p.throttled = time.Now()
	}
	return ctx.Err() == nil && time.Since(p.throttled) < live.Perseverance
}

// mayWrite makes sure that its source is what the change was planned from, and that it is not too early to try again
// what has failed before.
func (p *pass) mayWrite(ctx context.Context, c *Change) bool {
	err := p.still(ctx, c)
	switch s, unread := p.suspendedNow(c.Pipeline); {
	case s != nil:
		p.holdSuspended(c, s)
		return false
	case errors.Is(err, ErrMoved):
		c.Outcome, c.Err = Skipped, err
		p.report.Err = err
		return false
	case unread != nil: // somebody may have said that it is to be left alone
		c.Outcome, c.Err = Failed, fmt.Errorf("what is suspended cannot be read: %w", unread)
		return false
	case err != nil:
		c.hold(HoldSource, "the source cannot be read now, and nothing is changed by what was read before: %v", err)
		return false
	}
	if until, err := p.Target.Memory.attempt(c); err != nil {
		c.Outcome, c.Err = Failed, err
		c.Notes = append(c.Notes, fmt.Sprintf("it failed before and is tried again after %s, or once something changes", until.UTC().Format(time.RFC3339)))
		return false
	}
	return true
}

// still makes sure that the source of a change is what was planned from: all of them for a delete, which no
// source wants. A source that is away holds nobody else's changes.
func (p *pass) still(ctx context.Context, c *Change) error {
	if p.report.Err != nil {
		return p.report.Err
	}
	if c.Verb == Release {
		return nil // whatever the files say
	}
	source := ""
	if c.wanted != nil {
		source = c.wanted.Origin.Snapshot.Source
	}
	if p.Moved == nil || c.Verb != Delete && time.Since(p.checked[source]) < recheck { // what is deleted does not come back by itself
		return nil
	}
	moved, err := p.Moved(ctx, source)
	if err != nil {
		return err
	}
	if moved {
		return ErrMoved
	}
	p.checked[source] = time.Now()
	return nil
}

// change makes one change. Once its intent is written down, cancelling does not cut it short: each call has its own limit
// of time, and half a change is worse than a late one.
func (p *pass) change(ctx context.Context, c *Change, may func() bool) {
	started := time.Now()
	defer func() {
		if p.Target.Writer != nil {
			p.Target.Memory.settled(c)
			c.Took = time.Since(started)
		}
	}()
	tags, err := p.check(ctx, c)
	switch {
	case err != nil:
		c.fail(ctx, err)
		return
	case c.Hold != HoldNone:
		c.Outcome = Held
		return
	case p.Target.Writer == nil:
		return
	case p.Target.Journal == nil:
		c.Outcome, c.Err = Failed, errors.New("there is no state folder to write down what is about to be done")
		return
	case !may(): // where AWS throttles, the checks may have taken minutes
		return
	}
	body, err := p.resolve(ctx, c, tags)
	if err != nil {
		c.fail(ctx, err)
		return
	}
	ctx = context.WithoutCancel(ctx)
	intent, err := p.Target.Journal.Intend(p.intent(c, tags))
	if err != nil {
		c.Outcome, c.Err = Failed, err
		return
	}
	c.At = time.Now()
	version, err := p.write(ctx, c, body, tags)
	c.version = version
	outcome := journal.Applied
	c.Outcome, c.Err = Applied, err
	if err != nil {
		c.Outcome, outcome = Failed, journal.Failed
		if isDoubt(err) {
			outcome = journal.Unknown
		}
	}
	if err := p.Target.Journal.Conclude(intent, outcome, version, err); err != nil {
		c.Notes = append(c.Notes, err.Error())
	}
	p.weigh(c, intent)
	fields := []zap.Field{zap.String("target", c.Target), zap.String("pipeline", c.Pipeline), zap.String("verb", string(c.Verb)),
		zap.String("cause", string(c.Cause)), zap.Int64("version", version)}
	if c.wanted != nil && c.wanted.Origin.Snapshot.Commit != "" {
		fields = append(fields, zap.String("commit", short(c.wanted.Origin.Snapshot.Commit)))
	}
	fields = append(fields, c.LogEdits()...)
	for _, note := range c.Notes {
		fields = append(fields, zap.String("note", note))
	}
	if c.Outcome == Applied {
		p.Log.Info("a change was made", fields...)
	} // a failure is the report's to tell, once
}

// fail ends a change before anything was written.
func (c *Change) fail(ctx context.Context, err error) {
	c.Outcome, c.Err = Failed, err
	if ctx.Err() != nil {
		c.Outcome, c.Err = Skipped, ctx.Err()
	}
}

// check looks again, right before the write, at everything that makes it safe: that the pipeline is still
// ours, that no execution would be cancelled, that it is still the version that was compared. It returns the
// present tags, or sets the change's hold.
func (p *pass) check(ctx context.Context, c *Change) (map[string]string, error) {
	if c.Verb == Create {
		return nil, p.checkAbsent(ctx, c)
	}
	tags, err := p.Target.Live.Tags(ctx, c.Pipeline)
	if err != nil {
		return nil, err
	}
	if owner, who := Owner(tags, p.Instance, p.Sources); owner != c.owner {
		c.Hold, c.Reason = HoldOwnership, fmt.Sprintf("it was %s when it was planned and is %s %s now; the next pass looks again", c.owner, owner, who)
		return nil, nil
	}
	// The listing of tags, from which it was planned, lags behind. That a file was removed is known of the file and the
	// commit that they name, and of no other.
	for _, key := range []string{TagSource, TagApplied} {
		if c.Verb == Delete && tags[key] != c.shown[key] {
			c.Hold, c.Reason = HoldOwnership, fmt.Sprintf("its tag %s was %q when it was planned and is %q now; the next pass looks again", key, c.shown[key], tags[key])
			return nil, nil
		}
	}
	// And another instance may be ahead after all.
	if r, ok := parseRecord(tags[TagApplied]); ok && c.wanted != nil && c.owner == Managed && !c.released {
		if c.Hold, c.Reason = c.behind(r); c.Hold != HoldNone {
			return nil, nil
		}
	}
	if c.Verb == Delete || c.Verb == Update && !c.parallel {
		if err := p.checkIdle(ctx, c); err != nil || c.Hold != HoldNone {
			return nil, err
		}
	}
	now, err := p.Target.Live.Pipeline(ctx, c.Pipeline)
	if err != nil {
		return nil, err
	}
	if now.Version != c.base.Version {
		c.Hold, c.Reason = HoldDrift, fmt.Sprintf("it moved from version %d to %d while it was planned; the next pass looks again", c.base.Version, now.Version)
		return nil, nil
	}
	if otherwise(c.base, now, c.Region) {
		p.Target.Memory.keep(c.Pipeline, now)
		c.Hold, c.Reason = HoldDrift, fmt.Sprintf("AWS shows version %d otherwise than when it was planned; the next pass looks again", now.Version)
		return nil, nil
	}
	c.base = now
	return tags, nil
}

// otherwise reports whether two readings of one version differ: AWS may have begun to show a field that an update would
// erase. A delete was planned without a reading.
func otherwise(then, now live.Pipeline, region string) bool {
	if then.Declaration == nil {
		return false
	}
	diff := differ.Compare(then.Declaration, now.Declaration, region)
	return len(diff.Edits)+len(diff.Unknown) > 0
}

// checkAbsent makes sure that a pipeline is not there. A listing without it is not enough: only AWS's own
// PipelineNotFoundException is.
func (p *pass) checkAbsent(ctx context.Context, c *Change) error {
	_, err := p.Target.Live.Pipeline(ctx, c.Pipeline)
	switch {
	case err == nil:
		c.Hold, c.Reason = HoldOwnership, "a pipeline of this name is live though the listing did not have it; the next pass looks again"
		return nil
	case live.ClassOf(err) == live.NotFound:
		return nil
	}
	return err
}

func (p *pass) checkIdle(ctx context.Context, c *Change) error {
	running, err := p.Target.Live.Running(ctx, c.Pipeline)
	if err != nil {
		return err
	}
	if len(running) == 0 {
		p.Target.Memory.idle(c.Pipeline)
		return nil
	}
	ids := make([]string, len(running))
	for i, e := range running {
		ids[i] = fmt.Sprintf("%s (%s)", e.ID, e.Status)
	}
	allowed, since := p.Target.policyFor(c.Pipeline), p.Target.Memory.busy(c.Pipeline)
	until := "it is made once the pipeline is idle"
	if allowed.maxWait > 0 && c.Verb == Update {
		until += fmt.Sprintf(", or after %s (policy.maxWait)", since.Add(allowed.maxWait).UTC().Format(time.RFC3339))
	}
	waited := allowed.maxWait > 0 && time.Since(since) >= allowed.maxWait
	if c.Verb == Update && (allowed.whenBusy == Interrupt || waited) {
		c.Cancels = ids
		c.Notes = append(c.Notes, fmt.Sprintf("it cancels %s, and AWS restarts nothing by itself", strings.Join(ids, ", ")))
		return nil
	}
	c.hold(HoldBusy, "the %s would cancel %s, and AWS restarts nothing by itself; %s", c.Verb, strings.Join(ids, ", "), until)
	return nil
}

// write makes the one attempt, settles what a lost reply leaves open, and puts the record on the pipeline. It
// returns the live version. body is what is sent, secrets included.
func (p *pass) write(ctx context.Context, c *Change, body *pipeline.Node, tags map[string]string) (int64, error) {
	switch c.Verb {
	case Create:
		return p.create(ctx, c, body)
	case Update:
		return p.update(ctx, c, body, tags)
	case Delete:
		return 0, p.delete(ctx, c)
	case Release:
		return c.base.Version, p.letGo(ctx, c, tags)
	}
	return c.base.Version, p.record(ctx, c, c.base.Version, tags)
}

func (p *pass) create(ctx context.Context, c *Change, body *pipeline.Node) (int64, error) {
	tags := p.marks(c, 1)
	reply, err := p.Target.Writer.Create(ctx, body, tags)
	if err != nil && !isDoubt(err) && live.ClassOf(err) != live.NameInUse {
		return 0, err
	}
	if err != nil {
		// The call may have happened. Whether what is live now is what we sent is told by the tags that only
		// our call carried.
		found, readErr := p.Target.Live.Pipeline(ctx, c.Pipeline)
		if readErr != nil {
			return 0, fmt.Errorf("%w; reading whether it happened: %w", err, readErr)
		}
		got, readErr := p.Target.Live.Tags(ctx, c.Pipeline)
		if readErr != nil {
			return 0, fmt.Errorf("%w; reading whether it happened: %w", err, readErr)
		}
		if got[TagManagedBy] != tags[TagManagedBy] || got[TagSource] != tags[TagSource] || got[TagApplied] != tags[TagApplied] ||
			c.wanted == nil && len(differ.Compare(c.body, found.Declaration, c.Region).Edits) > 0 { // what is restored has no record
			return 0, fmt.Errorf("%w; a pipeline of this name is there now, and it is not the one that was sent", err)
		}
		reply = found
		c.Notes = append(c.Notes, "the reply was lost; reading showed that the pipeline was created")
	}
	p.verify(c, reply, 1)
	p.remember(c, reply, tags)
	return reply.Version, nil
}

func (p *pass) update(ctx context.Context, c *Change, body *pipeline.Node, tags map[string]string) (int64, error) {
	reply, err := p.Target.Writer.Update(ctx, body)
	if err != nil && !isDoubt(err) {
		return c.base.Version, err
	}
	p.Target.Memory.fights(c.Pipeline, c.Cause == CauseUnexplained)
	if err != nil {
		found, readErr := p.Target.Live.Pipeline(ctx, c.Pipeline)
		if readErr != nil {
			return 0, fmt.Errorf("%w; reading whether it happened: %w", err, readErr)
		}
		if found.Version == c.base.Version || len(differ.Compare(c.body, found.Declaration, c.Region).Edits) > 0 {
			return found.Version, fmt.Errorf("%w; version %d is live and not what was sent", err, found.Version)
		}
		reply = found
		c.Notes = append(c.Notes, "the reply was lost; reading showed that the update was applied")
	}
	p.verify(c, reply, c.base.Version+1)
	p.remember(c, reply, tags) // even if it cannot be recorded, older reads are not believed
	if err := p.record(ctx, c, reply.Version, tags); err != nil {
		// The content is applied all the same, which is what counts; the next pass mends the record.
		c.Notes = append(c.Notes, "it is applied, but could not be recorded yet: "+err.Error())
	}
	return reply.Version, nil
}

// delete makes the one attempt. What was there is in the journal.
func (p *pass) delete(ctx context.Context, c *Change) error {
	err := p.Target.Writer.Delete(ctx, c.Pipeline)
	if err == nil {
		p.Target.Memory.deleted(c.Pipeline)
	}
	if err == nil || !isDoubt(err) {
		return err
	}
	_, readErr := p.Target.Live.Pipeline(ctx, c.Pipeline)
	switch {
	case live.ClassOf(readErr) == live.NotFound:
		p.Target.Memory.deleted(c.Pipeline)
		c.Notes = append(c.Notes, "the reply was lost; reading showed that the pipeline was deleted")
		return nil
	case readErr != nil:
		return fmt.Errorf("%w; reading whether it happened: %w", err, readErr)
	}
	return fmt.Errorf("%w; the pipeline is still there", err)
}

// verify notes what a reply shows that was not sent: another writer between our read and our write, or a
// service that made something else of the document.
func (p *pass) verify(c *Change, reply live.Pipeline, version int64) {
	if reply.Version != version {
		c.Notes = append(c.Notes, fmt.Sprintf("version %d was expected and is %d: somebody else wrote in the same moment and was overwritten; `aws codepipeline get-pipeline --region %s --name %s --pipeline-version %d` shows what they wrote",
			version, reply.Version, c.Region, c.Pipeline, reply.Version-1))
	}
	if edits := differ.Compare(c.body, reply.Declaration, c.Region).Edits; len(edits) > 0 {
		c.Notes = append(c.Notes, "AWS answered with something else than was sent: "+edits[0].Sentence())
	}
}

// record puts our tags on a pipeline, after its content is as wanted.
func (p *pass) record(ctx context.Context, c *Change, version int64, tags map[string]string) error {
	marks := p.marks(c, version)
	after := maps.Clone(tags)
	if after == nil {
		after = map[string]string{}
	}
	maps.Copy(after, marks)
	// The record goes last: once it is there, nothing tells any more which tags were still to be removed.
	if len(c.untag) > 0 {
		if err := p.Target.Writer.Untag(ctx, c.Pipeline, c.untag); err != nil {
			return err
		}
		for _, key := range c.untag {
			delete(after, key)
		}
	}
	if len(marks) > 0 {
		if err := p.Target.Writer.Tag(ctx, c.Pipeline, marks); err != nil {
			return err
		}
	}
	p.remember(c, live.Pipeline{Version: version}, after)
	return nil
}

// marks are the tags to set: the file's, and ours. What is restored says nothing of a file.
func (p *pass) marks(c *Change, version int64) map[string]string {
	if c.wanted == nil {
		return c.tags
	}
	snapshot := c.wanted.Origin.Snapshot
	r := record{Version: version, Digest: c.wanted.Document.Digest(), Commit: noCommit, Time: snapshot.Time}
	if snapshot.Commit != "" {
		r.Commit = snapshot.Commit[:12]
	}
	tags := maps.Clone(c.tags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags[TagManagedBy], tags[TagSource], tags[TagApplied] = p.Instance, c.wanted.sourceTag(), r.String()
	if c.seal != "" {
		tags[TagSecrets] = c.seal
	}
	return tags
}

func (p *pass) remember(c *Change, now live.Pipeline, tags map[string]string) {
	s := live.Summary{Name: c.Pipeline, Version: now.Version, Created: now.Created, Updated: time.Now(), Tags: tags}
	if l := p.listed[c.Pipeline]; l != nil {
		s.Created, s.Type, s.Mode = l.Created, l.Type, l.Mode
	}
	p.Target.Memory.wrote(s)
}

// isDoubt reports whether a write with this error may have happened all the same.
func isDoubt(err error) bool {
	var e *live.Error
	return errors.As(err, &e) && e.Doubt
}
