// Package source says where the desired files come from: a folder, or a git repository that is opened in
// place. [Open] checks a [Config]; [Source.Snapshot] reads everything at one moment into an immutable
// [Snapshot]; [Source.Head] tells cheaply whether a newer one would differ.
//
// A repository is read straight from its objects: one reference is resolved to one commit, and only blobs of
// that commit's tree are read. There is no checkout, no hook runs, no git program is needed, and nothing is
// written, so no content of a repository can reach a file system. What a repository or folder holds is taken
// as hostile: names, links, sizes and counts are judged before they are used, and what is not read becomes a
// [pipeline.Problem] that says so, because a file that cannot be read must not be taken for a file that was
// deleted. For the same reason a set that would be read in part only is an error.
//
// Only this package knows the git library, and no type of it is in the exported interface.
package source

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// Config says where to read from. Exactly one of URL and Dir is set.
type Config struct {
	Name string // how reports and tags call the source; "" means [DefaultName]
	URL  string // a git repository: the path of a local one, with a work tree or bare
	Dir  string // a plain folder

	// At most one of these, and only with URL. All empty means the branch that HEAD points to.
	Branch string
	Tag    string
	Commit string // all 40 hex digits

	Path string // the folder to read, below the root of the repository or folder; "" means the root

	MaxFileSize  int64 // a larger file is a Problem; 0 means 1 MiB
	MaxTotalSize int64 // more bytes than this in all files are an error; 0 means 32 MiB. History has the same again
	MaxFiles     int   // more files than this are an error; 0 means 10,000
	HistoryDepth int   // how many commits to look back, the current one included; 0 means 50
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
}

// minPrefix is how many hex digits of a commit are taken to name it: as many as ownership tags carry.
const minPrefix = 12

// Contains reports whether the commit, given in full or by its first 12 or more hex digits, is among Commits.
func (s *Snapshot) Contains(commit string) bool {
	if len(commit) < minPrefix {
		return false
	}
	for _, c := range s.Commits {
		if strings.HasPrefix(c.ID, commit) {
			return true
		}
	}
	return false
}

// Source is one place that desired files come from. Its methods may be called concurrently.
type Source struct {
	cfg    Config
	origin origin
}

// origin is a kind of place to read from. Both methods may be called concurrently.
type origin interface {
	head(ctx context.Context) (string, error)
	snapshot(ctx context.Context) (*Snapshot, error)
}

// Open checks the config and that there is a folder or a repository to read. Whether the branch, tag, commit
// and path exist is for [Source.Snapshot] to say, as they may come and go.
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
	snap.Source = s.cfg.Name
	return snap, nil
}

// Head returns what [Snapshot.Revision] would be now: for a repository the commit that the reference names,
// which takes no reading of files, for a folder a digest of what is in it.
func (s *Source) Head(ctx context.Context) (string, error) {
	head, err := s.origin.head(ctx)
	if err != nil {
		return "", fmt.Errorf("looking at source %s: %w", s.cfg.Name, err)
	}
	return head, nil
}

// DefaultName returns the name of a source that is given none: the last part of its path, without ".git". It
// goes into tags that teammates share, so it holds nothing else of where things lie on this machine. It is ""
// for a config that [Open] refuses.
func DefaultName(cfg Config) string {
	place := cfg.Dir
	if place == "" {
		place = cfg.URL
	}
	if place == "" || remoteForm(cfg.URL) != "" {
		return ""
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
	if form := remoteForm(cfg.URL); form != "" {
		// The URL is not repeated: it may hold a password.
		return fmt.Errorf("the url is of the form %s, which this version does not read: "+
			"give the path of a repository on this machine, such as ./pipelines.git or /srv/git/pipelines.git", form)
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

// remoteForm names the form of a URL that is no path on this machine, or returns "". As in git, a colon before
// the first slash makes it host:path.
func remoteForm(url string) string {
	if scheme, _, ok := strings.Cut(url, "://"); ok {
		return fmt.Sprintf("%.20q", scheme+"://…")
	}
	if filepath.VolumeName(url) != "" {
		return ""
	}
	if i := strings.IndexAny(url, ":/"); i >= 0 && url[i] == ':' {
		return "host:path"
	}
	return ""
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
	return cfg
}

func orDefault[T int | int64](v *T, otherwise T) {
	if *v == 0 {
		*v = otherwise
	}
}
