package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

func validateCommand(a *app) *cobra.Command {
	var f worldFlags
	var output string
	cmd := &cobra.Command{
		Use:   "validate [FILE|FOLDER|-]...",
		Short: "Check pipeline files without AWS",
		Long: `Check pipeline files against the service's rules, without asking AWS. Without
arguments the sources of the configuration are checked, as each target sees them;
"-" is standard input. ` + "`plumbline explain RULE`" + ` says more about a rule.

Outputs: text; json; github shows problems beside the lines of a pull request;
sarif is for code scanning services.

Exit codes: 0 no problem of severity error; 1 any, or the files cannot be read.`,
		Example: `  plumbline validate pipelines/
  plumbline validate pipelines/web.json -o json
  aws codepipeline get-pipeline --name web | plumbline validate -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(validateOutputs, output) {
				return badOutput(output, validateOutputs...)
			}
			tree, problems, err := a.validate(cmd, &f, args)
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
func (a *app) validate(cmd *cobra.Command, f *worldFlags, args []string) (*sync.Tree, []pipeline.Problem, error) {
	cfg, err := a.settings(f)
	if err != nil {
		return nil, nil, err
	}
	w := &world{cfg: cfg}
	stateDir, err := a.writableState(cfg)
	if err != nil {
		return nil, nil, err
	}
	if w.origins, err = a.openOrigins(cfg, f, args, stateDir); err != nil {
		return nil, nil, err
	}
	tree, err := w.read(cmd.Context())
	if err != nil {
		return nil, nil, err
	}
	return tree, tree.Problems(offlineTargets(cfg)), nil
}

// offlineTargets are the configured targets as documents see them. An account that only AWS could tell is
// left open.
func offlineTargets(cfg *config.Config) []pipeline.Target {
	targets := []pipeline.Target{}
	for _, t := range cfg.Targets {
		targets = append(targets, pipeline.Target{
			Name: t.Name, Region: t.Region, Account: t.Account, Partition: pipeline.Partition(t.Region), Vars: t.Vars, Rules: severities(cfg),
			Allow: (*pipeline.Fences)(&t.Policy.Allow),
		})
	}
	if len(targets) == 0 {
		targets = append(targets, pipeline.Target{Rules: severities(cfg), Allow: (*pipeline.Fences)(&cfg.Policy.Allow)})
	}
	return targets
}
