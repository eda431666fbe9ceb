package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// budget is a figure that the design allows plumbline, and how it is measured. Those beside peers are in the tables.
type budget struct {
	key, name, limit string
	measure          func(ctx context.Context, b *bench) (string, error)
}

var budgets = []budget{
	{"targets", "a pass with nothing to do over 10 targets × 1,000 pipelines", "≤ 100 ms CPU, ≤ 100 MiB resident", tenTargets},
	{"validate", "10,000 files validated", "≤ 2 × a strict decode by encoding/json", validated},
	{"commit", "a new commit with one changed file of 10,000, without fetching", "≤ 20 ms", newCommit},
	{"nudge", "from the commit to the pipeline, one change in 1,000, 30 ms a call", "half of them ≤ 0.6 s", nudged},
	{"memory", "a daemon with 1,000 pipelines over many passes", "≤ 64 MiB resident, flat", steady},
}

func budgetNames() []string {
	var names []string
	for _, b := range budgets {
		names = append(names, b.key)
	}
	return names
}

func (b *bench) measureBudgets(ctx context.Context, keys []string) error {
	var failed error
	for _, bud := range budgets {
		if !slices.Contains(keys, bud.key) {
			continue
		}
		r := result{Time: time.Now().UTC().Truncate(time.Second), Load: load(), Budget: bud.name, Limit: bud.limit}
		var err error
		if r.Measured, err = bud.measure(ctx, b); err != nil {
			b.say("%s failed: %v", bud.key, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", bud.key, err))
			continue
		}
		b.say("%s: %s", bud.name, r.Measured)
		if err := b.keep(r); err != nil {
			return err
		}
	}
	return failed
}

// inSyncSite returns a plumbline whose pipelines are all live as its files say, in some regions.
func (b *bench) inSyncSite(ctx context.Context, f *fleet) (p *plumbline, end func() error, err error) {
	dir, err := os.MkdirTemp(b.dir, "budget-")
	if err != nil {
		return nil, nil, err
	}
	aws, err := b.startAWS(ctx)
	if err != nil {
		return nil, nil, err
	}
	end = func() error { return errors.Join(aws.stop(), os.RemoveAll(dir)) }
	p, err = newPlumbline(&site{bench: b, dir: dir, aws: aws, fleet: f})
	if err == nil {
		err = p.write(ctx, p.fleet.all())
	}
	if err == nil {
		_, err = p.run(ctx, createAll)
	}
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return p, end, nil
}

// followSeldom keeps the daemon from asking for executions after its first look at each pipeline: that is no part of a pass.
const followSeldom = "executions: {interval: 24h}\n"

// tenTargets measures passes of a daemon, which are asked for one after the other and counted where they arrive: once with
// a file for all ten regions, once with a file for each pipeline.
func tenTargets(ctx context.Context, b *bench) (string, error) {
	shared, err := b.tenTargets(ctx, &fleet{projects: newFleet(perRegion).projects, everywhere: true})
	if err != nil {
		return "", err
	}
	own, err := b.tenTargets(ctx, newFleet(maxFleet))
	return fmt.Sprintf("1,000 files for all ten: %s; 10,000 files: %s", shared, own), err
}

func (b *bench) tenTargets(ctx context.Context, f *fleet) (_ string, err error) {
	p, end, err := b.inSyncSite(ctx, f)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, end()) }()
	command, err := p.run(ctx, nothing)
	if err != nil {
		return "", err
	}
	if err := p.configure(unlimited + followSeldom); err != nil {
		return "", err
	}
	d, err := p.start(ctx)
	if err != nil {
		return "", err
	}
	defer func() {
		_, stopping := d.stop()
		err = errors.Join(err, stopping)
	}()
	if err := p.aws.settle(ctx); err != nil {
		return "", err
	}
	perRound, err := d.rounds(ctx, p.aws, 20, len(regions))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d ms CPU for all ten (mean of 20 passes of a daemon), %d MiB; the command plan, from its start to its end, %s CPU, %d MiB",
		perRound.Milliseconds(), memory(d.cmd.Process.Pid, residentNow)>>20, seconds(command.CPU), command.Peak>>20), d.inSync(ctx)
}

