package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench makes measurements.
type bench struct {
	dir       string    // for everything that is written
	self      string    // this program
	plumbline string    // the program that is measured
	out       io.Writer // gets each result as it comes; nil for nobody
	stderr    io.Writer // what is being done
	results   []result
}

// result is one measurement, a line of a results file. Budgets have a Budget and what they have measured in words.
type result struct {
	Time      time.Time
	Load      string // of the machine when it began: the average of a minute
	Program   string
	Version   string
	Scenario  string
	Pipelines int
	conditions
	usage
	traffic

	Budget   string `json:",omitempty"`
	Limit    string `json:",omitempty"` // what the design allows
	Measured string `json:",omitempty"`
}

// build builds the plumbline of this module, without what else is in it.
func (b *bench) build(ctx context.Context) error {
	_, _, err := run(exec.CommandContext(ctx, "go", "build", "-o", b.plumbline, "github.com/plumbline/plumbline/cmd/plumbline"))
	if err != nil {
		return fmt.Errorf("building plumbline; run this in its repository: %w", err)
	}
	return nil
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.stderr, format+"\n", args...) }

func (b *bench) keep(r result) error {
	b.results = append(b.results, r)
	if b.out == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = b.out.Write(append(line, '\n'))
	}
	return err
}

func readResults(file string) ([]result, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var results []result
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var r result
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return results, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		results = append(results, r)
	}
}

// compare measures the programs in all the settings that were asked for. A program that fails in one is told of and left
// out there, so that hours of measuring do not end with it.
func (b *bench) compare(ctx context.Context, o options) error {
	var failed error
	versions := map[string]string{}
	for _, t := range tools {
		if !slices.Contains(o.peers, t.name) {
			continue
		}
		version, err := t.version(ctx, b)
		if err != nil {
			b.say("%s is left out: %v", t.name, err)
			continue
		}
		b.say("%s: %s", t.name, version)
		versions[t.name] = version
	}
	for range max(o.runs, 1) {
		for _, n := range o.sizes {
			for _, latency := range o.latencies {
				for _, limit := range o.rates {
					for _, t := range tools {
						if versions[t.name] == "" || n > t.most || ctx.Err() != nil {
							continue
						}
						m := measurement{tool: t, n: n, conditions: conditions{latency, limit}, scenarios: o.scenarios}
						if err := b.measure(ctx, m, versions[t.name]); err != nil {
							failed = errors.Join(failed, fmt.Errorf("%s, %s: %w", t.name, setting(n, m.conditions), err))
							b.say("%s failed: %v", t.name, err)
						}
					}
				}
			}
		}
	}
	return failed
}

// measurement is one program in one setting.
type measurement struct {
	tool tool
	n    int
	conditions
	scenarios []string // to measure
}

// measure plays the scenarios to a program, with an account and a folder of its own.
func (b *bench) measure(ctx context.Context, m measurement, version string) (err error) {
	dir, err := os.MkdirTemp(b.dir, m.tool.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	aws, err := b.startAWS(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, aws.stop()) }()
	s := &site{bench: b, dir: dir, aws: aws, fleet: newFleet(m.n)}
	program, err := m.tool.open(ctx, s)
	if err != nil {
		return err
	}
	if err := program.write(ctx, s.fleet.all()); err != nil {
		return err
	}
	for _, scenario := range scenarios {
		wanted := slices.Contains(m.scenarios, scenario)
		if !wanted && scenario != createAll {
			continue
		}
		here := m.conditions
		if !wanted {
			here = conditions{}
		}
		used, seen, err := s.play(ctx, program, scenario, here)
		if errors.Is(err, errNotMeant) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", scenario, err)
		}
		b.say("%s, %s, %s: %.2f s, CPU %.2f s, %d MiB, %d calls", setting(m.n, here), scenario, m.tool.name, used.Wall.Seconds(), used.CPU.Seconds(), used.Peak>>20, seen.sum())
		if !wanted {
			continue
		}
		err = b.keep(result{
			Time: time.Now().UTC().Truncate(time.Second), Load: load(), Program: m.tool.name, Version: version, Scenario: scenario,
			Pipelines: m.n, conditions: m.conditions, usage: used, traffic: seen,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// play makes what a scenario is about happen, lets the program at it, and looks whether it has done its work.
func (s *site) play(ctx context.Context, program runner, scenario string, c conditions) (used usage, seen traffic, err error) {
	// The pipelines that change are in the middle, so that whoever lists or loops has half of its way to go.
	changed := len(s.fleet.projects) / 2
	switch scenario {
	case oneFile:
		s.fleet.projects[changed] += "-2"
		err = program.write(ctx, []int{changed})
	case oneDrift:
		err = s.drift(ctx, changed)
	}
	s.slow = c.Rate > 0
	if err == nil {
		err = s.aws.set(ctx, c)
	}
	if err != nil {
		return used, seen, err
	}
	if used, err = program.run(ctx, scenario); err != nil {
		return used, seen, err
	}
	if seen, err = s.aws.traffic(ctx); err != nil {
		return used, seen, err
	}
	return used, seen, s.verify(ctx, changed)
}

// drift changes a pipeline as a person would.
func (s *site) drift(ctx context.Context, i int) error {
	byHand := s.fleet.document(i)
	byHand.Stages[1].Actions[0].Configuration["ProjectName"] = "by-hand"
	return s.aws.direct(ctx, s.fleet.region(i), "UpdatePipeline", map[string]any{"pipeline": byHand}, nil)
}

// verify looks whether all pipelines are there and the one that changes is as wanted.
func (s *site) verify(ctx context.Context, changed int) error {
	live := 0
	for _, region := range s.fleet.regions() {
		var page struct{ Pipelines []json.RawMessage } // the one page: it takes as many as a region may have
		if err := s.aws.direct(ctx, region, "ListPipelines", map[string]any{}, &page); err != nil {
			return err
		}
		live += len(page.Pipelines)
	}
	if live != len(s.fleet.projects) {
		return fmt.Errorf("%d pipelines are live and %d are wanted", live, len(s.fleet.projects))
	}
	var reply json.RawMessage
	if err := s.aws.direct(ctx, s.fleet.region(changed), "GetPipeline", map[string]string{"name": s.fleet.name(changed)}, &reply); err != nil {
		return err
	}
	same, err := s.fleet.is(changed, reply)
	if err == nil && !same {
		err = fmt.Errorf("%s is not as wanted: %s", s.fleet.name(changed), reply)
	}
	return err
}

// load returns the machine's load average of the last minute, as it is shown; "" where that is not known.
func load() string {
	data, _ := os.ReadFile(filepath.Join("/proc", "loadavg"))
	first, _, _ := strings.Cut(string(data), " ")
	return first
}
