package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

// completionTime is how long somebody who pressed a key may wait.
const completionTime = time.Second

type completion = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// pipelineNames completes names of pipelines, beside those of files: what the running daemon knows, and what is in
// the folders of the configuration. AWS and git servers are not asked.
func (a *app) pipelineNames(f *worldFlags) completion {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if strings.ContainsAny(begun, `/\`) {
			return nil, cobra.ShellCompDirectiveDefault // a path
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		found := make(chan []string, 2)
		go func() { found <- a.daemonNames(ctx, f) }()
		go func() { found <- a.folderNames(ctx, f) }()
		names := map[string]bool{}
		for range cap(found) {
			select {
			case some := <-found:
				for _, name := range some {
					if strings.HasPrefix(name, begun) && !slices.Contains(args, name) {
						names[name] = true
					}
				}
			case <-ctx.Done(): // a folder may be slower than a person
			}
		}
		return slices.Sorted(maps.Keys(names)), cobra.ShellCompDirectiveDefault
	}
}

// daemonNames asks the daemon of this configuration, if it runs.
func (a *app) daemonNames(ctx context.Context, f *worldFlags) (names []string) {
	cfg, err := a.settings(f)
	if err != nil {
		return nil
	}
	url, err := a.statusURL(f, "")
	if err != nil {
		return nil
	}
	status, err := (&web.Client{URL: url}).Status(ctx)
	if err != nil || status.Instance != cfg.Name {
		return nil
	}
	for _, t := range status.Targets {
		for _, p := range t.Pipelines {
			names = append(names, p.Name)
		}
	}
	return names
}

// folderNames reads the folders of the configuration, or that of --dir.
func (a *app) folderNames(ctx context.Context, f *worldFlags) (names []string) {
	cfg, err := a.settings(f)
	if err != nil {
		return nil
	}
	folders := []source.Config{}
	if f.dir != "" {
		folders = append(folders, source.Config{Dir: f.dir})
	} else {
		for _, s := range cfg.Sources {
			if s.Dir != "" {
				folders = append(folders, sourceConfig(s, strings.Trim(s.Path, "./"), ""))
			}
		}
	}
	var origins []sync.Origin
	for _, c := range folders {
		s, err := source.Open(c)
		if err != nil {
			continue
		}
		if snapshot, err := s.Snapshot(ctx); err == nil {
			origins = append(origins, sync.Origin{Snapshot: snapshot})
		}
	}
	return slices.Collect(maps.Keys(sync.Read(origins, nil).For(pipeline.Target{}).Wanted))
}

// regionNames completes regions: those of the configuration, and where it has none, all that AWS has.
func (a *app) regionNames(f *worldFlags) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		regions := pipeline.Regions
		if cfg, err := a.settings(f); err == nil && len(cfg.Targets) > 0 {
			regions = nil
			for _, t := range cfg.Targets {
				regions = append(regions, t.Region)
			}
			slices.Sort(regions)
		}
		return slices.Compact(slices.Clone(regions)), cobra.ShellCompDirectiveNoFileComp
	}
}

// targetFlagNames completes targets of the configuration, each with its region.
func (a *app) targetFlagNames(f *worldFlags) completion {
	return func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		if cfg, err := a.settings(f); err == nil {
			for _, t := range cfg.Targets {
				names = append(names, t.Name+"\t"+t.Region)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags says what follows each flag that takes one of few words. A command that takes no arguments
// completes none.
func (a *app) completeFlags(root *cobra.Command) {
	must := func(err error) {
		if err != nil {
			panic(err) // unreachable: only for a flag that is not there or has one already
		}
	}
	for _, cmd := range root.Commands() {
		a.completeFlags(cmd)
	}
	if root.ValidArgsFunction == nil && len(root.ValidArgs) == 0 && !root.HasSubCommands() {
		root.ValidArgsFunction = cobra.NoFileCompletions
	}
	if f := root.Flags().Lookup("output"); f != nil && strings.HasPrefix(f.Usage, outputUsage) {
		formats := strings.FieldsFunc(strings.TrimPrefix(f.Usage, outputUsage), func(r rune) bool { return r == ' ' || r == ',' })
		formats = slices.DeleteFunc(formats, func(word string) bool { return word == "or" })
		must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	}
	if f := root.Flags().Lookup("config"); f != nil {
		must(root.MarkFlagFilename("config", "yaml", "yml"))
	}
	for _, name := range []string{"dir", "url", "state-dir"} {
		if f := root.Flags().Lookup(name); f != nil && !(name == "url" && root.Name() == "status") {
			must(root.MarkFlagDirname(name))
		}
	}
}
