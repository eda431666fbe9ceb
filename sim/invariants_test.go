package sim

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// invariant is one rule that is true of every history.
type invariant struct {
	id, says string
	check    func(*checker)
}

// invariants are those of a daemon's acts. A number that is missing has no place in a simulation of sources, AWS and
// state: I11, I32, I41 and I43 are not built; I24 is TestManyTargets of sync; I29 (bad configuration), I34 (blobs of the
// commit only), I36 and I40 (webhooks and pages), I38 (nothing is run), I39 (TLS) and I42 (foreign text) have their
// tests in cmd/plumbline, source, web and live; I30 is I27 where processes are killed and states lost; I28 is I27 too,
// since nobody is ever told of a commit here.
var invariants = []invariant{
	{"I1", "nothing is written to a pipeline whose tags were not read as ours in the same attempt", (*checker).ownership},
	{"I2", "a pipeline of nobody becomes ours only as the policy says", (*checker).adoption},
	{"I3", "nothing is deleted where prune is off", (*checker).pruneOff},
	{"I4", "deletes stay within their cap, also over 24 hours", (*checker).deleteCap},
	{"I5", "the last pipeline of a target, and all of a source, are not deleted", (*checker).lastOne},
	{"I6", "a delete has its grace and its history behind it, and what took its place is there", (*checker).evidence},
	{"I7", "a broken file changes nothing, and nothing of its source is deleted", (*checker).broken},
	{"I8", "a source that cannot be read changes nothing", (*checker).unread},
	{"I9", "what cannot be seen is neither created nor deleted, and an update has its own fresh read", (*checker).unseen},
	{"I10", "creates and updates stay within their caps, and what somebody deleted is not created in mode apply", (*checker).caps},
	{"I12", "what is overwritten or deleted is on the disk before", (*checker).saved},
	{"I13", "what the configuration does not reach any more is not deleted", (*checker).unreached},
	{"I14", "a write is attempted once, and after doubt comes a read", (*checker).once},
	{"I15", "one write at a time", func(*checker) {}}, // told while the history is replayed
	{"I16", "what is as wanted is not written, and at the end nothing is", (*checker).idle},
	{"I17", "only the version that was read is overwritten, and what came between is told", (*checker).version},
	{"I18", "what is written is what the file says at a commit that was looked at just before", (*checker).content},
	{"I19", "a field that we do not know is not erased", (*checker).unknownFields},
	{"I20", "a masked secret is not sent with another change of its action", (*checker).masks},
	{"I21", "no execution is cancelled beyond the policy", (*checker).busy},
	{"I22", "executions are nobody's business but CodePipeline's", (*checker).operations},
	{"I23", "writes go to configured targets, of sources that may touch them, with a known account", (*checker).places},
	{"I25", "every write has its intent on the disk, and every intent its outcome in the end", (*checker).intents},
	{"I26", "nothing is written where the mode is detect, the target readOnly, or a person has said so", (*checker).observing},
	{"I27", "in the calm everything becomes as the files say, or is held for a reason that is true", (*checker).converged},
	{"I31", "nobody reverts for ever", (*checker).fights},
	{"I33", "no secret appears anywhere", (*checker).secrets},
	{"I35", "no file names a role outside of the fence", (*checker).fenced},
	{"I37", "a listing has an end", (*checker).pages},
}

// each calls do for every write, or every change of content.
func (c *checker) each(do func(w *write)) {
	for _, w := range c.writes {
		do(w)
	}
}

func (c *checker) eachChange(do func(w *write)) {
	for _, w := range c.writes {
		if w.changes() {
			do(w)
		}
	}
}

// happened reports whether a write was made, as far as its process could know at best: it was, or its reply was lost. Of half a
// reply the status is known.
func (w *write) happened() bool { return w.effect != nil || w.ok() || w.status == 0 && w.said < 300 }

// fresh reports whether something was read in the attempt that a write belongs to: since the write and the report before
// it in its region.
func (c *checker) fresh(w *write, event int) bool { return event > 0 && event >= w.sight.attempt }

