package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/sync"
)

// listed is one pipeline of the list.
type listed struct {
	Target    string         `json:"target"`
	Account   string         `json:"account"`
	Region    string         `json:"region"`
	Name      string         `json:"name"`
	Version   int64          `json:"version"`
	Type      string         `json:"type,omitempty"`
	Mode      string         `json:"mode,omitempty"`
	Created   time.Time      `json:"created"`
	Updated   time.Time      `json:"updated"`
	Ownership sync.Ownership `json:"ownership,omitempty"`
	Owner     string         `json:"owner,omitempty"`
	Source    string         `json:"source,omitempty"`
}

func listCommand(a *app) *cobra.Command {
	var f worldFlags
	var output string
	var unmanaged bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the pipelines of all regions in one table",
		Long: `List the pipelines of all targets in one table, with version, type, execution mode,
last update, and whose they are: managed (by this instance of plumbline), foreign
(CloudFormation's, or another instance's) or unmanaged. --unmanaged leaves out the managed
ones: what is left is what "plumbline import" and "plumbline adopt" are for.

Exit codes: 0 done; 1 a target could not be listed (the others are).`,
		Example: `  plumbline list --region us-east-1 --region eu-west-1
  plumbline list --unmanaged
  plumbline list -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return badOutput(output, "text", "json")
			}
			rows, failures, err := a.list(cmd.Context(), &f)
			if err != nil {
				return err
			}
			if unmanaged {
				rows = slices.DeleteFunc(rows, func(r listed) bool { return r.Ownership == sync.Managed })
			}
			if output == "json" {
				err = writeJSON(a.stdout, struct {
					Pipelines []listed `json:"pipelines"`
					Errors    []string `json:"errors"`
				}{rows, failures})
			} else {
				a.printList(rows)
			}
			for _, failure := range failures {
				fmt.Fprintf(a.stderr, "plumbline: error: %s\n", printable(failure))
			}
			if len(failures) > 0 {
				return codeError(exitError)
			}
			return err
		},
	}
	f.addConfig(cmd)
	f.addTargets(a, cmd)
	outputFlag(cmd, &output, "text or json")
	cmd.Flags().BoolVar(&unmanaged, "unmanaged", false, "leave out the pipelines that are managed by this instance")
	return cmd
}

// list asks all targets side by side.
func (a *app) list(ctx context.Context, f *worldFlags) (rows []listed, failures []string, err error) {
	cfg, err := a.settings(f)
	if err != nil {
		return nil, nil, err
	}
	targets, err := a.chooseTargets(f, cfg)
	if err != nil {
		return nil, nil, err
	}
	found, errs := make([][]listed, len(targets)), make([]error, len(targets))
	var group errgroup.Group
	for i, t := range targets {
		r, err := a.reader(ctx, f, cfg, t, readerOptions{})
		if err != nil {
			return nil, nil, err
		}
		group.Go(func() error {
			found[i], errs[i] = listTarget(ctx, cfg, t, r)
			return nil
		})
	}
	_ = group.Wait() // the functions return no errors
	rows, failures = []listed{}, []string{}
	for i, t := range targets {
		rows = append(rows, found[i]...)
		if errs[i] != nil {
			failures = append(failures, fmt.Sprintf("target %s: %v", t.Name, errs[i]))
		}
	}
	return rows, failures, nil
}

// askForTags is up to how many pipelines of a target are asked for their tags one by one, where the listing
// of tags does not have them. Pipelines without any tag are never in that listing; if one of them turns out to
// have some, the listing cannot be trusted and all are asked.
const askForTags = 30

func listTarget(ctx context.Context, cfg *config.Config, t config.Target, r *live.Reader) ([]listed, error) {
	id, err := r.Identity(ctx)
	if err != nil {
		return nil, err
	}
	inventory, err := r.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	sources := make([]string, len(cfg.Sources))
	for i, s := range cfg.Sources {
		sources[i] = s.Name
	}
	asked, trusted := 0, true
	rows := make([]listed, 0, len(inventory.Pipelines))
	for _, p := range inventory.Pipelines {
		if p.Tags == nil && (asked < askForTags || !trusted) {
			asked++
			if p.Tags, err = r.Tags(ctx, p.Name); err != nil && live.ClassOf(err) != live.NotFound {
				return nil, err
			}
			trusted = trusted && len(p.Tags) == 0
		}
		row := listed{
			Target: t.Name, Account: id.Account, Region: t.Region, Name: p.Name, Version: p.Version, Type: p.Type, Mode: p.Mode,
			Created: p.Created, Updated: p.Updated, Source: p.Tags[sync.TagSource],
		}
		if p.Tags != nil || inventory.TagsErr == nil {
			row.Ownership, row.Owner = sync.Owner(p.Tags, cfg.Name, sourcesOr(sources, p.Tags))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// sourcesOr lets any source of our instance count as ours where no configuration says which there are.
func sourcesOr(sources []string, tags map[string]string) []string {
	if len(sources) > 0 {
		return sources
	}
	name, _, _ := strings.Cut(tags[sync.TagSource], ":")
	return []string{name}
}

func (a *app) printList(rows []listed) {
	t := newTable("region", "account", "name", "version", "type", "mode", "updated", "whose")
	for _, r := range rows {
		whose := string(r.Ownership)
		switch {
		case r.Ownership == sync.Managed:
			whose += " (" + r.Source + ")"
		case r.Owner != "":
			whose += " (" + r.Owner + ")"
		}
		t.AppendRow(table.Row{r.Region, r.Account, printable(r.Name), r.Version, or(r.Type), or(r.Mode), a.when(r.Updated), or(printable(whose))})
	}
	for line := range strings.Lines(t.Render()) {
		fmt.Fprintln(a.stdout, strings.TrimRight(line, " \n"))
	}
	fmt.Fprintln(a.stderr, count(len(rows), "pipeline")+ownershipWords(rows))
}

// newTable begins a table without lines.
func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleDefault)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Box.PaddingLeft = ""
	t.Style().Box.PaddingRight = "  "
	t.Style().Format.Header = text.FormatUpper
	t.AppendHeader(header)
	return t
}

// ownershipWords sums up whose pipelines are: ": 3 managed, 1 foreign".
func ownershipWords(rows []listed) string {
	counts := map[sync.Ownership]int{}
	for _, r := range rows {
		counts[r.Ownership]++
	}
	var parts []string
	for _, o := range []sync.Ownership{sync.Managed, sync.Unmanaged, sync.Foreign} {
		if counts[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[o], o))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// when shows a time: how long ago for people, the exact time for everything else.
func (a *app) when(t time.Time) string {
	switch {
	case t.IsZero():
		return "-"
	case a.terminal:
		return humanize.Time(t)
	}
	return t.UTC().Format(time.RFC3339)
}
