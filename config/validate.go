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
	c.validatePrune(d)
	c.validateRules(d)
	c.validateWeb(d)
	if sameListener(c.Web.Listen, c.Web.WebhookListen) {
		d.faultAt("web.webhookListen", fmt.Sprintf("%s listens there already", c.Web.Listen),
			"webhooks come from the internet, pages are for your own network: give them a port of their own")
	}
}

// validateWeb refuses a header that would be believed from anybody, and proxies that nothing is believed from.
func (c *Config) validateWeb(d *decoder) {
	switch header, proxies := d.has("web.userHeader"), d.has("web.trustedProxies"); {
	case header && !proxies:
		d.faultAt("web.userHeader", "anybody could send this header and act as whom they like", "name the proxies that may: web.trustedProxies: [10.0.0.0/8]")
	case proxies && !header:
		d.faultAt("web.trustedProxies", "nothing is believed from them", "web.userHeader says in which header they name who is signed in")
	}
}

// validatePrune demands a name where pipelines can be deleted: two instances that nobody gave a name both take
// themselves for the owner of the same pipelines, and each would delete what only the other one's files want.
func (c *Config) validatePrune(d *decoder) {
	if d.has("name") {
		return
	}
	const message, hint = "deletes need a name of this instance", `write name: … at the top of the file: what carries it in its tags can be deleted`
	if c.Policy.Prune.Enabled {
		d.faultAt("policy.prune", message, hint)
	}
	for i, t := range c.Targets {
		if at := d.targetPath(i) + ".policy.prune"; t.Policy.Prune.Enabled && d.has(at) {
			d.faultAt(at, message, hint)
		}
	}
}

// validateRules checks the rules for some pipelines, which say nothing without what they are about.
func (c *Config) validateRules(d *decoder) {
	for i := range c.Policy.Ignore {
		d.needs(fmt.Sprintf("policy.ignore[%d]", i), "paths")
	}
	for i := range c.Policy.Overrides {
		at := fmt.Sprintf("policy.overrides[%d]", i)
		d.needs(at, "pipelines")
		if !d.has(at+".mode") && !d.has(at+".adopt") && !d.has(at+".whenBusy") && !d.has(at+".maxWait") {
			d.faultAt(at, "it changes nothing", "an override sets mode, adopt, whenBusy or maxWait")
		}
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
	d.faults = append(d.faults, d.faultOf(path, message, hint))
}
