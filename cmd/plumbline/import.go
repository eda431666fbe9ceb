package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// importFlags are the flags of import.
type importFlags struct {
	worldFlags
	force, tags bool
	secrets     []string
	output      string
}

func importCommand(a *app) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import [PIPELINE]...",
		Short: "Write live pipelines into files",
		Long: `Write the live pipelines of all targets, or those named, into files in the folder --dir,
and end with a plan of them, in which nothing differs. Nothing in AWS is changed.

With one target the files stand in the folder itself. With several, a pipeline that all of
them have, the same but for account, region and partition, stands once in all/, with
${target.account}, ${target.region} and ${target.partition} where its targets differ;
any other stands in the folder of its target. That is layout: by-target.

What AWS fills in is left out: version, defaults, triggers that it made. Tags are written
with --tags only, since a file with tags sets them. A secret, which AWS shows as ****, is
never written: name its place with --secret KEY={{resolve:…}}, or the pipeline is left
out. Pipelines of CloudFormation and of others are left out unless they are named.

A file that says the same already is left as it is. Any other that is there is kept, and
told of, unless --force.

Exit codes: 0 done; 1 an error, or the plan is not empty; 3 a pipeline was left out that
needs a word of yours.`,
		Example: `  plumbline import --dir pipelines --region us-east-1 --region eu-west-1
  plumbline import web api --dir pipelines
  plumbline import --dir pipelines --secret 'OAuthToken={{resolve:secretsmanager:github:SecretString:token}}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.output != "text" && f.output != "json" {
				return badOutput(f.output, "text", "json")
			}
			if f.dir == "" {
				return hinted{errors.New("no folder to write to is given"), "name one with --dir; it is made if it is not there"}
			}
			i, err := a.newImporter(&f, args)
			if err != nil {
				return err
			}
			return i.run(cmd.Context())
		},
	}
	f.addConfig(cmd)
	f.addTargets(a, cmd)
	cmd.Flags().StringVar(&f.dir, "dir", "", "the folder to write to")
	cmd.Flags().BoolVar(&f.force, "force", false, "write over files that say something else")
	cmd.Flags().BoolVar(&f.tags, "tags", false, "write the pipelines' tags too, but for those of AWS and of plumbline")
	cmd.Flags().StringArrayVar(&f.secrets, "secret", nil, "KEY=REFERENCE or PIPELINE/KEY=REFERENCE: where the secret of a setting is kept; may be given several times")
	outputFlag(cmd, &f.output, "text or json")
	cmd.ValidArgsFunction = a.pipelineNames(&f.worldFlags)
	return cmd
}

// importer is one import.
type importer struct {
	*app
	flags   *importFlags
	cfg     *config.Config
	names   []string          // "" for all
	secrets map[string]string // :: KEY or PIPELINE/KEY → reference
	targets []config.Target   // that are looked at
	all     []string          // the names of all targets that there are
	live    []liveDocument
	known   []string // the names of all live pipelines
	results []imported
}

// liveDocument is one live pipeline of one target, and what a file says for it.
type liveDocument struct {
	name        string
	target      pipeline.Target
	declaration *pipeline.Node // as AWS shows it
	file        *pipeline.Node // the whole file, no variables in it
	tags        map[string]string
}

// Outcomes of an import.
const (
	fileWritten = "written"
	fileKept    = "unchanged" // a file says the same already
	fileSkipped = "left out"
)

// imported is what became of one pipeline.
type imported struct {
	Pipeline string   `json:"pipeline"`
	Targets  []string `json:"targets"`
	Outcome  string   `json:"outcome"`
	File     string   `json:"file,omitempty"` // below the folder
	Reason   string   `json:"reason,omitempty"`
	wanting  bool     // a person has to say something before it can be written
}

func (a *app) newImporter(f *importFlags, names []string) (*importer, error) {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return nil, err
	}
	targets, err := a.chooseTargets(&f.worldFlags, cfg)
	if err != nil {
		return nil, err
	}
	i := &importer{app: a, flags: f, cfg: cfg, names: names, targets: targets}
	for _, t := range cfg.Targets {
		i.all = append(i.all, t.Name)
	}
	if len(i.all) == 0 {
		for _, t := range targets {
			i.all = append(i.all, t.Name)
		}
	}
	f.layout = sync.Everywhere
	if len(i.all) > 1 || len(cfg.Sources) == 1 && cfg.Sources[0].Layout == config.LayoutByTarget {
		f.layout = sync.ByTarget
	}
	i.secrets, err = secretReferences(f.secrets)
	return i, err
}

// reference is the form of a reference to a secret, as CloudFormation writes it.
var reference = regexp.MustCompile(`^\{\{resolve:(secretsmanager|ssm-secure):[^{}\s]+\}\}$`)

// secretReferences reads the values of --secret. None of them is repeated in an error: it may be the secret itself.
func secretReferences(flags []string) (map[string]string, error) {
	found := map[string]string{}
	for _, flag := range flags {
		key, value, _ := strings.Cut(flag, "=")
		if key == "" || !reference.MatchString(value) {
			return nil, hinted{
				errors.New("--secret takes KEY=REFERENCE, and one of them has another form"),
				"for example --secret 'OAuthToken={{resolve:secretsmanager:github:SecretString:token}}', or {{resolve:ssm-secure:NAME}}; the secret itself does not belong into a file",
			}
		}
		found[key] = value
	}
	return found, nil
}

func (i *importer) run(ctx context.Context) error {
	if err := i.read(ctx); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	if len(i.live) > 0 { // else not even the folder is made
		if err := i.write(ctx); err != nil {
			return err
		}
	}
	if i.flags.output == "text" {
		i.printResults()
	}
	reports, err := i.plan(ctx)
	if err != nil {
		return err
	}
	if i.flags.output == "json" {
		if err := writeJSON(i.stdout, struct {
			Pipelines []imported    `json:"pipelines"`
			Plan      sync.Document `json:"plan"`
		}{append([]imported{}, i.results...), sync.NewDocument(reports)}); err != nil {
			return err
		}
	} else {
		i.printNext()
	}
	differs := slices.ContainsFunc(reports, func(r *sync.Report) bool {
		return slices.ContainsFunc(r.Changes, func(c sync.Change) bool { return c.Differs() })
	})
	switch {
	case differs || failed(reports):
		return codeError(exitError)
	case slices.ContainsFunc(i.results, func(r imported) bool { return r.wanting }):
		return codeError(exitHeld)
	}
	return nil
}

// read fetches what is live in all targets, side by side. It is whole or an error: what a file in all/ may say
// follows from all of them.
func (i *importer) read(ctx context.Context) error {
	found, left, names := make([][]liveDocument, len(i.targets)), make([][]imported, len(i.targets)), make([][]string, len(i.targets))
	group, ctx := errgroup.WithContext(ctx)
	for n, t := range i.targets {
		r, err := i.reader(ctx, &i.flags.worldFlags, i.cfg, t, readerOptions{})
		if err != nil {
			return err
		}
		group.Go(func() (err error) {
			if found[n], left[n], names[n], err = i.readTarget(ctx, t, r); err != nil {
				return fmt.Errorf("target %s: %w", t.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	i.live, i.known = slices.Concat(found...), slices.Compact(slices.Sorted(slices.Values(slices.Concat(names...))))
	i.results = slices.Concat(left...)
	for _, name := range i.names {
		if slices.Contains(i.known, name) {
			continue
		}
		err := fmt.Errorf("no target has a live pipeline called %s", name)
		if c := pipeline.Closest(name, i.known); c != "" {
			return hinted{err, fmt.Sprintf("did you mean %s?", c)}
		}
		return err
	}
	return nil
}

// readTarget reads one target. left is what is not imported, and why; names are all pipelines there.
func (i *importer) readTarget(ctx context.Context, t config.Target, r *live.Reader) (found []liveDocument, left []imported, names []string, err error) {
	rows, err := listTarget(ctx, i.cfg, t, r)
	if err != nil {
		return nil, nil, nil, err
	}
	documents := make([]*liveDocument, len(rows))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4) // the allowance of requests is the real limit
	for n, row := range rows {
		names = append(names, row.Name)
		named := slices.Contains(i.names, row.Name)
		if len(i.names) > 0 && !named {
			continue
		}
		if row.Ownership == sync.Foreign && !named {
			left = append(left, imported{
				Pipeline: row.Name, Targets: []string{t.Name}, Outcome: fileSkipped,
				Reason: fmt.Sprintf("it is managed by %s; name it to import it all the same", row.Owner),
			})
			continue
		}
		group.Go(func() error {
			d, err := i.readPipeline(ctx, t, r, row)
			documents[n] = d
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, nil, err
	}
	for _, d := range documents {
		if d != nil {
			found = append(found, *d)
		}
	}
	return found, left, names, nil
}

func (i *importer) readPipeline(ctx context.Context, t config.Target, r *live.Reader, row listed) (*liveDocument, error) {
	now, err := r.Pipeline(ctx, row.Name)
	if err != nil {
		if live.ClassOf(err) == live.NotFound {
			return nil, nil // deleted since it was listed
		}
		return nil, err
	}
	d := &liveDocument{
		name: row.Name, declaration: now.Declaration,
		target: pipeline.Target{Name: t.Name, Region: t.Region, Account: row.Account, Partition: pipeline.Partition(t.Region), Vars: t.Vars},
	}
	if i.flags.tags {
		tags, err := r.Tags(ctx, row.Name)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(tags, func(key, _ string) bool {
			return strings.HasPrefix(strings.ToLower(key), "aws:") || strings.HasPrefix(key, pipeline.TagPrefix)
		})
		d.tags = tags
	}
	return d, nil
}

// plan is the plan over the folder, of the pipelines whose files are in it now.
func (i *importer) plan(ctx context.Context) ([]*sync.Report, error) {
	var names []string
	for _, r := range i.results {
		if r.Outcome != fileSkipped {
			names = append(names, r.Pipeline)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	f := &passFlags{worldFlags: i.flags.worldFlags, output: "text"}
	j, err := i.readJournal(f)
	if err != nil {
		return nil, err
	}
	reports, err := i.passes(ctx, f, nil, passOptions{journal: j, only: slices.Compact(slices.Sorted(slices.Values(names)))})
	if i.flags.output == "text" {
		err = i.show(f, reports, "Plan", err)
	}
	return reports, err
}

func (i *importer) printResults() {
	if len(i.results) == 0 {
		fmt.Fprintln(i.stdout, "no pipeline is live there")
	}
	for _, r := range i.results {
		sign := map[string]string{fileWritten: "+", fileKept: "=", fileSkipped: "!"}[r.Outcome]
		line := fmt.Sprintf("%s %s: %s", sign, printable(r.Pipeline), r.Outcome)
		if r.File != "" {
			line += " " + printable(r.File)
		}
		if r.Reason != "" {
			line += "; " + printable(r.Reason)
		}
		fmt.Fprintf(i.stdout, "%s (%s)\n", line, strings.Join(r.Targets, ", "))
	}
}

// printNext says what is left to do.
func (i *importer) printNext() {
	if !slices.ContainsFunc(i.results, func(r imported) bool { return r.Outcome != fileSkipped }) {
		return
	}
	fmt.Fprintf(i.stdout, "\nNext: look through the files in %s and commit them.", i.flags.dir)
	layout := ""
	if i.flags.layout == sync.ByTarget {
		layout = ", layout: by-target"
	}
	switch {
	case len(i.cfg.Sources) == 0:
		fmt.Fprintf(i.stdout, " Put this into %s:\n\n  source: {dir: %q%s}\n", defaultConfig, i.flags.dir, layout)
		if len(i.cfg.Targets) == 0 {
			fmt.Fprintf(i.stdout, "  regions: [%s]\n", strings.Join(i.all, ", "))
		}
	case layout != "" && slices.ContainsFunc(i.cfg.Sources, func(s config.Source) bool { return s.Layout != config.LayoutByTarget }):
		fmt.Fprint(i.stdout, " In the configuration, the source with these files needs\n\n  layout: by-target\n")
	default:
		fmt.Fprintln(i.stdout)
	}
	fmt.Fprintln(i.stdout, "\n`plumbline plan` then shows what is adopted: three tags for each pipeline, and nothing else.\n`plumbline apply` does it.")
}
