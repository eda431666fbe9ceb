package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Value is one effective value of a configuration.
type Value struct {
	Key    string `json:"key"`    // such as policy.mode or sources[0].auth.tokenFile
	Value  string `json:"value"`  // as it is in force: paths are absolute
	Origin string `json:"origin"` // where it is set: plumbline.yaml:7:12, environment PLUMBLINE_POLICY_MODE, or default
}

// String returns the value as one line in the manner of YAML, with its origin for a comment.
func (v Value) String() string {
	text := v.Value
	plain := func(r rune) bool { return unicode.IsGraphic(r) && !strings.ContainsRune(" \t\"#", r) }
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		text = strconv.Quote(text)
	}
	return fmt.Sprintf("%s: %s # %s", v.Key, text, v.Origin)
}

// Show returns the values that are in force, in the order of the manual, and where each of them was set. What can be
// left out and was is not there; the policy of a target has only what it does not share with the common one. No
// secret is shown, as there is none in a configuration.
func Show(c *Config) []Value {
	l := &listing{origins: &c.origins}
	l.add("name", c.Name)
	for i := range c.Sources {
		l.source(c.origins.sourcePath(i), &c.Sources[i])
	}
	for i, t := range c.Targets {
		at := c.origins.targetPath(i)
		if c.origins.has("regions") {
			l.add(at, t.Region)
			continue
		}
		l.target(at, t)
	}
	l.policy("policy", c.Policy.TargetPolicy, l.add)
	for _, rule := range slices.Sorted(maps.Keys(c.Policy.Rules)) {
		l.add("policy.rules."+rule, c.Policy.Rules[rule])
	}
	for i, rule := range c.Policy.Ignore {
		l.ignore(fmt.Sprintf("policy.ignore[%d]", i), rule)
	}
	for i, rule := range c.Policy.Overrides {
		l.override(fmt.Sprintf("policy.overrides[%d]", i), rule)
	}
	l.add("drift.interval", c.Drift.Interval)
	l.add("drift.fullInterval", c.Drift.FullInterval)
	l.add("executions.interval", c.Executions.Interval)
	l.add("executions.queueURL", c.Executions.QueueURL)
	l.add("aws.requestsPerSecond", c.AWS.RequestsPerSecond)
	l.add("aws.burst", c.AWS.Burst)
	l.add("aws.writesPerSecond", c.AWS.WritesPerSecond)
	l.add("aws.timeout", c.AWS.Timeout)
	l.add("aws.endpointURL", c.AWS.EndpointURL)
	l.add("web.listen", c.Web.Listen)
	l.add("web.webhookListen", c.Web.WebhookListen)
	l.add("web.tokenFile", c.Web.TokenFile)
	l.add("web.userHeader", c.Web.UserHeader)
	for i, cidr := range c.Web.TrustedProxies {
		l.add(fmt.Sprintf("web.trustedProxies[%d]", i), cidr)
	}
	l.add("state.dir", c.State.Dir)
	l.add("log.level", c.Log.Level)
	l.add("log.format", c.Log.Format)
	return l.values
}

// listing collects values and their origins.
type listing struct {
	*origins
	values []Value
}

// add lists a key, set or not.
func (l *listing) add(key string, value any) {
	text := fmt.Sprint(value)
	if d, ok := value.(time.Duration); ok {
		text = shortDuration(d)
	}
	origin, at := "default", key
	if enabled := join(key, "enabled"); l.has(enabled) { // the two forms of prune are one key here
		at = enabled
	}
	if p, ok := l.places[at]; ok {
		origin = p.String()
	}
	l.values = append(l.values, Value{key, text, origin})
}

// own lists a key only if it is set.
func (l *listing) own(key string, value any) {
	if l.has(key) || l.has(join(key, "enabled")) {
		l.add(key, value)
	}
}

// some lists a key only if it has a value, from wherever.
func (l *listing) some(key, value string) {
	if value != "" {
		l.add(key, value)
	}
}

