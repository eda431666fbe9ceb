// Plumbline keeps AWS CodePipeline true to git. See the README for what it does and docs/design.md for how.
//
// This package is the program: one file per command, the wiring between the packages, and the exit codes.
//
//	main.go     streams, signals, exit codes, the table of commands
//	world.go    from configuration and flags to targets and sources
//	render.go   what people read
//	…           a file for each command
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, environ: os.Environ(),
		terminal: term.IsTerminal(int(os.Stdout.Fd())), answers: term.IsTerminal(int(os.Stdin.Fd())),
		attended: term.IsTerminal(int(os.Stderr.Fd())), width: width(),
	})
	stop()
	os.Exit(code)
}

// The exit codes, one table for all commands.
const (
	exitDone        = 0   // nothing to do, or done
	exitError       = 1   // an error; of validate: a problem of severity error
	exitDifferences = 2   // of plan --detailed-exitcode: something differs; of status: something needs a person
	exitHeld        = 3   // of apply: something that git asks for was held
	exitInterrupted = 130 // by a signal
)

// app is what a command may use of the outside.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	environ        []string
	terminal       bool // stdout is one
	width          int  // of that terminal, in characters; 0 where it is not known
	answers        bool // stdin is one: there is somebody to ask
	attended       bool // stderr is one: somebody sees how far it is
	colour         bool

	credentials aws.CredentialsProvider           // nil: what the environment has
	listening   func(purpose string, at net.Addr) // nil: nobody wants to know
}

// width returns how wide the terminal is; 0 where there is none.
func width() int {
	w, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 0
	}
	return w
}

// codeError is an error that says nothing: the command has reported all there is and only the code is left.
type codeError int

func (c codeError) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// hinted is an error with a remedy.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string, a *app) int {
	root := a.rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var code codeError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(a.stderr, "plumbline: error: %s\n", strings.TrimSpace(err.Error()))
	var h hinted
	if errors.As(err, &h) {
		fmt.Fprintf(a.stderr, "plumbline: hint: %s\n", h.hint)
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return exitError
}

func (a *app) rootCommand() *cobra.Command {
	var colour string
	root := &cobra.Command{
		Use:   "plumbline",
		Short: "Keep AWS CodePipeline true to git",
		Long: `Plumbline keeps AWS CodePipeline true to git: a repository of pipeline JSON files is
the source of truth; plumbline validates every file, compares it with the live
pipelines of every configured region, and applies what changed.

"plumbline demo" shows how, with nothing but this program; "plumbline doctor" tells
whether it can work here.

Exit codes: 0 nothing to do or done; 1 error; 2 differences (plan --detailed-exitcode) or
something that needs a person (status); 3 something wanted was held (apply, restore);
130 interrupted.`,
		Example: `  plumbline demo
  plumbline validate pipelines/
  plumbline plan --dir pipelines --region us-east-1
  plumbline run --config plumbline.yaml`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.setColour(colour) },
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.PersistentFlags().StringVar(&colour, "color", "auto", "colour in the output: auto, always or never")
	if err := root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // unreachable: the flag is the one just made
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hinted{err, fmt.Sprintf("`%s --help` lists the flags", cmd.CommandPath())}
	})
	for _, g := range commandGroups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title + ":"})
		for _, command := range g.commands {
			cmd := command(a)
			cmd.GroupID = g.title
			root.AddCommand(cmd)
		}
	}
	addHelpers(root)
	a.completeFlags(root)
	return root
}

// commandGroups are the commands as the help shows them.
var commandGroups = []struct {
	title    string
	commands []func(*app) *cobra.Command
}{
	{"Files", []func(*app) *cobra.Command{validateCommand, fmtCommand, explainCommand, schemaCommand}},
	{"Fleet", []func(*app) *cobra.Command{planCommand, applyCommand, whyCommand, listCommand, runsCommand, importCommand, adoptCommand, releaseCommand}},
	{"Record", []func(*app) *cobra.Command{historyCommand, restoreCommand, suspendCommand, resumeCommand}},
	{"Daemon", []func(*app) *cobra.Command{runCommand, statusCommand, doctorCommand, configCommand, iamPolicyCommand}},
	{"Try it out", []func(*app) *cobra.Command{demoCommand, emulatorCommand}},
	{"Help", []func(*app) *cobra.Command{versionCommand}},
}

// addHelpers adds the commands that the library has ready, and what it leaves out of their help.
func addHelpers(root *cobra.Command) {
	root.SetHelpCommandGroupID("Help")
	root.SetCompletionCommandGroupID("Help")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Example = "  plumbline help apply"
		case "completion":
			cmd.Short = "Write a script that completes commands, flags and names in your shell"
			cmd.Example = "  source <(plumbline completion bash)\n  plumbline completion zsh > \"${fpath[1]}/_plumbline\""
			for _, shell := range cmd.Commands() {
				shell.Example = "  plumbline completion " + shell.Name()
			}
		}
	}
}

// setColour decides once: the flag, then NO_COLOR and TERM=dumb, then whether stdout is a terminal.
func (a *app) setColour(flag string) error {
	switch flag {
	case "always":
		a.colour = true
	case "never":
		a.colour = false
	case "auto":
		a.colour = a.terminal && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
	default:
		return fmt.Errorf("--color takes auto, always or never, not %q", flag)
	}
	return nil
}