// began is when the checks right before a write began.
func (c *checker) began(w *write) event {
	at := w.sight.tagsAt
	if w.op == "CreatePipeline" {
		at = w.sight.getAt
	}
	if !c.fresh(w, at) {
		at = w.sent
	}
	return c.events[at]
}

// wanted is what the looks of a write say of its pipeline: the latest one of the source that has it.
func (w *write) wanted() (source string, latest seen, ok bool) {
	for name, looks := range w.looks {
		for _, l := range slices.Backward(looks) {
			if l.commit != nil && l.whole {
				if l.commit.stands(w.pipeline) {
					return name, l, true
				}
				break
			}
		}
	}
	return "", seen{}, false
}

// files is what the latest looks of a write show of its pipeline.
func (w *write) files() string {
	var found []string
	for source, looks := range w.looks {
		for _, l := range slices.Backward(looks) {
			if l.commit == nil || !l.whole {
				continue
			}
			for path, f := range l.commit.files {
				if f.name == w.pipeline {
					found = append(found, fmt.Sprint(source, path, f.text()))
				}
			}
			break
		}
	}
	slices.Sort(found)
	return strings.Join(found, "\n")
}

func (c *checker) ownership() {
	c.each(func(w *write) {
		if w.op == "CreatePipeline" {
			if !bytes.Contains(w.body, []byte(`"plumbline:managed-by"`)) {
				c.fail("I1", w.pipeline, w.sent, "a create without the mark by which it is ours")
			}
			return
		}
		if c.recordOf(w) != nil {
			return // it is the record of a create or an update that was just made
		}
		tags := w.sight.tags
		switch by := tags["plumbline:managed-by"]; {
		case !c.fresh(w, w.sight.tagsAt):
			c.fail("I1", w.pipeline, w.sent, "%s though its tags were not read in the same attempt", w.op)
		case by != "" && !c.ours(w.view, tags), by == "" && hasPrefix(tags, "aws:cloudformation:"):
			c.fail("I1", w.pipeline, w.sent, "%s of a pipeline of somebody else: %v", w.op, tags)
		}
	})
}

func hasPrefix(tags map[string]string, prefix string) bool {
	for k := range tags {
		if strings.HasPrefix(k, prefix) {
			return true
		}
	}
	return false
}

// recordOf returns the update that a write of tags belongs to, nil for none.
func (c *checker) recordOf(w *write) *write {
	b := w.before
	for b != nil && b.op == "UntagResource" { // goes before
		b = b.before
	}
	if !w.changes() && b != nil && b.proc == w.proc && b.op == "UpdatePipeline" && w.intent != nil && w.intent == b.intent {
		return b
	}
	return nil
}

func (c *checker) adoption() {
	c.each(func(w *write) {
		if w.op == "CreatePipeline" || w.set == nil || w.sight.tags["plumbline:managed-by"] != "" || c.recordOf(w) != nil || w.sight.tagsAt == 0 {
			return
		}
		same := slices.ContainsFunc(c.basis(w), func(l seen) bool { // so far as we know
			_, f, ok := l.commit.wanted(w.pipeline)
			return ok && gist([]byte(f.text())) == gist(known(w.sight.doc))
		})
		switch {
		case w.op == "DeletePipeline":
			c.fail("I2", w.pipeline, w.sent, "a pipeline of nobody is deleted")
		case w.set.adopt == sync.AdoptNever, w.set.adopt == sync.AdoptIdentical && !same:
			c.fail("I2", w.pipeline, w.sent, "%s adopts a pipeline of nobody (identical: %v) where adopt is %s", w.op, same, w.set.adopt)
		}
	})
}

func (c *checker) pruneOff() {
	c.eachChange(func(w *write) {
		if w.op == "DeletePipeline" && (w.set == nil || !w.set.prune) {
			c.fail("I3", w.pipeline, w.sent, "a delete where prune is off")
		}
	})
}

