package main

import (
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/web"
)

func emulatorCommand(a *app) *cobra.Command {
	var listen string
	var opts emulator.Options
	cmd := &cobra.Command{
		Use:   "emulator",
		Short: "Serve an AWS CodePipeline of your own on this machine",
		Long: `Serve CodePipeline, the tagging API, CloudTrail, SQS and STS on one address, for all regions: for
trying things out and for tests. Nothing is kept when it ends. Any credentials do; an
access key id of twelve digits chooses the account.

Executions walk their stages; approvals wait for put-approval-result unless --auto-approve is
given. Faults, outcomes of executions, changes of sources and the queues that get events can be
set over HTTP; see the package documentation of github.com/plumbline/plumbline/emulator.`,
		Example: `  plumbline emulator --listen 127.0.0.1:4566
  plumbline emulator --action-duration 2m --speed 60   # an action takes two seconds
  aws --endpoint-url http://127.0.0.1:4566 codepipeline list-pipelines --region us-east-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Speed < 0 {
				return fmt.Errorf("--speed %g is below 0", opts.Speed)
			}
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("listening on %s: %w", listen, err)
			}
			fmt.Fprintf(a.stdout, "serving CodePipeline on http://%s\n", listener.Addr())
			// Faults may hold a reply back for as long as a test likes.
			return web.Serve(cmd.Context(), listener, emulator.New(opts), web.ServeConfig{WriteTimeout: 10 * time.Minute})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:4566", "address to listen on; port 0 takes any")
	cmd.Flags().StringVar(&opts.Account, "account", "", "account of requests whose access key says none (default 123456789012)")
	cmd.Flags().DurationVar(&opts.ActionDuration, "action-duration", 0, "how long each action of an execution takes")
	cmd.Flags().Float64Var(&opts.Speed, "speed", 1, "how many times as fast as real time the emulator's time passes")
	cmd.Flags().BoolVar(&opts.AutoApprove, "auto-approve", false, "let approvals approve themselves, as other actions end")
	return cmd
}