// rounds has a daemon make that many passes over each of its targets and returns the CPU time of one over all of them.
// Requests for passes that come together are one, and passes are made without being asked: those that were made are counted.
func (d *daemon) rounds(ctx context.Context, aws *account, rounds, targets int) (time.Duration, error) {
	if err := aws.set(ctx, conditions{}); err != nil {
		return 0, err
	}
	before, err := cpuTime(d.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	made := 0
	for made < rounds*targets && ctx.Err() == nil {
		if err := d.refresh(ctx); err != nil {
			return 0, err
		}
		next, patience := made+targets, time.Now().Add(2*time.Second)
		for made < next && time.Now().Before(patience) {
			time.Sleep(2 * time.Millisecond)
			t, err := aws.traffic(ctx)
			if err != nil {
				return 0, err
			}
			made = t.Calls["ListPipelines"]
		}
	}
	time.Sleep(200 * time.Millisecond) // for the last passes, which have their answers and may not have thought about them
	after, err := cpuTime(d.cmd.Process.Pid)
	return (after - before) * time.Duration(targets) / time.Duration(max(made, 1)), err
}

// validated runs the benchmark that stands beside the code.
func validated(ctx context.Context, b *bench) (string, error) {
	_, out, err := run(exec.CommandContext(ctx, "go", "test", "github.com/plumbline/plumbline/pipeline", "-run", "^$", "-bench", "Validate/generated/(validate|strict)$", "-cpu", "1", "-count", "5"))
	if err != nil {
		return "", err
	}
	times := map[string][]float64{}
	for _, m := range regexp.MustCompile(`(?m)^BenchmarkValidate/generated/(\w+)\s+\d+\s+(\d+) ns/op`).FindAllStringSubmatch(string(out), -1) {
		ns, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return "", err
		}
		times[m[1]] = append(times[m[1]], ns)
	}
	if len(times["validate"]) == 0 || len(times["strict"]) == 0 {
		return "", fmt.Errorf("the benchmark printed no times:\n%s", out)
	}
	ours, strict := middle(times["validate"]), middle(times["strict"])
	return fmt.Sprintf("%.2f × (%.0f ms beside %.0f ms, medians of %d, one processor)", ours/strict, ours/1e6, strict/1e6, len(times["strict"])), nil
}

