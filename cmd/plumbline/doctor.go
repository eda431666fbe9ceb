package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	stdsync "sync"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/sync"
)

func doctorCommand(a *app) *cobra.Command {
	d := doctor{app: a}
	var output string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check that plumbline can work here",
		Long: `Check everything that plumbline needs, and say what to do about what is wrong: the
configuration, the state folder, the listeners, each source, and of each target the
credentials, the account, the clock, the permissions and whether the calls fit into the
allowance of requests.

Nothing is changed. Permissions to read are checked by reading one page. Those to set and
remove tags are checked by setting and removing none, on a pipeline that does not exist.
Secrets that files refer to are looked at, not read. Permissions to create, update,
delete and pass a role cannot be checked without a write, so they are not. Each
permission takes one call to AWS, and so does each secret.

Exit codes: 0 all is well, or there are warnings only; 1 something failed.`,
		Example: `  plumbline doctor
  plumbline doctor --target prod-us
  plumbline doctor --dir pipelines --region us-east-1
  plumbline doctor -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return badOutput(output, "text", "json")
			}
			if d.timeout <= 0 {
				return errors.New("--timeout takes a time such as 30s")
			}
			return d.run(cmd.Context(), output == "json")
		},
	}
	d.flags.addConfig(cmd)
	d.flags.addSource(cmd)
	d.flags.addTargets(a, cmd)
	cmd.Flags().DurationVar(&d.timeout, "timeout", time.Minute, "how long one check may take")
	outputFlag(cmd, &output, "text or json")
	return cmd
}

// verdict is what a check came to.
type verdict string

const (
	verdictOK      verdict = "ok"
	verdictWarning verdict = "warning"
	verdictFailed  verdict = "failed"
	verdictSkipped verdict = "skipped"
)

// finding is one line of the doctor.
type finding struct {
	Check  string  `json:"check"`
	Result verdict `json:"result"`
	Detail string  `json:"detail"`
	Remedy string  `json:"remedy,omitempty"` // what a person can do; "" where nothing need be done, or nothing is known
}

func fine(format string, args ...any) finding {
	return finding{Result: verdictOK, Detail: fmt.Sprintf(format, args...)}
}

func doubtful(remedy, format string, args ...any) finding {
	return finding{Result: verdictWarning, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

func broken(remedy, format string, args ...any) finding {
	return finding{Result: verdictFailed, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

func notLooked(format string, args ...any) finding {
	return finding{Result: verdictSkipped, Detail: fmt.Sprintf(format, args...)}
}

// failure is the finding for an error, with its hint for a remedy.
func failure(err error) finding {
	var h hinted
	if errors.As(err, &h) {
		return broken(h.hint, "%v", err)
	}
	return broken("", "%v", err)
}

// section is what belongs to one thing that is looked at: this machine, a source, a target.
type section struct {
	Name     string    `json:"name"`
	Findings []finding `json:"checks"`

	look  func(context.Context, *section)
	last  bool          // it sums up all others
	limit time.Duration // of one check
	told  chan finding
}

// maxFindings is more than a section has, but for a configuration with hundreds of faults, which then waits.
const maxFindings = 64

// check makes one check within its time. What find notes elsewhere may be read if the result is not failed: a
// check that ignores the end of its time is left to itself.
func (s *section) check(ctx context.Context, name string, find func(context.Context) finding) finding {
	bounded, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	found := make(chan finding, 1)
	go func() { found <- find(bounded) }()
	var f finding
	select {
	case f = <-found:
	case <-bounded.Done():
		select { // what ends by itself has more to tell
		case f = <-found:
		case <-time.After(time.Second):
			f = broken("", "no answer within %s", s.limit)
		}
	}
	s.tell(name, f)
	return f
}

func (s *section) tell(name string, f finding) {
	f.Check = name
	s.told <- f
}

// doctor looks at everything that a command or the daemon needs.
type doctor struct {
	*app
	flags   worldFlags
	timeout time.Duration

	cfg *config.Config // nil where it cannot be used

	counts fleetCounts
	read   readFiles
}

// readFiles is what the sections of sources read, for those of targets, which wait for them.
type readFiles struct {
	stdsync.Mutex
	origins []sync.Origin
	sources stdsync.WaitGroup
}

// fleetCounts is what the sections find out for the last one.
type fleetCounts struct {
	stdsync.Mutex
	files   int
	live    []int    // pipelines of each target that could be counted
	unknown []string // the other targets
}

// run makes all checks side by side and prints them in order, each as soon as those before it are done.
func (d *doctor) run(ctx context.Context, asJSON bool) error {
	cfg, err := d.settings(&d.flags)
	if err == nil {
		d.cfg = cfg
	}
	sections := slices.Concat([]*section{d.machine(err)}, d.sources(), d.targets(), d.queues())
	var counted stdsync.WaitGroup
	counted.Add(len(sections))
	if d.cfg != nil && len(config.Files(d.cfg)) > 0 { // only a daemon has metrics
		sections = append(sections, d.metrics(&counted))
	}
	for _, s := range sections {
		// A section that is ahead of those before it must not wait for them to be printed.
		s.limit, s.told, s.Findings = d.timeout, make(chan finding, maxFindings), []finding{}
		go func() {
			s.look(ctx, s)
			close(s.told)
			if !s.last {
				counted.Done()
			}
		}()
	}
	for _, s := range sections {
		if !asJSON {
			fmt.Fprintln(d.stdout, d.paint(text.Bold, printable(s.Name)))
		}
		for f := range s.told {
			s.Findings = append(s.Findings, f)
			if !asJSON {
				d.printFinding(f)
			}
		}
	}
	return d.conclude(ctx, sections, asJSON)
}

var verdictSigns = map[verdict]struct {
	sign   string
	colour text.Color
}{
	verdictOK: {"✓", text.FgGreen}, verdictWarning: {"!", text.FgYellow}, verdictFailed: {"✗", text.FgRed}, verdictSkipped: {"-", text.FgCyan},
}

func (d *doctor) printFinding(f finding) {
	v := verdictSigns[f.Result]
	fmt.Fprintf(d.stdout, "  %s %s: %s\n", d.paint(v.colour, fmt.Sprintf("%s %-7s", v.sign, f.Result)), printable(f.Check), printable(f.Detail))
}

// conclude says what to do, each thing once, and chooses the exit code.
func (d *doctor) conclude(ctx context.Context, sections []*section, asJSON bool) error {
	counts := map[verdict]int{}
	remedies := []string{}
	for _, result := range []verdict{verdictFailed, verdictWarning, verdictOK, verdictSkipped} {
		for _, s := range sections {
			for _, f := range s.Findings {
				if f.Result != result {
					continue
				}
				counts[result]++
				if f.Remedy != "" && !slices.Contains(remedies, f.Remedy) {
					remedies = append(remedies, f.Remedy)
				}
			}
		}
	}
	if asJSON {
		err := writeJSON(d.stdout, struct {
			Sections []*section      `json:"sections"`
			Counts   map[verdict]int `json:"counts"`
			Remedies []string        `json:"remedies"`
		}{sections, counts, remedies})
		if err != nil {
			return err
		}
	} else {
		d.printRemedies(counts, remedies)
	}
	switch {
	case ctx.Err() != nil:
		return codeError(exitInterrupted)
	case counts[verdictFailed] > 0:
		return codeError(exitError)
	}
	return nil
}

func (d *doctor) printRemedies(counts map[verdict]int, remedies []string) {
	if len(remedies) > 0 {
		fmt.Fprintln(d.stdout, d.paint(text.Bold, "What to do"))
	}
	for i, r := range remedies {
		fmt.Fprintf(d.stdout, "  %d. %s\n", i+1, printable(r))
	}
	var parts []string
	for _, v := range []verdict{verdictOK, verdictWarning, verdictFailed, verdictSkipped} {
		if counts[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[v], v))
		}
	}
	fmt.Fprintf(d.stdout, "Doctor: %s.\n", strings.Join(parts, ", "))
}
