// Command bench runs Plumbline and its peers over the same generated pipelines and prints what it took them.
//
//	go run ./bench -n 100 -latency 0,30ms
//	go run ./bench -n 100 -latency 30ms -rate 4 -out results.jsonl
//	go run ./bench -budgets
//	go run ./bench -table results.jsonl -markdown
//
// The peers are Terraform with its AWS provider, the aws command in a loop, boto3 with ten threads, and the Go SDK with
// 16 calls in flight, which is the floor: little that reads every pipeline can be faster. One that is not installed is left
// out with a sentence. All talk to one emulator in a process of its own, where calls are delayed, counted and throttled,
// so that nobody counts for itself.
//
// For each program and setting the scenarios follow each other in one account: create all, nothing changed, one file
// changed, one pipeline drifted, restart. After each, what is live is looked at: a program that has not done its work is an
// error, not a fast one. A figure in a table is the median of the runs.
//
// It needs Linux for the memory of processes, and builds the plumbline that it measures.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if played, err := playRole(ctx, os.Getenv(roleVariable), os.Stdin, os.Stdout); played || err != nil {
		exit(err)
		return
	}
	exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// roleVariable makes a process of this program one of the others that a measurement needs.
const roleVariable = "PLUMBLINE_BENCH_ROLE"

// playRole is what such a process does instead.
func playRole(ctx context.Context, role string, stdin io.Reader, stdout io.Writer) (played bool, err error) {
	switch role {
	case "":
		return false, nil
	case "aws":
		return true, serveAWS(ctx, stdin, stdout)
	case "floor":
		return true, floor(ctx, os.Args[1], os.Args[2])
	}
	return true, fmt.Errorf("%s: there is no role %q", roleVariable, role)
}

// options are what the command line asks for.
type options struct {
	sizes     []int
	latencies []time.Duration
	rates     []float64
	peers     []string
	scenarios []string
	runs      int
	budgets   []string
	out       string
	table     string
	markdown  bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	sizes := flags.String("n", "100", "numbers of pipelines")
	latencies := flags.String("latency", "0s", "how long each call takes")
	rates := flags.String("rate", "0", "calls a second of each account and region, beyond which AWS throttles; 0 for any number")
	names := flags.String("peers", strings.Join(toolNames(), ","), "programs to run")
	chosen := flags.String("scenarios", strings.Join(scenarios, ","), "what to measure; what is not chosen is only done, without latency and rate where it comes first")
	flags.IntVar(&o.runs, "runs", 1, "how often everything is run")
	budgets := flags.String("budgets", "", "measure these budgets of the design instead, or all: "+strings.Join(budgetNames(), ","))
	flags.StringVar(&o.out, "out", "", "append each result to this file, a JSON object a line")
	flags.StringVar(&o.table, "table", "", "measure nothing and print the results in this file")
	flags.BoolVar(&o.markdown, "markdown", false, "print tables as Markdown")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	var err error
	if o.sizes, err = list(*sizes, strconv.Atoi); err != nil {
		return o, fmt.Errorf("-n: %w", err)
	}
	if o.latencies, err = list(*latencies, time.ParseDuration); err != nil {
		return o, fmt.Errorf("-latency: %w", err)
	}
	if o.rates, err = list(*rates, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }); err != nil {
		return o, fmt.Errorf("-rate: %w", err)
	}
	if o.peers, err = list(*names, oneOf(toolNames())); err != nil {
		return o, fmt.Errorf("-peers: %w", err)
	}
	if o.scenarios, err = list(*chosen, oneOf(scenarios)); err != nil {
		return o, fmt.Errorf("-scenarios: %w", err)
	}
	switch *budgets {
	case "":
	case "all":
		o.budgets = budgetNames()
	default:
		if o.budgets, err = list(*budgets, oneOf(budgetNames())); err != nil {
			return o, fmt.Errorf("-budgets: %w", err)
		}
	}
	for _, n := range o.sizes {
		if n < 1 || n > maxFleet {
			return o, fmt.Errorf("-n: %d is not between 1 and %d", n, maxFleet)
		}
	}
	return o, nil
}

// list reads a list with commas.
func list[T any](text string, read func(string) (T, error)) ([]T, error) {
	var items []T
	for part := range strings.SplitSeq(text, ",") {
		item, err := read(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func oneOf(names []string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(names, s) {
			return "", fmt.Errorf("%q is none of %s", s, strings.Join(names, ", "))
		}
		return s, nil
	}
}

// command measures what the arguments ask for and prints the table.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.table != "" {
		results, err := readResults(o.table)
		if err != nil {
			return err
		}
		return printTables(stdout, results, o.markdown)
	}
	dir, err := os.MkdirTemp("", "plumbline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, stderr: stderr, plumbline: filepath.Join(dir, "plumbline")}
	if o.out != "" {
		file, err := os.OpenFile(o.out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer file.Close()
		b.out = file
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	if len(o.budgets) > 0 {
		err = b.measureBudgets(ctx, o.budgets)
	} else {
		err = b.compare(ctx, o)
	}
	if printing := printTables(stdout, b.results, o.markdown); err == nil {
		err = printing
	}
	return err
}