func (c *checker) deleteCap() {
	c.eachChange(func(w *write) {
		if w.op != "DeletePipeline" || w.set == nil {
			return
		}
		n, most := 0, len(w.ours)
		for _, other := range c.writes {
			// Where clocks jump, a process cannot know how long ago it was that another one wrote a line.
			same := other.proc == w.proc || other.proc.of == w.proc.of && !c.w.on["jump"]
			if other.op == "DeletePipeline" && other.region == w.region && same && other.sent <= w.sent && w.at.Sub(other.at) < 24*time.Hour {
				most = max(most, len(other.ours))
				if other.happened() {
					n++
				}
			}
		}
		// How many are managed counts when the pass begins; some may have come and gone since.
		if limit := min(w.set.limits.Deletes, max(1, (most+2)*w.set.limits.DeletesPercent/100)); n > limit {
			c.fail("I4", w.pipeline, w.sent, "%d deletes within 24 hours, and %d are allowed", n, limit)
		}
	})
}

func (c *checker) lastOne() {
	c.eachChange(func(w *write) {
		if w.op != "DeletePipeline" {
			return
		}
		left := map[string]bool{}
		for name, tags := range w.list.tags {
			left[name] = c.ours(w.view, tags)
		}
		for _, other := range w.view.writes { // older reads are not believed for a while
			if other.region == w.region && other.sent < w.sent && w.at.Sub(other.at) < 6*time.Minute {
				left[other.pipeline] = other.op != "DeletePipeline"
			}
		}
		delete(left, w.pipeline)
		maps.DeleteFunc(left, func(_ string, is bool) bool { return !is })
		if len(left) == 0 && w.list.tags != nil && len(w.ours) <= 1 {
			c.fail("I5", w.pipeline, w.sent, "the last pipeline of %s is deleted", w.region)
		}
		source, _, _ := strings.Cut(w.sight.tags["plumbline:source"], ":")
		for _, l := range slices.Backward(w.looks[source]) {
			if l.commit != nil && l.whole {
				if len(l.commit.files) == 0 {
					c.fail("I5", w.pipeline, w.sent, "a delete though %s has no files at all", source)
				}
				break
			}
		}
	})
}

func (c *checker) evidence() {
	c.eachChange(func(w *write) {
		if w.op != "DeletePipeline" || w.set == nil {
			return
		}
		source, path, _ := strings.Cut(w.sight.tags["plumbline:source"], ":")
		var since, latest seen
		for _, l := range w.looks[source] {
			switch {
			case l.commit == nil:
			case l.commit.stands(w.pipeline):
				since = seen{}
			default:
				if since.commit == nil && l.whole {
					since = l
				}
				latest = l
			}
		}
		record := strings.Split(w.sight.tags["plumbline:applied"], ".")
		switch {
		case since.commit == nil:
			c.fail("I6", w.pipeline, w.sent, "a delete though %s was not seen without its file", source)
		case w.at.Sub(since.at) < w.set.grace:
			c.fail("I6", w.pipeline, w.sent, "a delete %s after its file was seen to be gone; the grace is %s", w.at.Sub(since.at), w.set.grace)
		case w.at.Sub(latest.at) > 3*time.Minute:
			c.fail("I6", w.pipeline, w.sent, "a delete though the source was asked %s ago", w.at.Sub(latest.at))
		case len(record) != 5 || !latest.commit.has(record[3]):
			c.fail("I6", w.pipeline, w.sent, "a delete though the history does not have the commit of its record: %v", record)
		default:
			f, there := latest.commit.files[path]
			now := place{w.region, f.name}
			feed := w.view.setup.feed(source)
			if there && f.broken == "" && feed != nil && feed.mayTouch(w.set.name) && w.ours[now] == 0 && c.hands[now] == 0 {
				c.fail("I6", w.pipeline, w.sent, "a delete though %s stands for %s now, which is not there yet", path, f.name)
			}
		}
	})
}

func (c *checker) broken() {
	c.eachChange(func(w *write) {
		if w.op == "DeletePipeline" {
			source, _, _ := strings.Cut(w.sight.tags["plumbline:source"], ":")
			if w.set == nil || w.view.setup.feed(source) == nil {
				return
			}
			for _, l := range slices.Backward(w.looks[source]) {
				if l.commit != nil && l.whole {
					if l.commit.broken(w.view.setup.feed(source).mayTouch(w.set.name)) {
						c.fail("I7", w.pipeline, w.sent, "a delete though %s has broken files", source)
					}
					break
				}
			}
			return
		}
		if source, l, ok := w.wanted(); ok {
			if _, _, good := l.commit.wanted(w.pipeline); !good && w.at.Sub(l.at) > 2*time.Minute {
				c.fail("I7", w.pipeline, w.sent, "%s though its file in %s is broken since %s", w.op, source, w.at.Sub(l.at))
			}
		}
	})
}