// newCommit measures what the daemon does with a commit before it asks AWS: it reads the commit, and ten passes find out
// what is wanted of their targets.
func newCommit(ctx context.Context, b *bench) (string, error) {
	dir, err := os.MkdirTemp(b.dir, "commit-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	p, err := newPlumbline(&site{bench: b, dir: dir, aws: &account{}, fleet: newFleet(maxFleet)})
	if err != nil {
		return "", err
	}
	if err := p.write(ctx, p.fleet.all()); err != nil {
		return "", err
	}
	src, err := source.Open(source.Config{Name: "pipelines", URL: p.repository.Path()})
	if err != nil {
		return "", err
	}
	var targets []sync.Target
	for _, region := range regions {
		targets = append(targets, sync.Target{Name: region, Region: region, Live: away{}, Memory: &sync.Memory{}})
	}
	var tree *sync.Tree
	var reading, deciding, both []time.Duration
	for i := range 21 {
		start := time.Now()
		snapshot, err := src.Snapshot(ctx)
		if err != nil {
			return "", err
		}
		read := time.Now()
		tree = tree.Next([]sync.Origin{{Snapshot: snapshot, Layout: sync.ByTarget}}, regions)
		for _, target := range targets {
			r := sync.Pass(ctx, sync.Input{Instance: "bench", Sources: []string{"pipelines"}, Tree: tree, Target: target})
			if !errors.Is(r.Err, errAway) || len(r.Pipelines) != perRegion {
				return "", fmt.Errorf("a pass over %s found %d pipelines: %w", target.Name, len(r.Pipelines), r.Err)
			}
		}
		end := time.Now()
		if i > 0 { // the first reads everything
			reading, deciding, both = append(reading, read.Sub(start)), append(deciding, end.Sub(read)), append(both, end.Sub(start))
		}
		p.fleet.projects[500*i%maxFleet] += "-2"
		if err := p.write(ctx, []int{500 * i % maxFleet}); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%.1f ms (reading the commit %.1f, what ten targets want %.1f; medians of %d)",
		milliseconds(middle(both)), milliseconds(middle(reading)), milliseconds(middle(deciding)), len(both)), nil
}

var errAway = errors.New("nobody is there")

// away is a target that knows whose it is and cannot be listed, so that a pass ends where it would ask AWS.
type away struct{ sync.Reader }

func (away) Identity(context.Context) (live.Identity, error) {
	return live.Identity{Account: "123456789012", Partition: "aws"}, nil
}

func (away) Inventory(context.Context) (live.Inventory, error) { return live.Inventory{}, errAway }

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// nudged measures from the moment at which a commit is there to that at which its update was answered, at plumbline's own
// limit and without, where nothing but the change of the repository on disk tells the daemon.
func nudged(ctx context.Context, b *bench) (string, error) {
	withLimit, err := b.nudges(ctx, "")
	if err != nil {
		return "", err
	}
	without, err := b.nudges(ctx, unlimited)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("at its own limit of 3 calls a second: %s; without: %s", withLimit, without), nil
}

func (b *bench) nudges(ctx context.Context, limit string) (_ string, err error) {
	p, end, err := b.inSyncSite(ctx, newFleet(perRegion))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := p.configure(limit); err != nil {
		return "", err
	}
	d, err := p.start(ctx)
	if err != nil {
		return "", err
	}
	defer func() {
		_, stopping := d.stop()
		err = errors.Join(err, stopping)
	}()
	if err := p.aws.set(ctx, conditions{Latency: 30 * time.Millisecond}); err != nil {
		return "", err
	}
	var took []time.Duration
	for i := range 25 {
		select { // the allowance fills again, and the daemon has come to rest
		case <-time.After(4*time.Second + time.Duration(i)*37*time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
		p.fleet.projects[i*40] += "-2"
		if err := p.write(ctx, []int{i * 40}); err != nil {
			return "", err
		}
		start := time.Now()
		at, err := p.aws.await(ctx, "UpdatePipeline", i+1)
		if err != nil {
			return "", err
		}
		took = append(took, at.Sub(start))
	}
	half := middle(took) // sorts
	return fmt.Sprintf("half ≤ %.2f s, nine in ten ≤ %.2f s of %d", half.Seconds(), took[len(took)*9/10].Seconds(), len(took)), nil
}

// steady measures the memory of a daemon after ever more passes.
func steady(ctx context.Context, b *bench) (_ string, err error) {
	p, end, err := b.inSyncSite(ctx, newFleet(perRegion))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, end()) }()
	d, err := p.start(ctx)
	if err != nil {
		return "", err
	}
	defer func() {
		_, stopping := d.stop()
		err = errors.Join(err, stopping)
	}()
	var seen []string
	made := 0
	for _, passes := range []int{10, 40, 70} {
		perPass, err := d.rounds(ctx, p.aws, passes-made, 1)
		if err != nil {
			return "", err
		}
		made = passes
		pid := d.cmd.Process.Pid
		seen = append(seen, fmt.Sprintf("%d MiB after %d passes (most so far %d; %.1f ms CPU a pass)", memory(pid, residentNow)>>20, passes, memory(pid, highWater)>>20, milliseconds(perPass)))
	}
	return strings.Join(seen, ", "), d.inSync(ctx)
}
