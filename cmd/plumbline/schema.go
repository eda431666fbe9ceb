package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
)

func schemaCommand(a *app) *cobra.Command {
	schemas := map[string]func() []byte{"pipeline": pipeline.JSONSchema, "config": config.JSONSchema}
	return &cobra.Command{
		Use:   "schema [pipeline|config]",
		Short: "Print the JSON Schema of pipeline files or of plumbline.yaml, for editors",
		Long: `Print the JSON Schema (draft 2020-12) of pipeline files, which is the default, or of
plumbline.yaml. With it an editor completes names, shows what a field means and marks what
AWS would refuse in the form of single values; plumbline validate knows more.

In Visual Studio Code (.vscode/settings.json; yaml.schemas needs the YAML extension of
Red Hat):

  {
    "json.schemas": [
      {"fileMatch": ["pipelines/**/*.json"], "url": "./pipeline.schema.json"}
    ],
    "yaml.schemas": {"./config.schema.json": "plumbline.yaml"}
  }

A pipeline file may also name it: "$schema": "../pipeline.schema.json". That line is never
sent to AWS. Keep the schema outside the folder that plumbline reads.`,
		Example: `  plumbline schema >pipeline.schema.json
  plumbline schema config >config.schema.json`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"pipeline", "config"},
		RunE: func(_ *cobra.Command, args []string) error {
			name := "pipeline"
			if len(args) > 0 {
				name = args[0]
			}
			_, err := fmt.Fprintf(a.stdout, "%s", schemas[name]())
			return err
		},
	}
}
