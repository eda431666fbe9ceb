package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	stdsync "sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// newLogger makes the logger of the daemon; its level may change with a reload.
func newLogger(w io.Writer, cfg config.Log) (*zap.Logger, zap.AtomicLevel, error) {
	level, err := zap.ParseAtomicLevel(string(cfg.Level))
	if err != nil {
		return nil, level, fmt.Errorf("log.level: %w", err)
	}
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.EncodeTime = "time", zapcore.RFC3339TimeEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if cfg.Format == config.LogText {
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)), level, nil
}

func (s *service) setLevel(cfg config.Log) {
	if level, err := zapcore.ParseLevel(string(cfg.Level)); err == nil {
		s.level.SetLevel(level)
	}
}

// decisions logs what passes find: one line when something changes, and nothing while it stays as it is, but
// for a reminder of trouble once in a while.
type decisions struct {
	log *zap.Logger

	mu        stdsync.Mutex
	said      map[string]said // :: subject → what was last said of it
	announced map[string]bool // :: target → what its mode holds back was told
}

type said struct {
	what  string
	first time.Time // since when it is so
	last  time.Time // when it was said last
}

// numbers are what differs between two tellings of one error: the port that a connection had, the time it took.
var numbers = regexp.MustCompile(`[0-9]+`)

func withoutNumbers(err error) string { return numbers.ReplaceAllString(err.Error(), "#") }

// reminder is after how long standing trouble is told again.
const reminder = time.Hour

func newDecisions(log *zap.Logger) *decisions {
	return &decisions{log: log, said: map[string]said{}, announced: map[string]bool{}}
}

// news reports whether what is said of a subject is worth a line, and since when it is so.
func (d *decisions) news(subject, what string, trouble bool) (since time.Time, isNews bool) {
	now := time.Now()
	before, known := d.said[subject]
	switch {
	case known && before.what == what && (!trouble || now.Sub(before.last) < reminder):
		return before.first, false
	case known && before.what == what:
		before.last = now
		d.said[subject] = before
		return before.first, true
	case !known && what == "":
		return now, false // nothing to tell of something that was never in trouble
	}
	d.said[subject] = said{what, now, now}
	return now, true
}

// report logs what has changed since the target's report before.
func (d *decisions) report(r *sync.Report) {
	if errors.Is(r.Err, sync.ErrMoved) {
		return // a newer commit came in between; the next pass is about to follow
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	target := zap.String("target", r.Target)
	what := ""
	if r.Err != nil {
		what = withoutNumbers(r.Err)
	}
	if since, isNews := d.news(r.Target, what, r.Err != nil); isNews {
		if r.Err != nil {
			d.log.Error("the target cannot be looked at; nothing is changed there", target, zap.Time("since", since), zap.Error(r.Err))
		} else {
			d.log.Info("the target can be looked at again", target)
		}
	}
	if r.Err != nil {
		return
	}
	changes := map[string]*sync.Change{}
	for i := range r.Changes {
		changes[r.Changes[i].Pipeline] = &r.Changes[i]
	}
	here := map[string]bool{}
	for _, s := range r.Pipelines {
		if s.Status != "" {
			d.pipeline(r, s, changes[s.Name])
			here[pipelineSubject(r.Target, s.Name)] = true
		}
	}
	d.gone(r.Target, here)
	d.problems(r)
	d.announce(r)
}

// announce says once for a target how many changes its mode keeps from being made.
func (d *decisions) announce(r *sync.Report) {
	n := 0
	for i := range r.Changes {
		if c := &r.Changes[i]; c.Hold == sync.HoldPolicy && c.Reason == sync.DetectReason && c.Wanted() {
			n++
		}
	}
	if n > 0 && !d.announced[r.Target] {
		d.announced[r.Target] = true
		d.log.Info("the mode is detect, so nothing is written; with policy.mode: apply these changes would be made", zap.String("target", r.Target), zap.Int("changes", n))
	}
}

// gone forgets the pipelines of a target that are no longer here: neither wanted nor ours.
func (d *decisions) gone(target string, here map[string]bool) {
	for _, subject := range slices.Sorted(maps.Keys(d.said)) {
		name, isPipeline := strings.CutPrefix(subject, pipelineSubject(target, ""))
		if !isPipeline || here[subject] {
			continue
		}
		if d.said[subject].what != "" {
			d.log.Info("the pipeline is gone, and no file wants it", zap.String("target", target), zap.String("pipeline", name))
		}
		delete(d.said, subject)
	}
}

// pipelineSubject is what a pipeline is called among the subjects; a target's files are another kind.
func pipelineSubject(target, name string) string { return target + "\x00pipeline\x00" + name }

// pipeline logs where a pipeline has come to. What was applied is logged by the pass itself.
func (d *decisions) pipeline(r *sync.Report, s sync.State, c *sync.Change) {
	what, reason := "", s.Why
	var err error
	switch {
	case c != nil && c.Outcome == sync.Skipped:
		return // it was not reached, which changes nothing
	case c != nil && !c.Differs() && c.Outcome != sync.Failed:
		// Only our own tags are due; the pipeline is as the file says.
	case c != nil && c.Outcome == sync.Held:
		what, reason = string(s.Status)+"/"+string(c.Hold), c.Reason
	case c != nil && c.Outcome == sync.Failed:
		what, err = string(s.Status)+"/failed/"+withoutNumbers(c.Err), c.Err
	case s.Status != sync.StatusSynced && c == nil:
		what = string(s.Status)
	}
	since, isNews := d.news(pipelineSubject(r.Target, s.Name), what, what != "")
	if !isNews {
		return
	}
	fields := []zap.Field{zap.String("target", r.Target), zap.String("pipeline", s.Name), zap.String("status", string(s.Status))}
	if what == "" {
		d.log.Info("the pipeline is in order again", fields...)
		return
	}
	fields = append(fields, zap.Time("since", since))
	if c != nil {
		fields = append(fields, zap.String("verb", string(c.Verb)), zap.String("cause", string(c.Cause)), zap.String("hold", string(c.Hold)))
		if c.By != nil {
			fields = append(fields, zap.String("by", c.By.Sentence()))
		}
		fields = append(fields, c.LogEdits()...)
	}
	if err != nil {
		d.log.Error("the change failed", append(fields, zap.Error(err))...)
		return
	}
	d.log.Warn("the pipeline is not as the file says", append(fields, zap.String("reason", reason))...)
}

// problems logs the errors in files when they come, and when they are gone.
func (d *decisions) problems(r *sync.Report) {
	what := ""
	for _, p := range r.Problems {
		if p.Severity == pipeline.Error {
			what += p.String() + "\n"
		}
	}
	if _, isNews := d.news(r.Target+"\x00files", what, what != ""); !isNews {
		return
	}
	if what == "" {
		d.log.Info("all files can be used again", zap.String("target", r.Target))
	}
	for _, p := range r.Problems {
		if p.Severity == pipeline.Error {
			d.log.Error("a file has an error", zap.String("target", r.Target), zap.String("place", p.Place()), zap.String("rule", p.Rule), zap.String("message", p.Message), zap.String("hint", p.Hint))
		}
	}
}
