package config

import "path/filepath"

// complete fills in what follows from other keys: names, policies, absolute paths.
func (c *Config) complete(d *decoder, folder string) {
	for i := range c.Sources {
		c.Sources[i].complete(d, d.sourcePath(i), folder)
	}
	if d.fromEnvironment("policy.prune") {
		d.places["policy.prune.enabled"] = d.places["policy.prune"]
	}
	for i := range c.Targets {
		c.Targets[i].complete(d, d.targetPath(i), c.Policy.TargetPolicy)
	}
	if d.fromEnvironment("state.dir") {
		// Who writes a variable thinks of the working folder, as with a flag.
		if dir, err := filepath.Abs(c.State.Dir); err == nil {
			c.State.Dir = dir
		}
	}
	c.State.Dir = absolute(folder, c.State.Dir)
	if c.Web.TokenFile != "" {
		c.Web.TokenFile = absolute(folder, c.Web.TokenFile)
	}
}

func (t *Target) complete(d *decoder, at string, common TargetPolicy) {
	if t.Name == "" {
		t.Name = t.Region
	}
	at += ".policy"
	own, limits := &t.Policy, &t.Policy.Limits
	inherit(d, at+".mode", &own.Mode, common.Mode)
	inherit(d, at+".readOnly", &own.ReadOnly, common.ReadOnly)
	inherit(d, at+".prune.enabled", &own.Prune.Enabled, common.Prune.Enabled)
	inherit(d, at+".prune.grace", &own.Prune.Grace, common.Prune.Grace)
	inherit(d, at+".adopt", &own.Adopt, common.Adopt)
	inherit(d, at+".limits.creates", &limits.Creates, common.Limits.Creates)
	inherit(d, at+".limits.updates", &limits.Updates, common.Limits.Updates)
	inherit(d, at+".limits.updatesPercent", &limits.UpdatesPercent, common.Limits.UpdatesPercent)
	inherit(d, at+".limits.deletes", &limits.Deletes, common.Limits.Deletes)
	inherit(d, at+".limits.deletesPercent", &limits.DeletesPercent, common.Limits.DeletesPercent)
	inherit(d, at+".whenBusy", &own.WhenBusy, common.WhenBusy)
	inherit(d, at+".maxWait", &own.MaxWait, common.MaxWait)
	inherit(d, at+".allow.roles", &own.Allow.Roles, common.Allow.Roles)
	inherit(d, at+".allow.buckets", &own.Allow.Buckets, common.Allow.Buckets)
	inherit(d, at+".allow.keys", &own.Allow.Keys, common.Allow.Keys)
	inherit(d, at+".allow.connections", &own.Allow.Connections, common.Allow.Connections)
	inherit(d, at+".allow.actionTypes", &own.Allow.ActionTypes, common.Allow.ActionTypes)
	inherit(d, at+".allow.regions", &own.Allow.Regions, common.Allow.Regions)
	// The variable is a stop switch: it stops also the targets that say readOnly: false for themselves.
	if common.ReadOnly && !own.ReadOnly && d.fromEnvironment("policy.readOnly") {
		own.ReadOnly = true
		d.places[at+".readOnly"] = d.places["policy.readOnly"]
	}
}

// inherit gives a target's key the common value unless the target has one of its own.
func inherit[T any](d *decoder, path string, own *T, common T) {
	if !d.has(path) {
		*own = common
	}
}

// absolute returns a path of the file as seen from the file's folder.
func absolute(folder, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, name)
}
