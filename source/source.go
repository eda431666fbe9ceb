// Package source says where the desired files come from: a folder, a git repository on this machine, which is
// opened in place, or one on a server, of which a mirror is kept. [Open] checks a [Config]; [Source.Snapshot]
// reads everything at one moment into an immutable [Snapshot]; [Source.Head] tells cheaply whether a newer one
// would differ; [Source.Watch] tells at once where that is possible.
//
// A server is asked for its references first, and only if the one that is followed has moved is it fetched
// into the mirror: always to the same depth, without tags, into a bare repository. The mirror is a cache: it
// is started afresh when it grows, ages or breaks, survives restarts, and belongs to one process. A server that
// cannot be read is an [Error] whose [Kind] says why; the last good Snapshot is then still in [Source.Last].
//
// A repository is read straight from its objects: one reference is resolved to one commit, and only blobs of
// that commit's tree are read. There is no checkout, no hook runs, no git program is needed, and only the
// mirrors are written, so no file of a repository can reach a file system. What a repository or folder holds is
// taken as hostile: names, links, sizes and counts are judged before they are used, and what is not read becomes
// a [pipeline.Problem] that says so, because a file that cannot be read must not be taken for a file that was
// deleted. For the same reason a set that would be read in part only is an error.
//
// Only this package knows the git library, and no type of it is in the exported interface.
package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// Config says where to read from. Exactly one of URL and Dir is set.
type Config struct {
	Name string // how reports and tags call the source; "" means [DefaultName]
	Dir  string // a plain folder

	// URL is a git repository: the path of a local one, with a work tree or bare, or https://host/path,
	// ssh://user@host:port/path or user@host:path. http:// is for loopback addresses only.
	URL string

	// At most one of these, and only with URL. All empty means the branch that HEAD points to.
	Branch string
	Tag    string
	Commit string // all 40 hex digits

	Path string // the folder to read, below the root of the repository or folder; "" means the root

	MaxFileSize  int64 // a larger file is a Problem; 0 means 1 MiB
	MaxTotalSize int64 // more bytes than this in all files are an error; 0 means 32 MiB. History has the same again
	MaxFiles     int   // more files than this are an error; 0 means 10,000
	HistoryDepth int   // how many commits to look back, the current one included; 0 means 50. No mirror has more

	// The rest is for repositories on a server.
	StateDir string        // the folder of the mirrors, which is created; required
	Timeout  time.Duration // for asking what there is; a fetch may take ten times as long. 0 means a minute
	Auth     Auth
	CAFile   string // certificates in PEM form that are trusted beside the system's; for https
	Proxy    string // http://host:port, for https; "" means what HTTPS_PROXY and NO_PROXY say
}

// Snapshot is what a source held at one moment. It is shared and never changes: do not write to its slices.
type Snapshot struct {
	Source   string    // the source's name
	Revision string    // equal to [Source.Head] for as long as the source holds just this
	Commit   string    // 40 hex digits; "" for a folder
	Time     time.Time // when the commit was made, in UTC; zero for a folder

	Files    []File             // every *.json file below the path, ordered by Path
	Problems []pipeline.Problem // what was not read, and why

	// History tells for every path that changed within Commits which versions it had before the current
	// one, newest first. Paths that are gone by now are there too. Empty for a folder.
	History   map[string][]Version
	Commits   []Commit // the states the branch had: first parents only, newest (the current one) first
	Truncated bool     // there are older commits than those in Commits

	merged  map[string]bool // :: 12 digits → a commit that a merge brought in, as far as was looked
	partial bool            // there are merged commits beyond those
}

// File is one file as the source holds it: the bytes are not judged here.
type File struct {
	Path string // below the root of the repository or folder, with slashes
	Data []byte
	Hash string // git's blob hash of Data, also for folders

	// Commit brought this content in. Where that is longer ago than Snapshot.Commits reach, it is the oldest of
	// those. "" for a folder.
	Commit string
}

// Version is what a path held before it was changed.
type Version struct {
	// Commit brought the version in. Where that is longer ago than Snapshot.Commits reach, it is the oldest of
	// those.
	Commit string
	Time   time.Time
	Data   []byte // nil where there was no file, or it was over the limits or cannot be read any more
	Hash   string // "" where there was no file
}

// Commit is one state the branch had.
type Commit struct {
	ID   string
	Time time.Time // by the committer's clock, which git does not check

	// What people know it by, as it claims: at most 100 characters each, on one line. Anybody can write anything there.
	Author, Subject string
}

