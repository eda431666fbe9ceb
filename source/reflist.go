package source

import (
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// refList is what a server has, by name.
type refList map[plumbing.ReferenceName]*plumbing.Reference

// peeled ends the name under which servers list the commit that an annotated tag is of.
const peeled = "^{}"

// pick finds what the config follows.
func (r *remote) pick(refs refList) (target, error) {
	switch {
	case r.cfg.Commit != "":
		return refs.leadingTo(plumbing.NewHash(r.cfg.Commit)), nil
	case r.cfg.Branch != "":
		return r.pickNamed(refs, plumbing.NewBranchReferenceName(r.cfg.Branch), "branch", r.cfg.Branch)
	case r.cfg.Tag != "":
		return r.pickNamed(refs, plumbing.NewTagReferenceName(r.cfg.Tag), "tag", r.cfg.Tag)
	}
	if t, ok := refs.find(plumbing.HEAD); ok {
		return t, nil
	}
	return target{}, r.fail(KindRefMissing, "the server names no default branch, or one that does not exist",
		"set branch to one that does: "+shown(refs.names("refs/heads/"), "main"))
}

func (r *remote) pickNamed(refs refList, ref plumbing.ReferenceName, kind, name string) (target, error) {
	if err := ref.Validate(); err != nil {
		return target{}, r.fail(KindRefMissing, quote(name)+" cannot be the name of a "+kind, "mend "+kind)
	}
	if t, ok := refs.find(ref); ok {
		return t, nil
	}
	there := refs.names(strings.TrimSuffix(ref.String(), name))
	if len(there) == 0 {
		return target{}, r.fail(KindRefMissing, "there is no "+kind+" "+quote(name)+", and none at all", "push one")
	}
	return target{}, r.fail(KindRefMissing, "there is no "+kind+" "+quote(name), "push it, or set "+kind+" to one that is there: "+shown(there, name))
}

// shown lists the names that may have been meant, tamed, as a server may call its branches anything.
func shown(names []string, wanted string) string {
	for i, name := range names {
		names[i] = tame(name, nil)
	}
	return nearest(wanted, names)
}

// find follows symbolic references to a commit or tag.
func (refs refList) find(name plumbing.ReferenceName) (target, bool) {
	const deepest = 5
	for range deepest {
		ref, ok := refs[name]
		if !ok {
			return target{}, false
		}
		if ref.Type() == plumbing.HashReference {
			t := target{ref: name.String(), hash: ref.Hash(), commit: ref.Hash()}
			if tagged, ok := refs[name+peeled]; ok {
				t.commit = tagged.Hash()
			}
			return t, true
		}
		name = ref.Target()
	}
	return target{}, false
}

// leadingTo finds a reference that is at a commit, and else the default branch, which may lead there.
func (refs refList) leadingTo(commit plumbing.Hash) target {
	best, _ := refs.find(plumbing.HEAD)
	for name, ref := range refs {
		if ref.Type() == plumbing.HashReference && ref.Hash() == commit {
			best.ref = strings.TrimSuffix(name.String(), peeled)
		}
	}
	return target{ref: best.ref, hash: commit, commit: commit}
}

// names lists what follows a prefix in the names of references.
func (refs refList) names(prefix string) []string {
	var names []string
	for ref := range refs {
		if name, ok := strings.CutPrefix(ref.String(), prefix); ok && !strings.HasSuffix(name, peeled) {
			names = append(names, name)
		}
	}
	return names
}
