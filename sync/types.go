package sync

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/pipeline"
)

const (
	// typesLast is how long a target's own lists of types are believed.
	typesLast = 24 * time.Hour
	// typesPause lies between two questions for them: while a type is missing somebody may be about to make it,
	// and who was denied may be allowed soon.
	typesPause = 10 * time.Minute
)

// typeMemory is what a target said of its types.
type typeMemory struct {
	types    *pipeline.Types // the latest answer; nil: none
	answered time.Time
	asked    time.Time
	err      error // why the latest question had no answer
}

// current returns what is known of a target's types, nil for nothing. An answer that is too old is used as long
// as there is no newer one to be had.
func (m *typeMemory) current() *pipeline.Types {
	if time.Since(m.answered) < typesLast || time.Since(m.asked) < typesPause {
		return m.types
	}
	return nil
}

// judge finds out what is wanted. The target itself is asked for its action types and rule types only where that
// could change the verdict on a file, so that a fleet of types that the table knows costs no call.
func (p *pass) judge(ctx context.Context) {
	known := p.Target.Memory.typesKnown()
	p.want(known.current())
	if p.desired.typesTell && time.Since(known.asked) >= typesPause {
		types, err := p.Target.Live.Types(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && (known.err == nil || err.Error() != known.err.Error()) {
			p.Log.Warn("could not ask the target for its action types; what plumbline knows itself is used", zap.String("target", p.Target.Name), zap.Error(err))
		}
		known = p.Target.Memory.keepTypes(types, err)
		if known.types != nil {
			p.want(known.current())
		}
	}
	if known.err != nil {
		p.report.Problems = slices.Clone(p.report.Problems)
		for i := range p.report.Problems {
			if problem := &p.report.Problems[i]; problem.AboutTypes() {
				if problem.Hint != "" {
					problem.Hint += "; "
				}
				problem.Hint += "could not ask the target for its action types: " + known.err.Error()
			}
		}
	}
}

// typesKnown returns what was kept of the target's types.
func (m *Memory) typesKnown() typeMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.listed
}

// keepTypes keeps an answer, or why there was none, and returns what is known now.
func (m *Memory) keepTypes(types *pipeline.Types, err error) typeMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listed.asked, m.listed.err = time.Now(), err
	if err == nil {
		m.listed.types, m.listed.answered = types, m.listed.asked
	}
	return m.listed
}