// minPrefix is how many hex digits of a commit are taken to name it: as many as ownership tags carry.
const minPrefix = 12

// Contains reports whether the commit, given in full or by its first 12 or more hex digits, is part of the history
// that was read: one of Commits, or one that a merge brought in.
func (s *Snapshot) Contains(commit string) bool {
	if len(commit) < minPrefix {
		return false
	}
	for _, c := range s.Commits {
		if strings.HasPrefix(c.ID, commit) {
			return true
		}
	}
	return s.merged[commit[:minPrefix]]
}

// Rewritten reports whether a commit of that time (to the second) should be part of the history that was read and
// is not: the branch was set to another history after it.
func (s *Snapshot) Rewritten(commit string, at time.Time) bool {
	if s.Commit == "" || len(s.Commits) == 0 || s.partial || s.Contains(commit) {
		return false
	}
	oldest := s.Commits[len(s.Commits)-1].Time
	return !s.Truncated || !at.Before(oldest.Truncate(time.Second))
}

// Source is one place that desired files come from. Its methods may be called concurrently.
type Source struct {
	cfg    Config
	origin origin
	good   atomic.Pointer[Snapshot]
}

// origin is a kind of place to read from. Its methods may be called concurrently.
type origin interface {
	head(ctx context.Context) (string, error)
	snapshot(ctx context.Context) (*Snapshot, error)
	last(ctx context.Context) *Snapshot // that of an earlier process, or nil
	view() view
	close() error
}

// Open checks the config and that there is a folder or a repository to read. Whether the branch, tag, commit
// and path exist is for [Source.Snapshot] to say, as they may come and go, and so is all about a server: only
// the state folder is opened for one, and it is an error if another process has it. [Source.Close] gives it back.
func Open(cfg Config) (*Source, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Source{cfg: cfg}
	if cfg.Dir != "" {
		root, err := openFolder(cfg.Dir)
		if err != nil {
			return nil, err
		}
		s.origin = folder{cfg}
		return s, root.Close()
	}
	if isRemote(cfg.URL) {
		r, err := openRemote(cfg)
		s.origin = r
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	r, err := openRepo(cfg.URL)
	if err != nil {
		return nil, err
	}
	s.origin = &repository{cfg: cfg}
	return s, r.close()
}

// Name returns what reports and tags call the source.
func (s *Source) Name() string { return s.cfg.Name }

// Snapshot reads the source. An error means that nothing is known about what it holds now: it is missing or
// damaged, the branch, tag, commit or path does not exist, or there is more than the limits allow.
//
// A folder has no commits, so a change that is under way while it is read can be seen in part. Whoever acts
// on a Snapshot compares its Revision with [Source.Head] first, for a repository as well.
func (s *Source) Snapshot(ctx context.Context) (*Snapshot, error) {
	snap, err := s.origin.snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading source %s: %w", s.cfg.Name, err)
	}
	s.good.Store(snap)
	return snap, nil
}

// Last returns the last good Snapshot, for as long as the source cannot be read: what Snapshot returned last
// or, in a process where it has not yet, what the mirror of a server kept from an earlier one. It asks no server
// and does not wait for one. There may be none: a folder and a local repository keep nothing over a restart, a
// mirror only the commit, so that a Config with other limits may not get it.
func (s *Source) Last(ctx context.Context) (*Snapshot, bool) {
	if snap := s.good.Load(); snap != nil {
		return snap, true
	}
	snap := s.origin.last(ctx)
	return snap, snap != nil
}

// Close gives back the state folder, once no other Source uses it, and closes connections. It is for remote
// repositories, does nothing for others, and must come after all other calls.
func (s *Source) Close() error { return s.origin.close() }

// Head returns what [Snapshot.Revision] would be now: for a repository the commit that the reference names,
// which takes no reading of files, for a folder a digest of what is in it.
func (s *Source) Head(ctx context.Context) (string, error) {
	head, err := s.origin.head(ctx)
	if err != nil {
		return "", fmt.Errorf("looking at source %s: %w", s.cfg.Name, err)
	}
	return head, nil
}

