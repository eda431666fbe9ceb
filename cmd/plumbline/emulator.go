package main

import (
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/web"
)

func emulatorCommand(a *app) *cobra.Command {
	var listen, faults string
	var opts emulator.Options
	cmd := &cobra.Command{
		Use:   "emulator",
		Short: "Serve an AWS CodePipeline of your own on this machine",
		Long: `Serve CodePipeline, the tagging API, CloudTrail, SQS and STS on one address, for all regions: for
trying things out and for tests. Nothing is kept when it ends. Any credentials do; an
access key id of twelve digits chooses the account.

Executions walk their stages; approvals wait for put-approval-result unless --auto-approve is
given. --faults names a file, in YAML or JSON, of calls that go wrong and of what the service may
do otherwise; docs/guide.md describes it. Faults, outcomes of executions, changes of sources and
the queues that get events can be set over HTTP; see the package documentation of
github.com/plumbline/plumbline/emulator.`,
		Example: `  plumbline emulator --listen 127.0.0.1:4566
  plumbline emulator --action-duration 2m --speed 60   # an action takes two seconds
  plumbline emulator --faults faults.yaml
  aws --endpoint-url http://127.0.0.1:4566 codepipeline list-pipelines --region us-east-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Speed < 0 {
				return fmt.Errorf("--speed %g is below 0", opts.Speed)
			}
			server, err := newEmulator(opts, faults)
			if err != nil {
				return err
			}
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("listening on %s: %w", listen, err)
			}
			fmt.Fprintf(a.stdout, "serving CodePipeline on http://%s\n", listener.Addr())
			// Faults may hold a reply back for as long as a test likes.
			return web.Serve(cmd.Context(), listener, server, web.ServeConfig{WriteTimeout: 10 * time.Minute})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:4566", "address to listen on; port 0 takes any")
	cmd.Flags().StringVar(&faults, "faults", "", "file of calls that go wrong")
	cmd.Flags().StringVar(&opts.Account, "account", "", "account of requests whose access key says none (default 123456789012)")
	cmd.Flags().DurationVar(&opts.ActionDuration, "action-duration", 0, "how long each action of an execution takes")
	cmd.Flags().Float64Var(&opts.Speed, "speed", 1, "how many times as fast as real time the emulator's time passes")
	cmd.Flags().BoolVar(&opts.AutoApprove, "auto-approve", false, "let approvals approve themselves, as other actions end")
	return cmd
}

// newEmulator is an emulator with the faults and variants of a file; path is empty for none.
func newEmulator(opts emulator.Options, path string) (*emulator.Server, error) {
	if path == "" {
		return emulator.New(opts), nil
	}
	file, err := config.LoadFaults(path, config.FaultWords{
		Actions: emulator.FaultActions(), Operations: emulator.Operations(),
		Check: func(rule config.FaultRule) error { f := faultOf(rule); return f.Check() },
	})
	if err != nil {
		return nil, err
	}
	server := emulator.New(withVariants(opts, file.Variants))
	for _, rule := range file.Faults {
		if err := server.AddFault(faultOf(rule)); err != nil { // there are too many
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return server, nil
}

func faultOf(r config.FaultRule) emulator.Fault {
	return emulator.Fault{
		Operation: r.Operation, Account: r.Account, Region: r.Region, Pipeline: r.Pipeline,
		Nth: r.Nth, Count: r.Count, Probability: r.Probability, Seed: uint64(r.Seed),
		Action: r.Action, Code: r.Code, Message: r.Message, Status: r.Status, Delay: r.Delay,
		Writes: r.Writes, Rate: r.Rate, Burst: r.Burst, Tags: r.Tags,
	}
}

func withVariants(opts emulator.Options, v config.Variants) emulator.Options {
	opts.CreateOnUpdate, opts.KeepVersion, opts.RefuseAbsent, opts.FailOnUpdate = v.CreateOnUpdate, v.KeepVersion, v.RefuseAbsent, v.FailOnUpdate
	opts.KeepType, opts.NoDefaultTrigger, opts.KeepUnknown = v.KeepType, v.NoDefaultTrigger, v.KeepUnknown
	opts.DefaultType, opts.TrailDelay, opts.CustomActions = v.DefaultType, v.TrailDelay, v.CustomActions
	return opts
}
