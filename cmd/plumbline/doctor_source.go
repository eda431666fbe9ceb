package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// sources makes a section for each source.
func (d *doctor) sources() []*section {
	switch {
	case d.cfg == nil:
		return nil
	case d.flags.dir+d.flags.url != "":
		return []*section{d.source(d.flags.dir+d.flags.url, d.cfg)}
	case len(d.cfg.Sources) == 0:
		return []*section{{Name: "Sources", look: func(_ context.Context, s *section) {
			s.tell("source", notLooked("none is given; --dir or --url names one, or source: in %s", defaultConfig))
		}}}
	}
	var sections []*section
	for _, src := range d.cfg.Sources {
		alone := *d.cfg
		alone.Sources = []config.Source{src}
		sections = append(sections, d.source(src.Name, &alone))
	}
	return sections
}

// source looks at the one source of a configuration, or of the flags.
func (d *doctor) source(name string, cfg *config.Config) *section {
	d.read.sources.Add(1)
	return &section{Name: "Source " + name, look: func(ctx context.Context, s *section) {
		defer d.read.sources.Done()
		snapshot, o, done := d.readSource(ctx, s, cfg)
		defer done()
		if o == nil {
			s.tell("files", notLooked("the source cannot be read"))
			return
		}
		s.tell("head", headOf(d.app, cfg, snapshot))
		s.check(ctx, "files", func(context.Context) finding {
			from := o.Origin
			from.Snapshot = snapshot
			d.read.Lock()
			d.read.origins = append(d.read.origins, from)
			d.read.Unlock()
			tree := sync.Read([]sync.Origin{from}, targetNames(d.cfg))
			d.counts.Lock()
			d.counts.files += tree.Files()
			d.counts.Unlock()
			return filesFinding(tree.Files(), tree.Problems(offlineTargets(d.cfg)))
		})
	}}
}

// readSource opens and reads a source. A failure is told by the name of what is wrong. done must be called.
func (d *doctor) readSource(ctx context.Context, s *section, cfg *config.Config) (snapshot *source.Snapshot, o *origin, done func()) {
	state, done := d.mirrors(cfg)
	var read *source.Snapshot
	var from *origin
	f := s.check(ctx, "readable", func(ctx context.Context) finding {
		origins, err := d.openOrigins(cfg, &d.flags, nil, state)
		if err != nil {
			return sourceFailure(s.Name, err)
		}
		from = origins[0]
		read, err = from.source.Snapshot(ctx)
		if err = errors.Join(err, from.source.Close()); err != nil {
			return sourceFailure(s.Name, err)
		}
		return fine("%s", describeSource(cfg, &d.flags))
	})
	if f.Result == verdictFailed {
		return nil, nil, done
	}
	return read, from, done
}

// mirrors returns where a remote repository is mirrored: where commands do so, or where that cannot be written, a
// folder for this once.
func (d *doctor) mirrors(cfg *config.Config) (dir string, done func()) {
	dir, err := d.writableState(cfg)
	if err == nil {
		return dir, func() {}
	}
	if dir, err = os.MkdirTemp("", "plumbline-doctor-"); err != nil {
		return "", func() {} // opening the source tells
	}
	return dir, func() { os.RemoveAll(dir) }
}

func describeSource(cfg *config.Config, f *worldFlags) string {
	switch {
	case f.dir != "":
		return f.dir + ", a folder"
	case f.url != "":
		return f.url + ", a repository on this machine"
	}
	src := cfg.Sources[0]
	switch {
	case src.Dir != "":
		return relative(src.Dir) + ", a folder"
	case !source.Remote(src.URL):
		return relative(src.URL) + ", a repository on this machine"
	case src.Auth == (config.Auth{}):
		return src.URL + ", without credentials"
	}
	return src.URL + ", and the credentials work"
}

// sourceAspects are the kinds of trouble that are better called by another name.
var sourceAspects = map[source.Kind]string{
	source.KindAuth: "credentials", source.KindNotFound: "repository", source.KindEmpty: "commits", source.KindRefMissing: "branch",
	source.KindUnreachable: "connection", source.KindTimeout: "connection", source.KindTrust: "host key or certificate",
}

func sourceFailure(name string, err error) finding {
	var e *source.Error
	if !errors.As(err, &e) {
		f := failure(err)
		if f.Remedy == "" { // what to do is part of the sentence
			f.Remedy = fmt.Sprintf("mend %s, as its line says", strings.Replace(name, "S", "s", 1))
		}
		return f
	}
	what := e.What
	if aspect := sourceAspects[e.Kind]; aspect != "" {
		what = aspect + ": " + what
	}
	remedy := ""
	if e.Hint != "" {
		remedy = fmt.Sprintf("%s: %s", e.Where, e.Hint)
	}
	return broken(remedy, "%s: %s", e.Where, what)
}

// headOf tells what the source follows and how old it is.
func headOf(a *app, cfg *config.Config, snapshot *source.Snapshot) finding {
	if snapshot.Commit == "" {
		return fine("a folder has no commits; what is in it now counts")
	}
	ref := "the repository's own branch"
	if len(cfg.Sources) > 0 {
		switch src := cfg.Sources[0]; {
		case src.Branch != "":
			ref = "branch " + src.Branch
		case src.Tag != "":
			ref = "tag " + src.Tag
		case src.Commit != "":
			ref = "one commit for good"
		}
	}
	return fine("%s, commit %s of %s", ref, short(snapshot.Commit), a.when(snapshot.Time))
}

func filesFinding(files int, problems []pipeline.Problem) finding {
	said := problemSummary(files, problems)
	i := slices.IndexFunc(problems, func(p pipeline.Problem) bool { return p.Severity == pipeline.Error })
	switch {
	case i >= 0:
		first := problems[i]
		return broken("`plumbline validate` shows every problem and its hint", "%s; the first: %s: %s (%s)", said, first.Place(), first.Message, first.Rule)
	case files == 0:
		return doubtful("see that path in the configuration is where the pipelines are", "no file is there")
	case slices.ContainsFunc(problems, func(p pipeline.Problem) bool { return p.Severity == pipeline.Warning }):
		return doubtful("`plumbline validate` shows every problem and its hint", "%s", said)
	}
	return fine("%s", said)
}
