package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/memory"
)

// fetchTimes is how many times Config.Timeout a fetch may take: it moves a repository, and looking at the
// references only a list.
const fetchTimes = 10

// wanted is where a mirror keeps what it follows, whatever that is called on the server.
const wanted = plumbing.ReferenceName("refs/remotes/origin/wanted")

// remote reads a repository on a server, by way of a mirror.
type remote struct {
	cfg    Config
	at     address
	limits limits
	mirror *mirror
	leave  func() error
	token  appToken

	// Owned by who has taken the mirror's slot.
	memo   memo
	recent *Snapshot // the last good one of this process

	mu  sync.Mutex
	net *http.Transport
	ca  string // what net was made with
}

func openRemote(cfg Config) (*remote, error) {
	at, err := parseAddress(cfg.URL)
	if err != nil {
		return nil, err
	}
	install()
	r := &remote{cfg: cfg, at: at, limits: defaultLimits}
	r.limits.idle = min(r.limits.idle, cfg.Timeout)
	r.mirror, r.leave, err = useMirror(cfg.StateDir, r.id())
	return r, err
}

// id names the mirror's folder: for people by the repository, for the machine by all that tells it from others.
func (r *remote) id() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{r.at.String(), r.cfg.Branch, r.cfg.Tag, r.cfg.Commit}, "\n")))
	readable := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' {
			return c
		}
		return '-'
	}, r.at.name())
	const most = 80
	return readable[max(0, len(readable)-most):] + "-" + hex.EncodeToString(sum[:6])
}

func (r *remote) close() error {
	r.mu.Lock()
	if r.net != nil {
		r.net.CloseIdleConnections()
	}
	r.mu.Unlock()
	return r.leave()
}

func (r *remote) head(ctx context.Context) (string, error) {
	if r.pinned() {
		return r.cfg.Commit, ctx.Err()
	}
	t, err := r.lookup(ctx)
	return t.commit.String(), err
}

// pinned reports whether the commit to read is given, and here already: it cannot change.
func (r *remote) pinned() bool {
	r.mirror.mu.RLock()
	defer r.mirror.mu.RUnlock()
	return r.cfg.Commit != "" && r.mirror.state.Good == r.cfg.Commit
}

func (r *remote) snapshot(ctx context.Context) (*Snapshot, error) {
	if err := r.mirror.take(ctx); err != nil {
		return nil, err
	}
	defer r.mirror.give()
	t := target{hash: plumbing.NewHash(r.cfg.Commit), commit: plumbing.NewHash(r.cfg.Commit)}
	if !r.pinned() {
		var err error
		if t, err = r.lookup(ctx); err != nil {
			return nil, err
		}
	}
	if r.recent != nil && r.recent.Commit == t.commit.String() {
		return r.recent, nil
	}
	s, err := r.update(ctx, t)
	if err == nil {
		r.recent = s
	}
	return s, err
}

// last reads what the last good Snapshot was of, also one of an earlier process.
func (r *remote) last(ctx context.Context) *Snapshot {
	r.mirror.mu.RLock()
	defer r.mirror.mu.RUnlock()
	state := r.mirror.state
	if state.Good == "" {
		return nil
	}
	s, _, err := r.read(ctx, r.mirror.path(state.Generation), plumbing.NewHash(state.Good), memo{}, true)
	if err != nil {
		return nil
	}
	return s
}

