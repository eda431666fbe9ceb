package source

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// step is one commit of the walk and what it changed.
type step struct {
	time    time.Time
	tree    plumbing.Hash
	parent  plumbing.Hash   // the first one; zero for the first commit of all
	merged  []plumbing.Hash // its other parents
	changes []change        // against the parent
	cost    int             // of finding and holding the changes; 0 while they are not known

	author, subject string
}

// change is one file that a commit changed; the zero hash is no file.
type change struct {
	path     string
	new, old plumbing.Hash
}

// errEnd ends the walk where history goes on but is too much to hold.
var errEnd = errors.New("there is too much history")

// readHistory fills in what came before head.
func (rd *reading) readHistory(ctx context.Context, s *Snapshot, head plumbing.Hash) error {
	budget := maxCost
	for id := head; ; {
		st, err := rd.step(id)
		if err != nil {
			return err
		}
		s.Commits = append(s.Commits, Commit{ID: id.String(), Time: st.time, Author: st.author, Subject: st.subject})
		if st.parent.IsZero() {
			break
		}
		if len(s.Commits) == rd.cfg.HistoryDepth || slices.Contains(rd.repo.shallow, id) {
			s.Truncated = true
			break
		}
		st, err = rd.walk(ctx, st, budget)
		if err != nil && !rd.tolerates(ctx, err) {
			return err
		}
		if err != nil {
			s.Truncated = true
			break
		}
		budget -= st.cost
		rd.new.steps[id] = st
		id = st.parent
	}
	if err := rd.readMerged(ctx, s); err != nil {
		return err
	}
	return rd.versions(ctx, s)
}

// readMerged notes the commits that merges brought in: they are part of the history, though the branch never was
// at them. It looks at four times as many commits as the depth. What is missing of the past is left out.
func (rd *reading) readMerged(ctx context.Context, s *Snapshot) error {
	var queue []plumbing.Hash
	for _, c := range s.Commits {
		queue = append(queue, rd.new.steps[plumbing.NewHash(c.ID)].merged...)
	}
	s.merged = map[string]bool{}
	for len(queue) > 0 {
		if s.partial = len(s.merged) >= 4*rd.cfg.HistoryDepth; s.partial {
			return nil
		}
		id := queue[0]
		queue = queue[1:]
		short := id.String()[:minPrefix]
		if s.merged[short] || s.Contains(short) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		st, err := rd.step(id)
		if err != nil {
			if !rd.tolerates(ctx, err) {
				return err
			}
			continue
		}
		s.merged[short] = true
		rd.new.steps[id] = st
		if slices.Contains(rd.repo.shallow, id) {
			continue
		}
		if queue = append(queue, st.merged...); !st.parent.IsZero() {
			queue = append(queue, st.parent)
		}
	}
	return nil
}

// tolerates reports whether history does without what could not be read. It does in general: a past that is
// damaged, hostile or left out must not keep anybody from what is there now. But what is missing may only have
// been repacked, and what is damaged in a mirror is whole on the server: both are worth another attempt.
func (rd *reading) tolerates(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (rd.mayEnd || !isDamage(err))
}

// step returns a commit, without its changes unless they are known.
func (rd *reading) step(id plumbing.Hash) (step, error) {
	if st, ok := rd.old.steps[id]; ok {
		return st, nil
	}
	if st, ok := rd.new.steps[id]; ok {
		return st, nil
	}
	c, err := rd.repo.commit(id)
	if err != nil {
		return step{}, err
	}
	subject, _, _ := strings.Cut(strings.TrimLeft(c.Message, "\r\n"), "\n")
	st := step{time: commitTime(c), tree: c.TreeHash, author: oneLine(c.Author.Name), subject: oneLine(subject)}
	if len(c.ParentHashes) > 0 {
		st.parent, st.merged = c.ParentHashes[0], c.ParentHashes[1:]
	}
	return st, nil
}

// longest is how many characters of an author's name and of a subject are kept.
const longest = 100

// oneLine makes text of a commit, which may be anything, fit for a line of a log.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text[:min(len(text), 4*longest)])
	runes := []rune(strings.TrimSpace(text))
	if len(runes) > longest {
		runes = append(runes[:longest-1], '…')
	}
	return string(runes)
}

// walk finds out what a commit changed, at a cost within the budget. The cost of what is known already counts
// too, so that history does not depend on what was read earlier.
func (rd *reading) walk(ctx context.Context, st step, budget int) (step, error) {
	if err := ctx.Err(); err != nil {
		return st, err
	}
	parent, err := rd.step(st.parent)
	if err != nil {
		return st, err
	}
	rd.new.steps[st.parent] = parent
	if st.cost == 0 {
		newer, _, _, err := rd.descend(st.tree)
		if err != nil {
			return st, err
		}
		older, _, _, err := rd.descend(parent.tree)
		if err != nil {
			return st, err
		}
		d := &diff{ctx: ctx, repo: rd.repo, budget: budget, cost: 1}
		if err := d.folder(rd.cfg.Path, newer, older); err != nil {
			return st, err
		}
		st.changes, st.cost = d.changes, d.cost
	}
	if st.cost > budget {
		return st, errEnd
	}
	return st, nil
}

