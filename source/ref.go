package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// resolve returns the commit that the config asks for, as it is now.
func (r *repo) resolve(cfg Config) (plumbing.Hash, error) {
	switch {
	case cfg.Commit != "":
		return r.resolveCommit(cfg.Commit)
	case cfg.Branch != "":
		return r.resolveRef(plumbing.NewBranchReferenceName(cfg.Branch), "branch", cfg.Branch)
	case cfg.Tag != "":
		return r.resolveRef(plumbing.NewTagReferenceName(cfg.Tag), "tag", cfg.Tag)
	}
	return r.resolveHead()
}

func (r *repo) resolveCommit(commit string) (plumbing.Hash, error) {
	id := plumbing.NewHash(commit)
	_, err := r.commit(id)
	if errors.Is(err, errMissing) {
		return id, fmt.Errorf("%s has no commit %s: fetch it, or mend commit", r.where, commit)
	}
	return id, err
}

func (r *repo) resolveRef(ref plumbing.ReferenceName, kind, name string) (plumbing.Hash, error) {
	if err := ref.Validate(); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("%q cannot be the name of a %s", name, kind)
	}
	found, err := storer.ResolveReference(r.store, ref)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, r.noRef(ref, kind, name)
	}
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("reading %s %s of %s: %w", kind, name, r.where, err)
	}
	return r.peel(found.Hash())
}

func (r *repo) noRef(ref plumbing.ReferenceName, kind, name string) error {
	prefix := strings.TrimSuffix(ref.String(), name)
	there := r.refs(prefix)
	if len(there) == 0 {
		return fmt.Errorf("%s has no %s %q, and none at all: push one", r.where, kind, name)
	}
	return fmt.Errorf("%s has no %s %q: push it, or set %s to one that is there: %s", r.where, kind, name, kind, nearest(name, there))
}

// resolveHead follows HEAD, which names a branch or, detached, a commit.
func (r *repo) resolveHead() (plumbing.Hash, error) {
	head, err := r.store.Reference(plumbing.HEAD)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("reading HEAD of %s: %w", r.where, err)
	}
	if head.Type() == plumbing.HashReference {
		return r.peel(head.Hash())
	}
	found, err := storer.ResolveReference(r.store, head.Target())
	if err == nil {
		return r.peel(found.Hash())
	}
	if !errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, fmt.Errorf("reading %s of %s: %w", head.Target(), r.where, err)
	}
	if there := r.refs("refs/heads/"); len(there) > 0 {
		return plumbing.ZeroHash, fmt.Errorf("HEAD of %s names the branch %q, which does not exist: set branch to one that does: %s",
			r.where, head.Target().Short(), nearest("main", there))
	}
	return plumbing.ZeroHash, fmt.Errorf("%s has no commits: push the first one to %s", r.where, head.Target().Short())
}

// refs lists what follows prefix in the names of references. It serves hints, so what cannot be read is left out.
func (r *repo) refs(prefix string) []string {
	iter, err := r.store.IterReferences()
	if err != nil {
		return nil
	}
	defer iter.Close()
	var names []string
	// The callback has no errors to pass on.
	_ = iter.ForEach(func(ref *plumbing.Reference) error {
		if name, ok := strings.CutPrefix(ref.Name().String(), prefix); ok {
			names = append(names, name)
		}
		return nil
	})
	return names
}

// peel follows annotated tags, which may be of tags, to a commit.
func (r *repo) peel(id plumbing.Hash) (plumbing.Hash, error) {
	const deepest = 8
	for range deepest {
		kind, data, err := r.read(id, maxCommit)
		if err != nil {
			return id, err
		}
		switch kind {
		case plumbing.CommitObject:
			return id, nil
		case plumbing.TagObject:
			tag, err := object.DecodeTag(nil, decodable(kind, data))
			if err != nil {
				return id, readingError(id, err)
			}
			id = tag.Target
		default:
			return id, fmt.Errorf("%s of %s is a %s, not a commit: set tag or branch to one of a commit", id, r.where, kind)
		}
	}
	return id, fmt.Errorf("the tag in %s is a tag of a tag of a tag, more than %d deep", r.where, deepest)
}
