package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/bmatcuk/doublestar/v4"
)

// Warnings returns what is legal in a configuration that was loaded and probably not meant, in the order of the file.
// It looks at the files that the configuration names, so it may say something else a moment later.
func Warnings(c *Config) []Fault {
	w := &warner{c: c}
	webhooks := false
	for i := range c.Sources {
		at := c.origins.sourcePath(i)
		w.place(at, &c.Sources[i])
		w.files(at, &c.Sources[i])
		w.reach(at, &c.Sources[i])
		w.webhook(at, &c.Sources[i])
		webhooks = webhooks || c.Sources[i].Webhook.SecretFile != ""
	}
	if c.Web.WebhookListen != "" && !webhooks {
		w.warn("web.webhookListen", "no source has a webhook, so nobody is listened to", "give a source webhook: {secretFile: …}")
	}
	for i, t := range c.Targets {
		w.prune(c.origins.targetPath(i)+".policy", t.Policy)
	}
	if c.Drift.FullInterval < c.Drift.Interval {
		w.warn("drift.fullInterval", "the full interval is shorter than the other, so every pass reads every pipeline", "")
	}
	if c.AWS.WritesPerSecond > c.AWS.RequestsPerSecond {
		w.warn("aws.writesPerSecond", "more writes than requests a second, and requests count writes as well", "")
	}
	return sortFaults(w.found)
}

type warner struct {
	c     *Config
	found []Fault
}

func (w *warner) warn(key, message, hint string) {
	w.found = append(w.found, w.c.origins.faultOf(key, message, hint))
}

// place looks whether a local source is there.
func (w *warner) place(at string, s *Source) {
	key, local := at+".dir", s.Dir
	if local == "" {
		key, local = at+".url", s.URL
	}
	if _, err := os.Stat(local); filepath.IsAbs(local) && errors.Is(err, fs.ErrNotExist) {
		w.warn(key, fmt.Sprintf("there is nothing at %s", local), "")
	}
}

// files looks at the files that a source needs, in particular at those that hold a secret.
func (w *warner) files(at string, s *Source) {
	for _, f := range s.files() {
		if *f.path == "" {
			continue
		}
		if message, hint := lookAt(*f.path, f.secret); message != "" {
			w.warn(join(at, f.key), message, hint)
		}
	}
}

// lookAt returns what is wrong with a file, "" if nothing is.
func lookAt(path string, secret bool) (message, hint string) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no file %s", path), "it is read when it is needed; until then the source fails"
	case err != nil:
		return fmt.Sprintf("cannot be seen: %v", err), ""
	case !info.Mode().IsRegular():
		return fmt.Sprintf("%s is no file", path), ""
	case info.Size() == 0:
		return fmt.Sprintf("the file %s is empty", path), ""
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("cannot be read: %v", err), "the user that runs plumbline must be able to"
	}
	f.Close()
	switch open := info.Mode().Perm() & 0o006; {
	case runtime.GOOS == "windows": // its permissions are elsewhere
		return "", ""
	case open&0o002 != 0:
		return fmt.Sprintf("everybody on this machine can write to %s", path), "chmod o-rwx takes that away"
	case open != 0 && secret:
		return fmt.Sprintf("everybody on this machine can read %s", path), "chmod o-rwx takes that away; for a Secret of Kubernetes, defaultMode: 0440"
	}
	return "", ""
}

// reach looks whether there are targets for what a source has.
func (w *warner) reach(at string, s *Source) {
	for i, pattern := range s.Targets {
		matches := false
		for _, t := range w.c.Targets {
			matches = matches || doublestar.MatchUnvalidated(pattern, t.Name)
		}
		if !matches {
			w.warn(fmt.Sprintf("%s.targets[%d]", at, i), fmt.Sprintf("no target matches %q", pattern), "")
		}
	}
	if s.Layout == LayoutByTarget && len(w.c.Targets) == 1 {
		w.warn(at+".layout", fmt.Sprintf("there is one target only, so every file must be below a folder called %s or all", w.c.Targets[0].Name), "without layout, folders mean nothing and every file goes there")
	}
}

func (w *warner) webhook(at string, s *Source) {
	switch {
	case s.Webhook.SecretFile == "":
	case w.c.Web.WebhookListen == "":
		w.warn(at+".webhook", "web.webhookListen is not set, so no webhook arrives", "add web: {webhookListen: \":9000\"}, on a port of its own")
	case s.Commit != "":
		w.warn(at+".webhook", "the source stays at one commit, so a webhook changes nothing", "")
	}
}

// prune looks for deletes that somebody wants and that never happen.
func (w *warner) prune(at string, p TargetPolicy) {
	// own is the target's key where it has one, and else the common one: then all targets share one warning.
	own := func(key string) string {
		if w.c.origins.has(join(at, key)) {
			return join(at, key)
		}
		return "policy." + key
	}
	switch {
	case !p.Prune.Enabled:
	case p.Mode == ModeDetect:
		w.warn(own("prune"), "mode is detect, so run deletes nothing", "mode apply or enforce writes; plumbline apply does in every mode")
	case p.Limits.Deletes == 0:
		w.warn(own("prune"), "limits.deletes is 0, so every delete is held", "")
	}
}