// basis returns the looks on which a write may rest: good ones not long before its attempt began.
func (c *checker) basis(w *write) (good []seen) {
	begin := c.began(w).at
	for _, looks := range w.looks {
		for _, l := range looks {
			if l.commit != nil && begin.Sub(l.at) < 150*time.Second {
				good = append(good, l)
			}
		}
	}
	return good
}

func (c *checker) unread() {
	c.eachChange(func(w *write) {
		if len(c.basis(w)) == 0 {
			c.fail("I8", w.pipeline, w.sent, "%s though no source was read lately", w.op)
		}
	})
}

func (c *checker) content() {
	c.eachChange(func(w *write) {
		if w.op == "DeletePipeline" {
			return
		}
		sent := gist(w.body)
		basis := c.basis(w)
		if slices.ContainsFunc(basis, func(l seen) bool {
			_, f, ok := l.commit.wanted(w.pipeline)
			return ok && gist([]byte(f.text())) == sent
		}) || len(basis) == 0 {
			return
		}
		c.fail("I18", w.pipeline, w.sent, "%s sends what the file said at no commit that was looked at", w.op)
	})
}

func (c *checker) unseen() {
	c.eachChange(func(w *write) {
		s := w.sight
		switch {
		case w.op == "CreatePipeline" && (!c.fresh(w, s.getAt) || s.doc != nil):
			c.fail("I9", w.pipeline, w.sent, "a create though AWS did not say just before that there is none")
		case w.op != "CreatePipeline" && (!c.fresh(w, s.getAt) || s.doc == nil):
			c.fail("I9", w.pipeline, w.sent, "%s without a read of its own", w.op)
		case w.op != "UpdatePipeline" && (w.list.whole == 0 || w.at.Sub(w.list.wholeAt) > 2*time.Hour): // a pass can take long where AWS throttles
			c.fail("I9", w.pipeline, w.sent, "%s without a listing that was whole", w.op)
		}
	})
}

func (c *checker) caps() {
	creates, updates := map[string]int{}, map[string]int{}
	c.eachChange(func(w *write) {
		if w.set == nil || !w.happened() {
			return
		}
		switch w.op {
		case "CreatePipeline":
			if creates[w.group]++; creates[w.group] > w.set.limits.Creates {
				c.fail("I10", w.pipeline, w.sent, "create %d of a pass, and %d are allowed", creates[w.group], w.set.limits.Creates)
			}
			if w.known && w.set.mode == sync.Apply {
				c.fail("I10", w.pipeline, w.sent, "a create in mode apply of what was written before and somebody deleted")
			}
		case "UpdatePipeline":
			limit := max(w.set.limits.Updates, (len(w.ours)+2)*w.set.limits.UpdatesPercent/100)
			if updates[w.group]++; updates[w.group] > limit {
				c.fail("I10", w.pipeline, w.sent, "update %d of a pass, and %d are allowed", updates[w.group], limit)
			}
		}
	})
}

func (c *checker) saved() {
	c.eachChange(func(w *write) {
		f := w.effect
		if f == nil || w.op == "CreatePipeline" || w.intent == nil || f.Before.Version != w.intent.Base {
			return
		}
		if previous := gist(w.intent.Previous); previous != gist(f.Before.Declaration) && previous != gist(w.sight.doc) {
			c.fail("I12", w.pipeline, w.sent, "%s of a definition that is not in the journal", w.op)
		}
		if !maps.Equal(w.intent.Tags, w.sight.tags) {
			c.fail("I12", w.pipeline, w.sent, "%s, and the tags that were read are not in the journal: %v, %v", w.op, w.intent.Tags, w.sight.tags)
		}
	})
}