// DefaultName returns the name of a source that is given none. For a repository on a server that is its host
// and path, without ".git". For what is on this machine it is the last part of the path: the name goes into
// tags that teammates share, so it holds nothing else of where things lie here. It is "" for a config that
// [Open] refuses.
func DefaultName(cfg Config) string {
	place := cfg.Dir
	if place == "" {
		place = cfg.URL
	}
	if place == "" {
		return ""
	}
	if isRemote(cfg.URL) {
		at, err := parseAddress(cfg.URL)
		if err != nil {
			return ""
		}
		return at.name()
	}
	// "." and ".." have a name only once they are absolute.
	if abs, err := filepath.Abs(place); err == nil {
		place = abs
	}
	if filepath.Base(place) == ".git" {
		place = filepath.Dir(place)
	}
	name := strings.TrimSuffix(filepath.Base(place), ".git")
	if name == string(filepath.Separator) {
		return "root"
	}
	return name
}

func (cfg Config) check() error {
	switch {
	case cfg.URL == "" && cfg.Dir == "":
		return errors.New("a source needs a url (a git repository) or a dir (a folder)")
	case cfg.URL != "" && cfg.Dir != "":
		return errors.New("a source has either a url (a git repository) or a dir (a folder), not both")
	}
	if err := cfg.checkRemote(); err != nil {
		return err
	}
	if err := cfg.checkRef(); err != nil {
		return err
	}
	if cfg.MaxFileSize < 0 || cfg.MaxTotalSize < 0 || cfg.MaxFiles < 0 || cfg.HistoryDepth < 0 {
		return errors.New("the limits of a source cannot be negative")
	}
	return checkPath(cfg.Path)
}

func (cfg Config) checkRef() error {
	refs := 0
	for _, ref := range []string{cfg.Branch, cfg.Tag, cfg.Commit} {
		if ref != "" {
			refs++
		}
	}
	switch {
	case refs > 0 && cfg.Dir != "":
		return errors.New("a dir has no branch, tag or commit: set url to the repository instead")
	case refs > 1:
		return errors.New("a source follows one of branch, tag and commit, not several")
	case cfg.Commit != "" && !isHash(cfg.Commit):
		return fmt.Errorf("commit %q is not a full commit id: give all 40 hex digits, as git rev-parse prints them", cfg.Commit)
	}
	return nil
}

// checkRemote checks what is said about a server.
func (cfg Config) checkRemote() error {
	if cfg.Timeout < 0 {
		return errors.New("the timeout of a source cannot be negative")
	}
	if !isRemote(cfg.URL) {
		if cfg.CAFile != "" || cfg.Proxy != "" {
			return errors.New("proxy and caFile are for https, and the source is on this machine: leave them out")
		}
		return cfg.Auth.check("")
	}
	at, err := parseAddress(cfg.URL)
	switch {
	case err != nil:
		return err
	case cfg.StateDir == "":
		return errors.New("a repository on a server needs a state folder to keep a mirror in")
	case at.scheme == "ssh" && (cfg.Proxy != "" || cfg.CAFile != ""):
		return errors.New("proxy and caFile are for https, and the url is for ssh")
	case !isProxy(cfg.Proxy):
		return errors.New("proxy is not of the form http://host:port; a password cannot be in it")
	}
	return cfg.Auth.check(at.scheme)
}

func isProxy(s string) bool {
	u, err := url.Parse(s)
	return s == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

func isHash(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}

// checkPath accepts a folder below the root, "", and ".".
func checkPath(p string) error {
	if path.IsAbs(p) || slices.Contains(strings.Split(p, "/"), "..") {
		return fmt.Errorf("path %q is not below the root of the source: write it like pipelines/prod, "+
			"and leave it out for the root", p)
	}
	for name := range strings.SplitSeq(cleanPath(p), "/") {
		if why := unsafeName(name); why != "" && name != "" {
			return fmt.Errorf("path %q cannot be read: the name %s %s", p, quote(name), why)
		}
	}
	return nil
}

func cleanPath(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

func (cfg Config) withDefaults() Config {
	if cfg.Name == "" {
		cfg.Name = DefaultName(cfg)
	}
	cfg.Path = cleanPath(cfg.Path)
	orDefault(&cfg.MaxFileSize, 1<<20)
	orDefault(&cfg.MaxTotalSize, 32<<20)
	orDefault(&cfg.MaxFiles, 10_000)
	orDefault(&cfg.HistoryDepth, 50)
	orDefault(&cfg.Timeout, time.Minute)
	return cfg
}

func orDefault[T int | int64 | time.Duration](v *T, otherwise T) {
	if *v == 0 {
		*v = otherwise
	}
}
