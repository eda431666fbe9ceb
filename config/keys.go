package config

// keys returns every key there is, bound to c: the one table that the file, the environment and the suggestions read.
func (c *Config) keys() keys {
	policy := c.Policy.keys()
	policy["rules"] = dict{isRule, func(rule string) value {
		return mapItem(&c.Policy.Rules, rule, func(dst *Severity) scalar {
			return oneOf(dst, SeverityError, SeverityWarning, SeverityNote, SeverityOff)
		})
	}}
	policy["ignore"] = listOf(&c.Policy.Ignore, (*Ignore).keys)
	policy["overrides"] = listOf(&c.Policy.Overrides, (*Override).keys)
	return keys{
		"name":    text(&c.Name, isInstance),
		"source":  next(&c.Sources, (*Source).keys),
		"sources": listOf(&c.Sources, (*Source).keys),
		"regions": listOf(&c.Targets, func(t *Target) value { return text(&t.Region, isRegion) }),
		"targets": listOf(&c.Targets, (*Target).keys),
		"policy":  policy,
		"aws": keys{
			"requestsPerSecond": rate(&c.AWS.RequestsPerSecond),
			"burst":             count(&c.AWS.Burst),
			"writesPerSecond":   rate(&c.AWS.WritesPerSecond),
			"timeout":           duration(&c.AWS.Timeout),
			"endpointURL":       optionalText(&c.AWS.EndpointURL, isEndpoint),
		},
		"drift": keys{"interval": interval(&c.Drift.Interval), "fullInterval": interval(&c.Drift.FullInterval)},
		"executions": keys{
			"interval": interval(&c.Executions.Interval),
			"queueURL": optionalText(&c.Executions.QueueURL, isQueue),
		},
		"web": keys{
			"listen":         text(&c.Web.Listen, isListen),
			"webhookListen":  optionalText(&c.Web.WebhookListen, isListen),
			"tokenFile":      text(&c.Web.TokenFile, isLocalPath),
			"userHeader":     text(&c.Web.UserHeader, isHeader),
			"trustedProxies": listOf(&c.Web.TrustedProxies, func(cidr *string) value { return text(cidr, isCIDR) }),
		},
		"state": keys{"dir": text(&c.State.Dir, isLocalPath)},
		"log": keys{
			"level":  oneOf(&c.Log.Level, LogDebug, LogInfo, LogWarn, LogError),
			"format": oneOf(&c.Log.Format, LogJSON, LogText),
		},
	}
}

func (s *Source) keys() value {
	return keys{
		"name":     text(&s.Name, isSourceName),
		"url":      text(&s.URL, isRepository),
		"dir":      text(&s.Dir, isLocalPath),
		"branch":   text(&s.Branch),
		"tag":      text(&s.Tag),
		"commit":   text(&s.Commit, isCommit),
		"path":     text(&s.Path, isInside),
		"layout":   oneOf(&s.Layout, LayoutEverywhere, LayoutByTarget),
		"interval": interval(&s.Interval),
		"timeout":  duration(&s.Timeout),
		"auth":     s.Auth.keys(),
		"webhook":  keys{"secretFile": text(&s.Webhook.SecretFile, isLocalPath)},
		"targets":  listOf(&s.Targets, func(pattern *string) value { return text(pattern, isGlob) }),
	}
}

func (a *Auth) keys() keys {
	return keys{
		"tokenFile":            text(&a.TokenFile, isLocalPath),
		"username":             text(&a.Username, isUsername),
		"passwordFile":         text(&a.PasswordFile, isLocalPath),
		"sshKeyFile":           text(&a.SSHKeyFile, isLocalPath),
		"sshKeyPassphraseFile": text(&a.SSHKeyPassphraseFile, isLocalPath),
		"knownHostsFile":       text(&a.KnownHostsFile, isLocalPath),
		"githubApp": keys{
			"appId":          count(&a.GitHubApp.AppID),
			"installationId": count(&a.GitHubApp.InstallationID),
			"privateKeyFile": text(&a.GitHubApp.PrivateKeyFile, isLocalPath),
			"baseURL":        text(&a.GitHubApp.BaseURL, isEndpoint),
		},
		"caFile": text(&a.CAFile, isLocalPath),
		"proxy":  text(&a.Proxy, isProxy),
	}
}