func (c *checker) unreached() {
	c.eachChange(func(w *write) {
		if w.op != "DeletePipeline" {
			return
		}
		for source, looks := range w.looks {
			since := w.at // of the looks before the write, all from here on show the file
			for _, l := range slices.Backward(looks) {
				if l.commit != nil && !l.commit.stands(w.pipeline) {
					break
				}
				if l.commit != nil {
					since = l.at
				}
			}
			if w.at.Sub(since) > time.Minute {
				c.fail("I13", w.pipeline, w.sent, "a delete though %s has a file for it, as was seen %s before", source, w.at.Sub(since))
			}
		}
	})
}

func (c *checker) once() {
	c.each(func(w *write) {
		b := w.before
		if b == nil || w.sight.latest > b.sent && b.proc == w.proc || b.proc != w.proc && w.sight.latest > 0 {
			return
		}
		switch {
		case b.op == w.op && b.op != "TagResource":
			c.fail("I14", w.pipeline, w.sent, "%s twice (event %d) without a read between", w.op, b.sent)
		case !b.ok(), b.op == w.op:
			c.fail("I14", w.pipeline, w.sent, "%s right after %s whose reply was %d (event %d), without a read between", w.op, b.op, b.status, b.sent)
		}
	})
}

func (c *checker) idle() {
	c.each(func(w *write) {
		if w.op == "UpdatePipeline" && w.sight.doc != nil && gist(w.body) == gist(w.sight.doc) {
			c.fail("I16", w.pipeline, w.sent, "an update to what is live already")
		}
		if w.sent >= c.w.quietFrom && len(c.w.final) == 0 {
			c.fail("I16", w.pipeline, w.sent, "%s though everything is as wanted", w.op)
		}
	})
}

func (c *checker) version() {
	c.eachChange(func(w *write) {
		if w.op != "UpdatePipeline" || w.intent == nil {
			return
		}
		if w.intent.Base != w.sight.version {
			c.fail("I17", w.pipeline, w.sent, "an update of version %d, and %d was read", w.intent.Base, w.sight.version)
		}
		if w.person && w.live == w.sight.version && w.set != nil && w.set.mode == sync.Apply && c.ours(w.view, w.sight.tags) && !c.everInGit(w) {
			c.fail("I17", w.pipeline, w.sent, "mode apply overwrites version %d, which a person wrote", w.live)
		}
		if w.effect == nil || w.effect.Before.Version <= w.intent.Base {
			return
		}
		for _, e := range c.events[w.sent:] {
			if e.proc != w.proc || e.report == nil || e.report.Region != w.region {
				continue
			}
			i := slices.IndexFunc(e.report.Changes, func(x sync.Change) bool { return x.Pipeline == w.pipeline })
			if i < 0 || e.report.Changes[i].Err == nil && !strings.Contains(strings.Join(e.report.Changes[i].Notes, " "), "somebody else wrote") {
				c.fail("I17", w.pipeline, w.sent, "version %d was overwritten unseen, and the report does not tell", w.effect.Before.Version)
			}
			return
		}
	})
}

// everInGit reports whether what was live before a write is what some commit says: then nobody's work is lost.
func (c *checker) everInGit(w *write) bool {
	live := gist(known(w.sight.doc))
	for _, looks := range w.looks {
		for _, l := range looks {
			for at := l.commit; at != nil; at = at.after {
				if _, f, ok := at.wanted(w.pipeline); ok && gist([]byte(f.text())) == live {
					return true
				}
			}
		}
	}
	return false
}

func (c *checker) unknownFields() {
	c.eachChange(func(w *write) {
		if w.op == "UpdatePipeline" && bytes.Contains(w.sight.doc, []byte("unknownField")) && !bytes.Contains(w.body, []byte("unknownField")) {
			c.fail("I19", w.pipeline, w.sent, "an update erases a field that is not known")
		}
		if w.op != "DeletePipeline" && bytes.Contains(w.body, []byte("unknownField")) {
			c.fail("I19", w.pipeline, w.sent, "%s with a field that is not known", w.op)
		}
	})
}

