package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
)

func configCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show the configuration",
		Long: `Check and show the configuration: the file, over it the PLUMBLINE_… variables, under it
the defaults. Nothing outside this machine is asked; "plumbline doctor" does that.`,
		Example: `  plumbline config check
  plumbline config show -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(configCheckCommand(a), configShowCommand(a))
	return cmd
}

func configCheckCommand(a *app) *cobra.Command {
	var f worldFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, as the daemon would before it takes it",
		Long: `Check the configuration file and the PLUMBLINE_… variables. Everything that is wrong is
told at once, with its place; so is what is legal and probably a mistake.

Exit codes: 0 it can be used; 1 it cannot.`,
		Example: `  plumbline config check
  plumbline config check --config staging.yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, path, err := a.daemonConfig(&f)
			if err != nil {
				return err
			}
			for _, w := range config.Warnings(cfg) {
				fmt.Fprintf(a.stdout, "%s: %s\n", a.paint(text.FgYellow, "warning"), w)
			}
			fmt.Fprintf(a.stdout, "%s is good: %s, %s\n", relative(path), count(len(cfg.Sources), "source"), count(len(cfg.Targets), "target"))
			return nil
		},
	}
	f.addConfig(cmd)
	return cmd
}

func configShowCommand(a *app) *cobra.Command {
	var f worldFlags
	var output string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show every value in force and where it comes from",
		Long: `Show every value in force and where it comes from: the file, an environment variable, or
the default. Secrets are in files of their own, of which only the paths are shown.

Exit codes: 0 done; 1 the configuration cannot be used.`,
		Example: `  plumbline config show
  PLUMBLINE_POLICY_MODE=detect plumbline config show -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, path, err := a.daemonConfig(&f)
			if err == nil {
				cfg, err = config.Load(path, a.environ) // with the default of state.dir, which commands replace
			}
			if err != nil {
				return err
			}
			values := config.Show(cfg)
			switch output {
			case "json":
				return writeJSON(a.stdout, values)
			case "text":
				for _, v := range values {
					fmt.Fprintln(a.stdout, v)
				}
				return nil
			}
			return badOutput(output, "text", "json")
		},
	}
	f.addConfig(cmd)
	outputFlag(cmd, &output, "text or json")
	return cmd
}