func (t *Target) keys() value {
	return keys{
		"name":    text(&t.Name, isTargetName),
		"region":  text(&t.Region, isRegion),
		"account": text(&t.Account, isAccount),
		"profile": text(&t.Profile),
		"assumeRole": keys{
			"arn":        text(&t.AssumeRole.ARN, isRole),
			"externalId": text(&t.AssumeRole.ExternalID, isExternalID),
		},
		"vars": dict{isName, func(name string) value {
			return mapItem(&t.Vars, name, func(dst *string) scalar { return optionalText(dst) })
		}},
		"policy": t.Policy.keys(),
	}
}

func (p *TargetPolicy) keys() keys {
	return keys{
		"mode":     oneOf(&p.Mode, ModeDetect, ModeApply, ModeEnforce),
		"readOnly": boolean(&p.ReadOnly),
		"adopt":    oneOf(&p.Adopt, AdoptNever, AdoptIdentical, AdoptAlways),
		"prune":    p.Prune.key(),
		"limits": keys{
			"creates":        limit(&p.Limits.Creates),
			"updates":        limit(&p.Limits.Updates),
			"updatesPercent": percent(&p.Limits.UpdatesPercent),
			"deletes":        limit(&p.Limits.Deletes),
			"deletesPercent": percent(&p.Limits.DeletesPercent),
		},
		"allow": keys{
			"roles":       fence(&p.Allow.Roles),
			"buckets":     fence(&p.Allow.Buckets),
			"keys":        fence(&p.Allow.Keys),
			"connections": fence(&p.Allow.Connections),
			"actionTypes": fence(&p.Allow.ActionTypes),
			"regions":     fence(&p.Allow.Regions),
		},
		"whenBusy": oneOf(&p.WhenBusy, WhenBusyWait, WhenBusyApply),
		"maxWait":  duration(&p.MaxWait),
	}
}

func (i *Ignore) keys() value {
	return keys{
		"pipelines": listOf(&i.Pipelines, func(pattern *string) value { return text(pattern, isGlob) }),
		"paths":     listOf(&i.Paths, func(pattern *string) value { return text(pattern, isGlob, isPointer) }),
	}
}

func (o *Override) keys() value {
	return keys{
		"pipelines": listOf(&o.Pipelines, func(pattern *string) value { return text(pattern, isGlob) }),
		"mode":      oneOf(&o.Mode, ModeDetect, ModeApply, ModeEnforce),
		"adopt":     oneOf(&o.Adopt, AdoptNever, AdoptIdentical, AdoptAlways),
		"whenBusy":  oneOf(&o.WhenBusy, WhenBusyWait, WhenBusyApply),
		"maxWait":   duration(&o.MaxWait),
	}
}

func fence(dst *[]string) list {
	return listOf(dst, func(pattern *string) value { return text(pattern, isWildcard) })
}

func (p *Prune) key() either {
	on := boolean(&p.Enabled)
	return either{"enabled", on, keys{"enabled": on, "grace": duration(&p.Grace)}}
}

// mapItem is a scalar that becomes the item of a map: a map's items cannot be pointed to.
func mapItem[T any](dst *map[string]T, key string, item func(*T) scalar) scalar {
	var v T
	s := item(&v)
	return scalar{s.kind, func(text string) error {
		if err := s.set(text); err != nil {
			return err
		}
		if *dst == nil {
			*dst = map[string]T{}
		}
		(*dst)[key] = v
		return nil
	}, s.form}
}