// actionsOf returns the actions of a document as texts, :: stage/action.
func actionsOf(document []byte) map[string]string {
	type doc struct {
		Stages []struct {
			Name    string
			Actions []json.RawMessage
		}
	}
	var request struct {
		doc
		Pipeline doc
	}
	decode([]byte(gist(document)), &request)
	actions := map[string]string{}
	for _, s := range append(request.Stages, request.Pipeline.Stages...) {
		for _, a := range s.Actions {
			var named struct{ Name string }
			decode(a, &named)
			actions[s.Name+"/"+named.Name] = string(a)
		}
	}
	return actions
}

func (c *checker) masks() {
	c.eachChange(func(w *write) {
		if w.op == "DeletePipeline" {
			return
		}
		live := actionsOf(w.sight.doc)
		for place, action := range actionsOf(w.body) {
			if strings.Contains(action, pipeline.Mask) && live[place] != action {
				c.fail("I20", w.pipeline, w.sent, "%s sends the mask of %s together with another change of it", w.op, place)
			}
		}
	})
}

func (c *checker) busy() {
	c.eachChange(func(w *write) {
		if w.op == "CreatePipeline" || w.set == nil || bytes.Contains(w.sight.doc, []byte(`"PARALLEL"`)) && w.op == "UpdatePipeline" {
			return
		}
		free := w.op == "UpdatePipeline" && (w.set.whenBusy == sync.Interrupt || w.set.maxWait > 0)
		switch s := w.sight; {
		case !c.fresh(w, s.runAt):
			c.fail("I21", w.pipeline, w.sent, "%s though nobody asked whether an execution runs", w.op)
		case s.running > 0 && !free:
			c.fail("I21", w.pipeline, w.sent, "%s cancels %d executions", w.op, s.running)
		}
	})
}

var allowed = []string{"GetPipeline", "ListPipelines", "ListTagsForResource", "GetResources", "ListPipelineExecutions", "GetCallerIdentity", "ListActionTypes", "ListRuleTypes", "LookupEvents",
	"CreatePipeline", "UpdatePipeline", "DeletePipeline", "TagResource", "UntagResource", "GetPipelineState"}

func (c *checker) operations() {
	for _, e := range c.events {
		if e.sent != nil && !slices.Contains(allowed, e.sent.op) {
			c.fail("I22", e.sent.pipeline, e.n, "%s is called", e.sent.op)
		}
	}
}

func (c *checker) places() {
	c.each(func(w *write) {
		switch {
		case w.set == nil:
			c.fail("I23", w.pipeline, w.sent, "%s in %s, which is not configured", w.op, w.region)
			return
		case !w.view.account:
			c.fail("I23", w.pipeline, w.sent, "%s though nobody asked whose the credentials are", w.op)
		}
		if source, _, ok := w.wanted(); ok && w.op != "DeletePipeline" && !w.view.setup.feed(source).mayTouch(w.set.name) {
			c.fail("I23", w.pipeline, w.sent, "%s of %s, which may not touch %s", w.op, source, w.set.name)
		}
		source, _, _ := strings.Cut(w.sight.tags["plumbline:source"], ":")
		if feed := w.view.setup.feed(source); feed != nil && w.op == "DeletePipeline" && !feed.mayTouch(w.set.name) {
			c.fail("I23", w.pipeline, w.sent, "a delete for what a commit of %s shows, which may not touch %s", source, w.set.name)
		}
	})
}

func (c *checker) intents() {
	verbs := map[string][]string{"CreatePipeline": {"create"}, "UpdatePipeline": {"update"}, "DeletePipeline": {"delete"}, "TagResource": {"tag", "adopt", "update"}, "UntagResource": {"tag", "adopt", "update"}}
	c.each(func(w *write) {
		if w.intent == nil || !slices.Contains(verbs[w.op], w.intent.Operation) {
			c.fail("I25", w.pipeline, w.sent, "%s without its intent on the disk", w.op)
		}
	})
	for _, in := range c.w.all {
		for _, x := range c.open[in] {
			if !in.filled {
				c.fail("I25", x.Pipeline, x.n, "the intent to %s has no outcome at the end", x.Operation)
			}
		}
	}
}

