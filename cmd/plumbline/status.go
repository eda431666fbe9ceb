package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

func statusCommand(a *app) *cobra.Command {
	var f worldFlags
	var url, output string
	var health bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask a running daemon how things are",
		Long: `Ask a running daemon how its sources, targets and pipelines are.

Exit codes: 0 everything is in order; 1 an error, or the daemon cannot be asked;
2 something needs a person: a pipeline that is not in sync, a change that is held.

With --health it asks only whether the daemon itself works and prints nothing then: for
health checks of containers. AWS or git being away is no reason to restart it.`,
		Example: `  plumbline status
  plumbline status --url http://127.0.0.1:9090 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return badOutput(output, "text", "json")
			}
			address, err := a.statusURL(&f, url)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
			defer cancel()
			client := &web.Client{URL: address}
			const hint = "is the daemon running? --url names another address"
			if health {
				if err := client.Health(ctx); err != nil {
					return hinted{err, hint}
				}
				return nil
			}
			status, err := client.Status(ctx)
			if err != nil {
				return hinted{err, hint}
			}
			if output == "json" {
				err = writeJSON(a.stdout, status)
			} else {
				a.printStatus(status)
			}
			if err == nil && troubles(status) > 0 {
				return codeError(exitDifferences)
			}
			return err
		},
	}
	f.addConfig(cmd)
	cmd.Flags().StringVar(&url, "url", "", "address of the daemon (default web.listen of the configuration, else http://127.0.0.1:8080)")
	cmd.Flags().BoolVar(&health, "health", false, "ask only whether the daemon works; exit code 0 or 1")
	outputFlag(cmd, &output, "text or json")
	return cmd
}

// statusURL returns the address of the daemon.
func (a *app) statusURL(f *worldFlags, url string) (string, error) {
	if url == "" {
		cfg, err := a.settings(f)
		if err != nil {
			return "", err
		}
		url = cfg.Web.Listen
		if url == "" {
			url = config.Default().Web.Listen
		}
		url = strings.Replace(url, "0.0.0.0:", "127.0.0.1:", 1)
		if strings.HasPrefix(url, ":") {
			url = "127.0.0.1" + url
		}
	}
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	return url, nil
}

// troubles counts what needs a person.
func troubles(s *web.Status) int {
	n := 0
	for _, src := range s.Sources {
		if src.Error != "" {
			n++
		}
	}
	for _, t := range s.Targets {
		if t.Error != "" {
			n++
		}
		for _, p := range t.Pipelines {
			if worthALine(t, p) && p.Status != sync.StatusInvalid { // which its file's errors count for
				n++
			}
		}
	}
	return n + len(fileErrors(s))
}

// worthALine reports whether a pipeline has more to tell than its target: one that is not known because the target
// cannot be seen has not.
func worthALine(t sync.TargetDocument, p sync.StateDocument) bool {
	return p.Status != sync.StatusSynced && p.Status != "" && (t.Error == "" || p.Why != t.Error)
}

// fileErrors returns what is wrong with files, each once. A new file that cannot be read stands for no pipeline,
// so this is the only place that tells of it.
func fileErrors(s *web.Status) []pipeline.Problem {
	var all []pipeline.Problem
	for _, t := range s.Targets {
		for _, p := range t.Problems {
			if p.Severity == pipeline.Error && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	pipeline.SortProblems(all)
	return all
}

func (a *app) printStatus(s *web.Status) {
	w := a.stdout
	fmt.Fprintf(w, "plumbline %s, instance %s\n", s.Version, s.Instance)
	for _, src := range s.Sources {
		at := short(src.Commit)
		switch {
		case src.Revision == "":
			at = "not read yet"
		case at == "":
			at = "a folder"
		}
		fmt.Fprintf(w, "source %s: %s, %s\n", printable(src.Name), at, count(src.Files, "file"))
		if src.Error != "" {
			fmt.Fprintf(w, "  %s cannot be read since %s: %s\n", a.paint(text.FgRed, "!"), a.when(src.Since), printable(src.Error))
		}
	}
	a.printProblems(w, fileErrors(s), nil)
	held := map[string]sync.ChangeDocument{}
	for _, c := range s.Changes {
		held[c.Target+"\x00"+c.Pipeline] = c
	}
	for _, t := range s.Targets {
		a.printTarget(t, held)
	}
	switch n := troubles(s); {
	case len(s.Targets) == 0:
		fmt.Fprintln(w, "No target has been looked at yet.")
	case n == 0:
		fmt.Fprintln(w, "Everything is in order.")
	case n == 1:
		fmt.Fprintln(w, "1 thing needs you.")
	default:
		fmt.Fprintf(w, "%d things need you.\n", n)
	}
}

func (a *app) printTarget(t sync.TargetDocument, changes map[string]sync.ChangeDocument) {
	w := a.stdout
	counts := map[sync.Status]int{}
	for _, p := range t.Pipelines {
		counts[p.Status]++
	}
	fmt.Fprintf(w, "target %s %s (%s): %d synced, looked at %s\n", t.Name, t.Region, or(t.Account), counts[sync.StatusSynced], a.when(t.Finished))
	if t.Error != "" {
		fmt.Fprintf(w, "  %s %s\n", a.paint(text.FgRed, "!"), printable(t.Error))
	}
	told := map[journal.Suspension]bool{}
	for _, p := range t.Pipelines {
		if s := p.Suspended; s != nil {
			suspension := journal.Suspension{Target: s.Target, Pipeline: s.Pipeline, By: s.By, Reason: s.Reason, Since: s.Since, Until: s.Until}
			if !told[suspension] {
				a.printSuspension(w, suspension)
			}
			told[suspension] = true
		}
		if !worthALine(t, p) {
			continue
		}
		why := p.Why
		if c, ok := changes[t.Name+"\x00"+p.Name]; ok {
			why = string(c.Outcome)
			switch {
			case c.Hold != "":
				why += " (" + string(c.Hold) + "): " + c.Reason
			case c.Error != "":
				why += ": " + c.Error
			}
		}
		if p.By != nil {
			why = p.By.Sentence() + "; " + why
		}
		fmt.Fprintf(w, "  %s %s: %s; %s\n", a.paint(text.FgYellow, "!"), printable(p.Name), p.Status, printable(why))
	}
}

func short(commit string) string { return commit[:min(12, len(commit))] }
