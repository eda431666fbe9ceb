package config

import (
	"fmt"
	"strings"
)

// validate makes the checks that take more than one key. A value that was refused when it was read is still empty
// here and must not be complained about again, so these checks ask whether a key is there, not what it holds.
func (c *Config) validate(d *decoder) {
	if d.exactlyOne("", "source", "sources") {
		c.validateSources(d)
	}
	if d.exactlyOne("", "regions", "targets") {
		c.validateTargets(d)
	}
}

func (c *Config) validateSources(d *decoder) {
	names := map[string]place{}
	for i, s := range c.Sources {
		at := d.sourcePath(i)
		if s.validate(d, at) {
			d.unique(names, at+".name", "source name", s.Name)
		}
	}
}

// validate reports whether the source has a name that can be compared with others.
func (s *Source) validate(d *decoder, at string) bool {
	d.exactlyOne(at, "url", "dir")
	var refs []string
	for _, key := range []string{"branch", "tag", "commit"} {
		if d.has(join(at, key)) {
			refs = append(refs, key)
		}
	}
	switch {
	case len(refs) > 0 && d.has(join(at, "dir")):
		d.faultAt(join(at, refs[0]), fmt.Sprintf("a folder has no %s", refs[0]), "for a git repository use url in place of dir")
	case len(refs) > 1:
		d.faultAt(join(at, refs[1]), "only one of branch, tag and commit can be given", "")
	}
	if s.Name != "" && isSourceName(s.Name) != nil {
		d.faultAt(at, fmt.Sprintf("no name can be made of the path %q", s.URL+s.Dir), "give the source a name")
		return false
	}
	return s.Name != ""
}

func (c *Config) validateTargets(d *decoder) {
	names, accounts := map[string]place{}, map[string]place{}
	for i, t := range c.Targets {
		at := d.targetPath(i)
		if d.has("targets") {
			t.validate(d, at)
		}
		refused := d.has(at+".account") && t.Account == "" || d.has(at+".assumeRole.arn") && t.AssumeRole.ARN == ""
		if d.unique(names, at+".name", "target name", t.Name) && t.Region != "" && !refused {
			d.unique(accounts, at+".region", "account and region", strings.TrimPrefix(t.accountKey()+" "+t.Region, " "))
		}
	}
}

func (t *Target) validate(d *decoder, at string) {
	d.needs(at, "region")
	if !d.has(at + ".assumeRole") {
		return
	}
	d.needs(at+".assumeRole", "arn")
	if role := t.AssumeRole.account(); role != "" && t.Account != "" && role != t.Account {
		d.faultAt(at+".assumeRole.arn", fmt.Sprintf("the role is in account %s, the target in %s", role, t.Account), "")
	}
}

// accountKey returns what is known of the account before anyone is asked: two targets with the same are the same account.
func (t *Target) accountKey() string {
	if t.Account != "" {
		return t.Account
	}
	if account := t.AssumeRole.account(); account != "" {
		return account
	}
	return t.Profile
}

// account returns the account of the role, "" if there is none.
func (r AssumeRole) account() string {
	if parts := roleShape.FindStringSubmatch(r.ARN); parts != nil {
		return parts[1]
	}
	return ""
}

// exactlyOne reports whether exactly one of two keys of a mapping is set, and complains if not.
func (d *decoder) exactlyOne(at, one, other string) bool {
	first, second := d.has(join(at, one)), d.has(join(at, other))
	switch {
	case first && second:
		d.faultAt(join(at, other), fmt.Sprintf("%s is set as well; only one of them can be", one), "")
	case !first && !second:
		hint := ""
		if at == "" {
			hint = smallest
		}
		d.faultAt(at, fmt.Sprintf("neither %s nor %s is set", one, other), hint)
	}
	return first != second
}

// needs complains if a mapping lacks a key.
func (d *decoder) needs(at, key string) {
	if !d.has(join(at, key)) {
		d.faultAt(at, fmt.Sprintf("%s is missing", key), "")
	}
}

// unique reports whether nothing else of this kind has the value, and complains if something has.
func (d *decoder) unique(seen map[string]place, at, kind, val string) bool {
	first, taken := seen[val]
	if taken && val != "" {
		d.faultAt(at, fmt.Sprintf("the %s %q is used twice, first in line %d", kind, val, first.line), "")
		return false
	}
	_, seen[val] = d.nearest(at)
	return true
}

// faultAt reports a fault of a key, or where the key is not set, of what it would stand in.
func (d *decoder) faultAt(path, message, hint string) {
	path, at := d.nearest(path)
	d.faults = append(d.faults, Fault{at.file, at.line, at.column, prefixed(path, message), hint})
}

// nearest returns the key itself if it is set, and else the smallest thing around it that is.
func (d *decoder) nearest(path string) (string, place) {
	for path != "" && !d.has(path) {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	if path == "" {
		return "", place{d.file, 1, 1}
	}
	return path, d.places[path]
}

// sourcePath returns the path of source i in whichever form the file uses.
func (d *decoder) sourcePath(i int) string {
	if d.has("source") {
		return "source"
	}
	return fmt.Sprintf("sources[%d]", i)
}

// targetPath returns the path of target i in whichever form the file uses.
func (d *decoder) targetPath(i int) string {
	if d.has("regions") {
		return fmt.Sprintf("regions[%d]", i)
	}
	return fmt.Sprintf("targets[%d]", i)
}
