package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
)

func validateCommand(a *app) *cobra.Command {
	var f worldFlags
	var output string
	cmd := &cobra.Command{
		Use:   "validate [FILE|FOLDER]...",
		Short: "Check pipeline files without AWS",
		Long: `Check pipeline files against the service's rules, without asking AWS. Without
arguments the sources of the configuration are checked, as each target sees them.

Exit codes: 0 no problem of severity error; 1 any, or the files cannot be read.`,
		Example: `  plumbline validate pipelines/
  plumbline validate pipelines/web.json -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return badOutput(output, "text", "json")
			}
			files, problems, err := a.validate(cmd, &f, args)
			if err != nil {
				return err
			}
			if output == "json" {
				if problems == nil {
					problems = []pipeline.Problem{}
				}
				err = writeJSON(a.stdout, struct {
					Files    int                `json:"files"`
					Problems []pipeline.Problem `json:"problems"`
				}{files, problems})
			} else {
				a.printProblems(a.stdout, problems)
				fmt.Fprintln(a.stderr, problemSummary(files, problems))
			}
			if err == nil && pipeline.HasErrors(problems) {
				return codeError(exitError)
			}
			return err
		},
	}
	f.addConfig(cmd)
	f.addSource(cmd)
	outputFlag(cmd, &output, "text or json")
	return cmd
}

// validate checks what the arguments or the configuration name. Arguments are always paths here.
func (a *app) validate(cmd *cobra.Command, f *worldFlags, args []string) (files int, problems []pipeline.Problem, err error) {
	cfg, err := a.settings(f)
	if err != nil {
		return 0, nil, err
	}
	w := &world{cfg: cfg}
	stateDir, err := a.writableState(cfg)
	if err != nil {
		return 0, nil, err
	}
	if w.origins, err = openOrigins(cfg, f, args, stateDir); err != nil {
		return 0, nil, err
	}
	tree, err := w.read(cmd.Context())
	if err != nil {
		return 0, nil, err
	}
	return tree.Files(), tree.Problems(offlineTargets(cfg)), nil
}

// offlineTargets are the configured targets as documents see them. An account that only AWS could tell is
// left open.
func offlineTargets(cfg *config.Config) []pipeline.Target {
	targets := []pipeline.Target{}
	for _, t := range cfg.Targets {
		targets = append(targets, pipeline.Target{
			Name: t.Name, Region: t.Region, Account: t.Account, Partition: pipeline.Partition(t.Region), Vars: t.Vars, Rules: severities(cfg),
		})
	}
	if len(targets) == 0 {
		targets = append(targets, pipeline.Target{Rules: severities(cfg)})
	}
	return targets
}
