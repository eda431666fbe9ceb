package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/sync"
)

// TestDecisions is about what the log does not say twice, and what it must not say at all.
func TestDecisions(t *testing.T) {
	drifted := sync.State{Name: "web", Status: sync.StatusDrifted}
	held := sync.Change{Pipeline: "web", Hold: sync.HoldDrift, Outcome: sync.Held}
	skipped := sync.Change{Pipeline: "web", Outcome: sync.Skipped}
	seen := func(s sync.State, c ...sync.Change) *sync.Report {
		return &sync.Report{Target: "eu", Pipelines: []sync.State{s}, Changes: c}
	}
	away := func(text string) *sync.Report { return &sync.Report{Target: "eu", Err: errors.New(text)} }
	for name, test := range map[string]struct {
		reports []*sync.Report
		want    []string // the messages
	}{
		"standing trouble is told once": {[]*sync.Report{seen(drifted, held), seen(drifted, held)}, []string{"the pipeline is not as the file says"}},
		"what was not reached is not in order": {[]*sync.Report{seen(drifted, held), seen(drifted, skipped), seen(drifted, held)},
			[]string{"the pipeline is not as the file says"}},
		"what is gone is told, and forgotten": {[]*sync.Report{seen(drifted, held), {Target: "eu"}, {Target: "eu"}, seen(drifted, held)},
			[]string{"the pipeline is not as the file says", "the pipeline is gone, and no file wants it", "the pipeline is not as the file says"}},
		"an error with another port is the same error": {[]*sync.Report{away("read tcp 10.0.0.1:4711: reset"), away("read tcp 10.0.0.1:4712: reset"), away("denied")},
			[]string{"the target cannot be looked at; nothing is changed there", "the target cannot be looked at; nothing is changed there"}},
		"a source that moved is no trouble": {[]*sync.Report{{Target: "eu", Err: sync.ErrMoved}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log, _, err := newLogger(&out, config.Log{Level: config.LogInfo, Format: config.LogText})
			if err != nil {
				t.Fatal(err)
			}
			d := newDecisions(log)
			for _, r := range test.reports {
				d.report(r)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				got = append(got, strings.Split(line, "\t")[2])
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("the log says\n%s", out.String())
			}
		})
	}
}
