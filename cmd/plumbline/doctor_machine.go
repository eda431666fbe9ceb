package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	stdsync "sync"

	"github.com/dustin/go-humanize"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/metrics"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/web"
)

// machine looks at what is here. loading is what reading the configuration came to.
func (d *doctor) machine(loading error) *section {
	return &section{Name: "This machine", look: func(ctx context.Context, s *section) {
		d.configuration(s, loading)
		if d.cfg == nil {
			s.tell("everything else", notLooked("the configuration cannot be used"))
			return
		}
		daemon := d.listeners(ctx, s)
		d.state(ctx, s, daemon)
	}}
}

func (d *doctor) configuration(s *section, loading error) {
	const name = "configuration"
	var faults *config.Error
	switch {
	case errors.As(loading, &faults):
		for _, f := range faults.Faults {
			f, hint := withoutHint(f)
			s.tell(name, broken(hint, "%s", f))
		}
	case loading != nil:
		s.tell(name, failure(loading))
	case len(config.Files(d.cfg)) == 0:
		s.tell(name, fine("there is no %s; the flags say what is needed", defaultConfig))
	default:
		s.tell(name, fine("%s: %s, %s", relative(config.Files(d.cfg)[0]), count(len(d.cfg.Sources), "source"), count(len(d.cfg.Targets), "target")))
		for _, w := range config.Warnings(d.cfg) {
			f, hint := withoutHint(w)
			s.tell(name, doubtful(hint, "%s", f))
		}
	}
}

// withoutHint parts a fault from its hint, which says where it belongs since it will stand alone.
func withoutHint(f config.Fault) (config.Fault, string) {
	hint := f.Hint
	f.Hint = ""
	if hint != "" {
		hint = fmt.Sprintf("%s: %s", f, hint)
	}
	return f, hint
}

// listeners looks at the daemon's addresses, and returns the daemon that answers there, if one does.
func (d *doctor) listeners(ctx context.Context, s *section) (daemon *web.Status) {
	if len(config.Files(d.cfg)) == 0 {
		return nil // only a daemon listens, and it must have a configuration
	}
	s.check(ctx, "web.listen", func(ctx context.Context) finding {
		if free, f := tryListening(d.cfg.Web.Listen); free || f.Result == verdictFailed {
			return f
		}
		url, err := d.statusURL(&d.flags, "")
		if err != nil {
			return failure(err)
		}
		client := &web.Client{URL: url}
		status, err := client.Status(ctx)
		if err != nil {
			return broken("set web.listen to a free address, or stop what listens there", "%s is in use, and not by a plumbline that can be asked: %v", d.cfg.Web.Listen, err)
		}
		daemon = status
		who := fmt.Sprintf("%s is used by a running plumbline %s, instance %s", d.cfg.Web.Listen, status.Version, status.Instance)
		switch err := client.Health(ctx); {
		case err != nil:
			return broken("look at its log and restart the daemon", "%s, which is not well: %v", who, err)
		case status.Instance != d.cfg.Name:
			return broken("set web.listen to an address of its own", "%s; this configuration is of instance %s", who, d.cfg.Name)
		}
		return fine("%s; it is well", who)
	})
	if listen := d.cfg.Web.WebhookListen; listen != "" {
		s.check(ctx, "web.webhookListen", func(context.Context) finding {
			free, f := tryListening(listen)
			if free || f.Result == verdictFailed || daemon != nil {
				return f
			}
			return broken("set web.webhookListen to a free address, or stop what listens there", "%s", f.Detail)
		})
	}
	return daemon
}

// tryListening listens for a moment. An address that is in use is neither free nor, by itself, a failure.
func tryListening(address string) (free bool, f finding) {
	listener, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return false, fine("%s is in use", address)
	case err != nil:
		return false, broken("set it to an address of this machine that its user may listen on", "%v", err)
	}
	listener.Close()
	return true, fine("%s is free", address)
}