// diff compares two folders of commits, passing over subfolders with the same hash.
type diff struct {
	ctx     context.Context
	repo    *repo
	budget  int
	cost    int
	changes []change
}

func (d *diff) spend(cost int) error {
	if d.cost += cost; d.cost > d.budget {
		return errEnd
	}
	return d.ctx.Err()
}

func (d *diff) folder(dir string, newer, older plumbing.Hash) error {
	if newer == older {
		return nil
	}
	a, err := d.list(dir, newer)
	if err != nil {
		return err
	}
	b, err := d.list(dir, older)
	if err != nil {
		return err
	}
	for len(a) > 0 || len(b) > 0 {
		var x, y entry // of the same name; zero where one side has none
		order := -1
		if len(a) == 0 {
			order = 1
		} else if len(b) > 0 {
			order = cmp.Compare(a[0].name, b[0].name)
		}
		if order <= 0 {
			x, a = a[0], a[1:]
		}
		if order >= 0 {
			y, b = b[0], b[1:]
		}
		if err := d.entry(path.Join(dir, cmp.Or(x.name, y.name)), x, y); err != nil {
			return err
		}
	}
	return nil
}

func (d *diff) entry(name string, newer, older entry) error {
	if newer.file() != older.file() {
		d.changes = append(d.changes, change{path: name, new: newer.file(), old: older.file()})
		if err := d.spend(changeCost); err != nil {
			return err
		}
	}
	return d.folder(name, newer.folder(), older.folder())
}

// list returns what a Snapshot of the folder would read: JSON files and folders. A name that once was a link
// or a submodule had no file then.
func (d *diff) list(dir string, id plumbing.Hash) ([]entry, error) {
	if id.IsZero() { // no such folder
		return nil, nil
	}
	all, err := d.repo.list(id)
	if err != nil {
		return nil, err
	}
	if err := d.spend(folderCost + len(all)); err != nil {
		return nil, err
	}
	kept := all[:0]
	last := ""
	for _, e := range all {
		twice := e.name == last
		last = e.name
		if judge(dir, e, twice) == "" && !isHidden(e.name) && (e.mode == filemode.Dir || isJSON(e.name)) {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// versions turns what each commit changed into what each path was, and since when it is as it is.
func (rd *reading) versions(ctx context.Context, s *Snapshot) error {
	s.History = map[string][]Version{}
	since := map[string]string{} // the commit that changed a path last
	kept := rd.cfg.MaxTotalSize
	// What the oldest commit changed is not told, though an earlier reading may know it: it would lead to
	// states that are not among the Commits.
	oldest := s.Commits[len(s.Commits)-1]
	for _, c := range s.Commits[:len(s.Commits)-1] {
		id := plumbing.NewHash(c.ID)
		for _, ch := range rd.new.steps[id].changes {
			if err := ctx.Err(); err != nil {
				return err
			}
			before := s.History[ch.path]
			if n := len(before); n > 0 { // it is this commit that brought in what a newer one replaced
				before[n-1].Commit, before[n-1].Time = c.ID, c.Time
			} else {
				since[ch.path] = c.ID
			}
			v := Version{}
			if !ch.old.IsZero() {
				v.Hash = ch.old.String()
				var err error
				if v.Data, err = rd.past(ctx, ch.old, &kept); err != nil {
					return err
				}
			}
			s.History[ch.path] = append(before, v)
		}
	}
	for i := range s.Files {
		s.Files[i].Commit = cmp.Or(since[s.Files[i].Path], oldest.ID)
	}
	for p, versions := range s.History {
		switch last := &versions[len(versions)-1]; {
		case last.Hash != "":
			last.Commit, last.Time = oldest.ID, oldest.Time
		case len(versions) == 1: // it is as the commit made it that created it
			delete(s.History, p)
		default:
			s.History[p] = versions[:len(versions)-1]
		}
	}
	return nil
}

// past returns a blob of the past, or nil where it is over a limit or cannot be read. kept is how many bytes
// may still be added; once it has run out, all that is older is nil.
func (rd *reading) past(ctx context.Context, id plumbing.Hash, kept *int64) ([]byte, error) {
	if data, ok := rd.new.blobs[id]; ok || *kept < 0 {
		return data, nil
	}
	size, err := rd.size(id)
	if err == nil && size <= rd.cfg.MaxFileSize {
		if *kept -= size; *kept < 0 {
			return nil, nil
		}
		var data []byte
		if data, err = rd.blob(id); err == nil {
			return data, nil
		}
	}
	if err != nil && !rd.tolerates(ctx, err) {
		return nil, err
	}
	return nil, nil
}