func (l *listing) source(at string, s *Source) {
	l.add(at+".name", s.Name)
	l.some(at+".url", s.URL)
	l.some(at+".dir", s.Dir)
	l.some(at+".branch", s.Branch)
	l.some(at+".tag", s.Tag)
	l.some(at+".commit", s.Commit)
	l.add(at+".path", s.Path)
	l.add(at+".layout", s.Layout)
	l.add(at+".interval", s.Interval)
	l.add(at+".timeout", s.Timeout)
	auth := at + ".auth"
	l.some(auth+".tokenFile", s.Auth.TokenFile)
	l.some(auth+".username", s.Auth.Username)
	l.some(auth+".passwordFile", s.Auth.PasswordFile)
	l.some(auth+".sshKeyFile", s.Auth.SSHKeyFile)
	l.some(auth+".sshKeyPassphraseFile", s.Auth.SSHKeyPassphraseFile)
	l.some(auth+".knownHostsFile", s.Auth.KnownHostsFile)
	l.own(auth+".githubApp.appId", s.Auth.GitHubApp.AppID)
	l.own(auth+".githubApp.installationId", s.Auth.GitHubApp.InstallationID)
	l.some(auth+".githubApp.privateKeyFile", s.Auth.GitHubApp.PrivateKeyFile)
	l.some(auth+".githubApp.baseURL", s.Auth.GitHubApp.BaseURL)
	l.some(auth+".caFile", s.Auth.CAFile)
	l.some(auth+".proxy", s.Auth.Proxy)
	l.some(at+".webhook.secretFile", s.Webhook.SecretFile)
	for i, pattern := range s.Targets {
		l.add(fmt.Sprintf("%s.targets[%d]", at, i), pattern)
	}
}

func (l *listing) target(at string, t Target) {
	l.add(at+".name", t.Name)
	l.add(at+".region", t.Region)
	l.some(at+".account", t.Account)
	l.some(at+".profile", t.Profile)
	l.some(at+".assumeRole.arn", t.AssumeRole.ARN)
	l.some(at+".assumeRole.externalId", t.AssumeRole.ExternalID)
	for _, name := range slices.Sorted(maps.Keys(t.Vars)) {
		l.add(at+".vars."+name, t.Vars[name])
	}
	l.policy(at+".policy", t.Policy, l.own)
}

func (l *listing) policy(at string, p TargetPolicy, add func(key string, value any)) {
	add(at+".mode", p.Mode)
	add(at+".readOnly", p.ReadOnly)
	add(at+".prune", p.Prune.Enabled)
	add(at+".prune.grace", p.Prune.Grace)
	add(at+".adopt", p.Adopt)
	add(at+".limits.creates", p.Limits.Creates)
	add(at+".limits.updates", p.Limits.Updates)
	add(at+".limits.updatesPercent", p.Limits.UpdatesPercent)
	add(at+".limits.deletes", p.Limits.Deletes)
	add(at+".limits.deletesPercent", p.Limits.DeletesPercent)
	add(at+".whenBusy", p.WhenBusy)
	if p.MaxWait > 0 {
		add(at+".maxWait", p.MaxWait)
	} else {
		add(at+".maxWait", "unset")
	}
	for _, fence := range []struct {
		key      string
		patterns []string
	}{
		{"roles", p.Allow.Roles}, {"buckets", p.Allow.Buckets}, {"keys", p.Allow.Keys},
		{"connections", p.Allow.Connections}, {"actionTypes", p.Allow.ActionTypes}, {"regions", p.Allow.Regions},
	} {
		for i, pattern := range fence.patterns {
			add(fmt.Sprintf("%s.allow.%s[%d]", at, fence.key, i), pattern)
		}
	}
}

func (l *listing) ignore(at string, rule Ignore) {
	for i, pattern := range rule.Pipelines {
		l.add(fmt.Sprintf("%s.pipelines[%d]", at, i), pattern)
	}
	for i, pattern := range rule.Paths {
		l.add(fmt.Sprintf("%s.paths[%d]", at, i), pattern)
	}
}

func (l *listing) override(at string, rule Override) {
	for i, pattern := range rule.Pipelines {
		l.add(fmt.Sprintf("%s.pipelines[%d]", at, i), pattern)
	}
	l.own(at+".mode", rule.Mode)
	l.own(at+".adopt", rule.Adopt)
	l.own(at+".whenBusy", rule.WhenBusy)
	l.own(at+".maxWait", rule.MaxWait)
}

// shortDuration writes a span of time as people write it in the file: 1h, not 1h0m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