func (c *checker) observing() {
	c.each(func(w *write) {
		if w.set == nil {
			return
		}
		if w.set.mode == sync.Detect || w.set.readOnly {
			c.fail("I26", w.pipeline, w.sent, "%s in mode %s, readOnly %v", w.op, w.set.mode, w.set.readOnly)
		}
		if begin := c.began(w); c.suspended(w.proc.of, w.set.name, w.pipeline, begin.n, begin.at) {
			c.fail("I26", w.pipeline, w.sent, "%s though a person has suspended it", w.op)
		}
	})
}

// suspended reports whether what people said before an event keeps a pipeline from being written.
func (c *checker) suspended(in *instance, target, name string, before int, at time.Time) bool {
	is := map[[2]string]time.Time{}
	for _, x := range c.journal[in] {
		switch {
		case x.n >= before:
		case x.Operation == "begin":
			clear(is)
		case x.Operation == "suspend":
			is[[2]string{x.Target, x.Pipeline}] = x.Until
		case x.Operation == "resume":
			maps.DeleteFunc(is, func(of [2]string, _ time.Time) bool {
				return (x.Target == "" || x.Target == of[0]) && (x.Pipeline == "" || x.Pipeline == of[1])
			})
		}
	}
	for of, until := range is {
		if (of[0] == "" || of[0] == target) && (of[1] == "" || of[1] == name) && (until.IsZero() || at.Before(until)) {
			return true
		}
	}
	return false
}

func (c *checker) fights() {
	type of struct {
		*instance
		place
	}
	written, said, times := map[of]string{}, map[of]string{}, map[of][]time.Time{}
	for _, w := range c.writes {
		f := w.effect
		if f == nil || !w.changes() || w.proc.of.lost {
			continue
		}
		p := of{w.proc.of, place{w.region, w.pipeline}}
		now, file := gist(f.After.Declaration), w.files() // another commit of the file ends a fight
		if written[p] == now && said[p] == file && gist(f.Before.Declaration) != now {
			times[p] = append(times[p], w.at)
		} else {
			times[p] = nil
		}
		written[p], said[p] = now, file
		// Of a write whose reply was lost, or whose process died, nobody knows, so it is not counted.
		if n := len(times[p]); n > 5 && w.at.Sub(times[p][n-6]) < 30*time.Minute {
			c.fail("I31", w.pipeline, w.sent, "the same is put back six times within half an hour")
		}
	}
}

// canaries are the forms in which the secret of the credentials could be told.
var canaries = [][]byte{
	[]byte(canary), []byte(base64.StdEncoding.EncodeToString([]byte(canary))), []byte(hex.EncodeToString([]byte(canary))), []byte(url.QueryEscape(canary)),
}

func (c *checker) secrets() {
	tells := func(text []byte) bool {
		c.w.searched += len(text)
		return slices.ContainsFunc(canaries, func(form []byte) bool { return bytes.Contains(text, form) })
	}
	if tells(c.w.log.take()) {
		c.fail("I33", "", len(c.events)-1, "the log has a secret")
	}
	for _, e := range c.events {
		if tells(e.durable) {
			c.fail("I33", "", e.n, "the journal has a secret")
		}
		if e.sent != nil && tells(e.sent.body) {
			c.fail("I33", e.sent.pipeline, e.n, "a request has the secret of the credentials")
		}
	}
}

func (c *checker) fenced() {
	c.eachChange(func(w *write) {
		if bytes.Contains(w.body, []byte(evilRole)) {
			c.fail("I35", w.pipeline, w.sent, "%s with a role that is not allowed", w.op)
		}
	})
}

func (c *checker) pages() {
	pages := map[string]int{}
	for _, e := range c.events {
		if e.got == nil || !e.got.ok() || e.got.op != "ListPipelines" && e.got.op != "GetResources" {
			continue
		}
		key := e.proc.name + e.got.op + e.got.region
		if pages[key]++; !bytes.Contains(e.got.body, []byte("oken\":\"")) {
			pages[key] = 1
		}
		if pages[key] > 20 {
			c.fail("I37", "", e.n, "page %d of a listing", pages[key])
			pages[key] = 0
		}
	}
}

func (c *checker) converged() {
	for _, u := range c.w.final {
		c.fail("I27", u.pipeline, len(c.events)-1, "%s", u.what)
	}
}