// update brings the target into the mirror, unless it is there, and reads it. What cannot be read because the
// mirror is damaged is cloned once more; then it is the server's, and reported.
func (r *remote) update(ctx context.Context, t target) (*Snapshot, error) {
	g, fresh, err := r.bring(ctx, t)
	if err != nil {
		return nil, err
	}
	s, err := r.readTarget(ctx, &g, fresh)
	if isDamage(err) && !fresh {
		if time.Since(r.mirror.restarts) > r.limits.pause {
			if g, err = r.clone(ctx, t); err != nil {
				return nil, err
			}
			r.mirror.restarts = time.Now()
		}
		s, err = r.readTarget(ctx, &g, true)
	}
	if isDamage(err) {
		err = r.fail(KindDamaged, "what the server sent is not whole, or was damaged here ("+tame(err.Error(), nil)+")",
			"it is cloned afresh every "+r.limits.pause.String()+"; if that does not help, run git fsck on the server, and see to the disk here")
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// A set of files that we refuse is no fault of the mirror's.
	if stateErr := r.mirror.adopt(g); err == nil && stateErr != nil {
		err = r.fail(KindLocal, "the state folder cannot be written ("+tame(stateErr.Error(), nil)+")", "see whether the disk is full")
	}
	return s, err
}

// readTarget reads what a generation was fetched for, and notes in it if that is good.
func (r *remote) readTarget(ctx context.Context, g *mirrorState, fresh bool) (*Snapshot, error) {
	s, found, err := r.read(ctx, r.mirror.path(g.Generation), plumbing.NewHash(g.Fetched), r.memo, fresh)
	if err != nil {
		return nil, err
	}
	g.Good, r.memo = s.Commit, found
	return s, nil
}

// read reads a commit, or the one that a tag is of, from a generation.
func (r *remote) read(ctx context.Context, dir string, id plumbing.Hash, old memo, mayEnd bool) (s *Snapshot, found memo, err error) {
	opened := false
	err = once(dir, func(rp *repo) error {
		opened = true
		rp.where = r.at.String()
		head, err := rp.peel(id)
		if err != nil {
			return err
		}
		rd := newReading(r.cfg, rp, old, mayEnd)
		s, err = rd.snapshot(ctx, head)
		found = rd.new
		return err
	})
	if err != nil && !opened {
		err = damage{err}
	}
	return s, found, err
}

// bring makes sure that the target is in the mirror, and returns the generation that has it, which may be a
// fresh one that does not count yet.
func (r *remote) bring(ctx context.Context, t target) (g mirrorState, fresh bool, err error) {
	const enough = 2
	m := r.mirror
	g = m.state
	switch {
	case g.Generation != "" && g.Fetched == t.hash.String():
		return g, false, nil
	case !m.exists(g.Generation) || m.worn(r.limits) || m.refused >= enough:
		g, err = r.clone(ctx, t)
		return g, true, err
	}
	g.Fetched, err = r.fetch(ctx, m.path(g.Generation), t)
	switch KindOf(err) {
	case "":
		m.refused = 0
		return g, false, nil
	case KindProtocol, KindDamaged:
		// Some servers and this library do not agree on what we have already. A clone asks for nothing of that
		// kind, and also mends a mirror that cannot be fetched into.
		if g, err = r.clone(ctx, t); err == nil {
			m.refused++
		}
		return g, true, err
	}
	return g, false, err
}

// clone fetches the target into a new generation.
func (r *remote) clone(ctx context.Context, t target) (mirrorState, error) {
	name, err := r.mirror.next()
	if err != nil {
		return mirrorState{}, r.fail(KindLocal, "the state folder cannot be written ("+tame(err.Error(), nil)+")", "see who owns it, and whether the disk is full")
	}
	// clean, at the next swap or start, removes what is in the way.
	g := mirrorState{Generation: name, Good: r.mirror.state.Good, Born: time.Now().UTC().Truncate(time.Second)}
	if g.Fetched, err = r.fetch(ctx, r.mirror.path(name), t); err != nil {
		return g, errors.Join(err, r.mirror.clean())
	}
	_, g.Size = weigh(r.mirror.path(name))
	return g, nil
}

// fetch brings the target into the repository at dir, and returns what the reference was.
func (r *remote) fetch(ctx context.Context, dir string, t target) (string, error) {
	if err := cleanGeneration(dir); err != nil {
		return "", r.fail(KindLocal, "the state folder cannot be written ("+tame(err.Error(), nil)+")", "see who owns it")
	}
	if r.cfg.Commit == "" {
		return r.fetchRef(ctx, dir, t.ref)
	}
	// Not every server hands out commits by their ids, so what leads there is tried first.
	if t.ref != "" {
		if _, err := r.fetchRef(ctx, dir, t.ref); err != nil {
			return "", err
		}
		if r.holds(dir, r.cfg.Commit) {
			return r.cfg.Commit, nil
		}
	}
	return r.fetchRef(ctx, dir, r.cfg.Commit)
}

func (r *remote) holds(dir, commit string) bool {
	return once(dir, func(rp *repo) error {
		_, _, err := rp.find(plumbing.NewHash(commit))
		return err
	}) == nil
}

// fetchRef fetches one reference, or a commit by its id.
func (r *remote) fetchRef(ctx context.Context, dir, ref string) (fetched string, err error) {
	err = r.call(ctx, fetchTimes*r.cfg.Timeout, func(c *call) error {
		store := &mirrorStore{ctx: c.ctx, dir: dir, limits: r.limits}
		store.Storage = filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(8*cache.MiByte))
		defer store.Close()
		auth, err := c.auth()
		if err != nil {
			return err
		}
		spec := config.RefSpec("+" + ref + ":" + wanted.String())
		err = gogit.NewRemote(store, r.endpoint()).FetchContext(c.ctx, &gogit.FetchOptions{
			RefSpecs: []config.RefSpec{spec}, Depth: depth, Tags: gogit.NoTags, Force: true, Auth: auth, ProxyOptions: c.proxy,
		})
		switch {
		case errors.Is(err, gogit.ErrExactSHA1NotSupported):
			return r.fail(KindRefMissing, fmt.Sprintf("commit %s is not among the last %d of the default branch, and the server hands out no others by their ids",
				ref, depth), "set branch or tag to one that leads there")
		case err != nil && !errors.Is(err, gogit.NoErrAlreadyUpToDate):
			return err
		}
		if err := store.finish(); err != nil {
			return err
		}
		fetched, err = arrived(store)
		return err
	})
	return fetched, err
}

// errNothing means that a fetch brought nothing.
var errNothing = errors.New("the answer holds nothing of what was asked for")

// arrived returns what the reference is after a fetch. The library takes an empty answer for one that says that
// all is here already, so it is looked for.
func arrived(store *mirrorStore) (string, error) {
	at, err := store.Reference(wanted)
	if err != nil {
		return "", err
	}
	if _, err := store.EncodedObjectSize(at.Hash()); err != nil {
		return "", errNothing
	}
	return at.Hash().String(), nil
}

func (r *remote) endpoint() *config.RemoteConfig {
	return &config.RemoteConfig{Name: "origin", URLs: []string{r.at.String()}}
}

// target is what to fetch, as the server listed it.
type target struct {
	ref    string        // its name; "" where none leads to the commit that is asked for
	hash   plumbing.Hash // a commit or an annotated tag
	commit plumbing.Hash
}

// lookup asks the server what it has under the name that is followed.
func (r *remote) lookup(ctx context.Context) (target, error) {
	refs := refList{}
	err := r.call(ctx, r.cfg.Timeout, func(c *call) error {
		auth, err := c.auth()
		if err != nil {
			return err
		}
		list, err := gogit.NewRemote(memory.NewStorage(), r.endpoint()).ListContext(c.ctx,
			&gogit.ListOptions{Auth: auth, PeelingOption: gogit.AppendPeeled, ProxyOptions: c.proxy})
		for _, ref := range list {
			refs[ref.Name()] = ref
		}
		return err
	})
	if err != nil {
		return target{}, err
	}
	return r.pick(refs)
}