// The least room on the disk of the state folder. A journal has 16 MiB, and a mirror what the repository has, twice.
const (
	littleRoom = 1 << 30
	noRoom     = 64 << 20
)

// state looks at the state folder: the daemon's, or where there is no configuration, that of the commands.
func (d *doctor) state(ctx context.Context, s *section, daemon *web.Status) {
	dirs := d.stateDirs("", d.cfg)
	dir := dirs[0]
	s.check(ctx, "state folder", func(context.Context) finding {
		err := writable(dir)
		if err == nil {
			return fine("%s can be written", dir)
		}
		const remedy = "name a folder that can be written with state.dir, --state-dir or PLUMBLINE_STATE_DIR"
		for _, other := range dirs[1:] {
			if writable(other) != nil {
				continue
			}
			dir = other
			if len(config.Files(d.cfg)) == 0 {
				return fine("%s can be written", dir)
			}
			return doubtful(remedy, "%v: the daemon of this user would report and write nothing; commands use %s", err, other)
		}
		return broken(remedy, "%v", err)
	})
	s.check(ctx, "state lock", func(context.Context) finding { return lockFinding(dir, daemon) })
	s.check(ctx, "disk", func(context.Context) finding {
		room, err := freeSpace(existing(dir))
		const remedy = "make room on the disk of the state folder, or choose another with state.dir"
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			return notLooked("free space cannot be told on this system")
		case err != nil:
			return doubtful("", "free space cannot be told: %v", err)
		case room < noRoom:
			return broken(remedy, "%s free, too little to work", humanize.IBytes(room))
		case room < littleRoom:
			return doubtful(remedy, "%s free", humanize.IBytes(room))
		}
		return fine("%s free", humanize.IBytes(room))
	})
}

func lockFinding(dir string, daemon *web.Status) finding {
	holder, err := source.Holder(dir)
	switch {
	case err != nil:
		return doubtful("", "%v", err)
	case holder == "":
		return fine("free")
	case daemon != nil:
		return fine("held by a running daemon, %s", holder)
	}
	return doubtful("give each instance a state folder of its own (state.dir), or stop the other one",
		"held by %s, and no daemon answers at web.listen: another daemon could not start with %s", holder, dir)
}

// writable makes a file in a folder and removes it. Of a folder that is not there, what would hold it is tried.
func writable(dir string) error {
	f, err := os.CreateTemp(existing(dir), ".plumbline-doctor-*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", dir, unpath(err))
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// unpath leaves out the name of the file that was only tried.
func unpath(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// existing returns the folder, or the nearest one above it that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// manySeries is from how many on Prometheus should be asked whether it wants them. It carries millions, of all
// that it scrapes.
const manySeries = 100_000

// stagesEach is how many stages hardly any pipeline has more of. A listing does not tell.
const stagesEach = 10

// metrics counts the series that Prometheus gets, once all others are done.
func (d *doctor) metrics(others *stdsync.WaitGroup) *section {
	return &section{Name: "Prometheus", last: true, look: func(_ context.Context, s *section) {
		others.Wait()
		c := &d.counts
		c.Lock()
		defer c.Unlock()
		pipelines := len(c.unknown) * c.files
		for _, n := range c.live {
			pipelines += max(n, c.files) // what files want comes into being
		}
		series := metrics.Bound(len(d.cfg.Sources), len(c.live)+len(c.unknown), pipelines, stagesEach*pipelines, pipelines)
		said := fmt.Sprintf("%s series at most, of %s with up to %d stages", humanize.Comma(int64(series)), count(pipelines, "pipeline"), stagesEach)
		if len(c.unknown) > 0 {
			said += "; what is live in " + strings.Join(c.unknown, ", ") + " could not be counted"
		}
		if series > manySeries {
			s.tell("series", doubtful("see that Prometheus has room for the series (docs/metrics.md), or give some targets to another instance", "%s", said))
			return
		}
		s.tell("series", fine("%s", said))
	}}
}
