package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are set by a release with -ldflags "-X main.version=… -X main.commit=…".
var version, commit string

// buildVersion returns what is known of this build. Where no release set the version, Go's build information
// has that of the module, and the commit if the build recorded it.
func buildVersion() (string, string) {
	v, c := version, commit
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && c == "" {
				c = s.Value
			}
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v, c
}

func versionCommand(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version, the commit and the Go release of this program, and what system it is
for. Nobody is asked whether there is a newer one.`,
		Example: `  plumbline version
  plumbline version -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v, c := buildVersion()
			switch output {
			case "json":
				return writeJSON(a.stdout, map[string]string{"version": v, "commit": c, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			case "text":
				if c != "" {
					v += " (" + c + ")"
				}
				_, err := fmt.Fprintf(a.stdout, "plumbline %s %s %s/%s\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
				return err
			}
			return badOutput(output, "text", "json")
		},
	}
	outputFlag(cmd, &output, "text or json")
	return cmd
}
