package config

import (
	"path"
	"path/filepath"
	"strings"
)

// complete fills in what follows from other keys: names, policies, absolute paths.
func (c *Config) complete(d *decoder, folder string) {
	for i := range c.Sources {
		c.Sources[i].complete(folder)
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
}

func (s *Source) complete(folder string) {
	s.URL, s.Dir = absolute(folder, s.URL), absolute(folder, s.Dir)
	s.Path = path.Clean(s.Path)
	if s.Layout == "" {
		s.Layout = LayoutEverywhere
	}
	if s.Name != "" || s.URL+s.Dir == "" {
		return
	}
	place := strings.TrimSuffix(filepath.ToSlash(s.URL+s.Dir), "/.git")
	s.Name = strings.TrimSuffix(path.Base(place), ".git")
}

func (t *Target) complete(d *decoder, at string, common TargetPolicy) {
	if t.Name == "" {
		t.Name = t.Region
	}
	if !d.has(at + ".policy.mode") {
		t.Policy.Mode = common.Mode
	}
	if !d.has(at + ".policy.adopt") {
		t.Policy.Adopt = common.Adopt
	}
	// The variable is a stop switch: it stops also the targets that say readOnly: false for themselves.
	if !d.has(at+".policy.readOnly") || (common.ReadOnly && d.fromEnvironment("policy.readOnly")) {
		t.Policy.ReadOnly = common.ReadOnly
	}
}

// absolute returns a path of the file as seen from the file's folder.
func absolute(folder, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, name)
}
