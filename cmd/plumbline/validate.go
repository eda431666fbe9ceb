package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

func validateCommand(a *app) *cobra.Command {
	var f worldFlags
	var output string
	var live bool
	cmd := &cobra.Command{
		Use:   "validate [FILE|FOLDER|-]...",
		Short: "Check pipeline files without AWS",
		Long: `Check pipeline files against the service's rules, without asking AWS. Without
arguments the sources of the configuration are checked, as each target sees them;
"-" is standard input. ` + "`plumbline explain RULE`" + ` says more about a rule.

With --live each target is asked once, with three or four calls, for its account and
its action types and rule types, custom ones too; these are then checked as well.
--region, --target, --profile and --endpoint-url say whom to ask.

Outputs: text; json; github shows problems beside the lines of a pull request;
sarif is for code scanning services.

Exit codes: 0 no problem of severity error; 1 any, or the files cannot be read, or a
target cannot be asked.`,
		Example: `  plumbline validate pipelines/
  plumbline validate pipelines/web.json -o json
  plumbline validate pipelines/ --live --region us-east-1
  aws codepipeline get-pipeline --name web | plumbline validate -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(validateOutputs, output) {
				return badOutput(output, validateOutputs...)
			}
			for _, name := range []string{"region", "target", "profile", "endpoint-url"} {
				if cmd.Flags().Changed(name) && !live {
					return hinted{fmt.Errorf("--%s says whom to ask, and without --live nobody is asked", name), "add --live, or leave it out"}
				}
			}
			tree, problems, err := a.validate(cmd.Context(), &f, args, live)
			if err != nil {
				return err
			}
			if err := a.printValidation(output, tree, problems); err != nil {
				return err
			}
			if pipeline.HasErrors(problems) {
				return codeError(exitError)
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault) // paths
	f.addConfig(cmd)
	f.addSource(cmd)
	f.addTargets(a, cmd)
	cmd.Flags().BoolVar(&live, "live", false, "ask each target which action types and rule types it has")
	outputFlag(cmd, &output, strings.Join(validateOutputs, ", "))
	return cmd
}

var validateOutputs = []string{"text", "json", "github", "sarif"}

func (a *app) printValidation(output string, tree *sync.Tree, problems []pipeline.Problem) error {
	switch output {
	case "json":
		if problems == nil {
			problems = []pipeline.Problem{}
		}
		return writeJSON(a.stdout, struct {
			Files    int                `json:"files"`
			Problems []pipeline.Problem `json:"problems"`
		}{tree.Files(), problems})
	case "sarif":
		return writeJSON(a.stdout, sarif(problems))
	case "github":
		printGitHub(a.stdout, problems)
	default:
		excerpts := tree.Text
		if !a.terminal {
			excerpts = nil
		}
		a.printProblems(a.stdout, problems, excerpts)
	}
	fmt.Fprintln(a.stderr, problemSummary(tree.Files(), problems))
	return nil
}

// validate checks what the arguments or the configuration name. Arguments are always paths here.
func (a *app) validate(ctx context.Context, f *worldFlags, args []string, live bool) (*sync.Tree, []pipeline.Problem, error) {
	cfg, err := a.settings(f)
	if err != nil {
		return nil, nil, err
	}
	w := &world{cfg: cfg}
	targets := offlineTargets(cfg)
	if live {
		if targets, err = a.liveTargets(ctx, f, cfg); err != nil {
			return nil, nil, err
		}
	}
	stateDir, err := a.writableState(cfg)
	if err != nil {
		return nil, nil, err
	}
	if w.origins, err = a.openOrigins(cfg, f, args, stateDir); err != nil {
		return nil, nil, err
	}
	tree, err := w.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	return tree, tree.Problems(targets), nil
}

// offlineTargets are the configured targets as documents see them. An account that only AWS could tell is
// left open.
func offlineTargets(cfg *config.Config) []pipeline.Target {
	targets := []pipeline.Target{}
	for _, t := range cfg.Targets {
		targets = append(targets, offlineTarget(cfg, &t))
	}
	if len(targets) == 0 {
		targets = append(targets, pipeline.Target{Rules: severities(cfg), Allow: (*pipeline.Fences)(&cfg.Policy.Allow)})
	}
	return targets
}

func offlineTarget(cfg *config.Config, t *config.Target) pipeline.Target {
	return pipeline.Target{
		Name: t.Name, Region: t.Region, Account: t.Account, Partition: pipeline.Partition(t.Region), Vars: t.Vars, Rules: severities(cfg),
		Allow: (*pipeline.Fences)(&t.Policy.Allow),
	}
}

// liveTargets are the targets that the flags and the configuration name, each asked for its account and its types.
func (a *app) liveTargets(ctx context.Context, f *worldFlags, cfg *config.Config) ([]pipeline.Target, error) {
	chosen, err := a.chooseTargets(f, cfg)
	if err != nil {
		return nil, err
	}
	targets := make([]pipeline.Target, len(chosen))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxAsked)
	for i := range chosen {
		group.Go(func() (err error) {
			targets[i], err = a.liveTarget(ctx, f, cfg, &chosen[i])
			return err
		})
	}
	return targets, group.Wait()
}

// maxAsked is how many targets are asked side by side.
const maxAsked = 8

func (a *app) liveTarget(ctx context.Context, f *worldFlags, cfg *config.Config, t *config.Target) (pipeline.Target, error) {
	target := offlineTarget(cfg, t)
	r, err := a.reader(ctx, f, cfg, *t, readerOptions{})
	if err != nil {
		return target, err
	}
	id, err := r.Identity(ctx)
	if err != nil {
		return target, fmt.Errorf("target %s: %w", t.Name, err)
	}
	target.Account = id.Account
	if target.Types, err = r.Types(ctx); err != nil {
		return target, fmt.Errorf("target %s: %w", t.Name, err)
	}
	return target, nil
}
