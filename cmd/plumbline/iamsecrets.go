package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// secretsByTarget are the secrets that the files of each target refer to.
type secretsByTarget map[string][]pipeline.Reference // :: target → references

// secretsToRead returns the secrets that the pipeline files refer to. A policy without them is good for all else, so
// files that cannot be read are noted and no error.
func (a *app) secretsToRead(ctx context.Context, f *iamFlags, cfg *config.Config, chosen []*identity) secretsByTarget {
	remote := slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.URL != "" && source.Remote(s.URL) })
	switch {
	case len(cfg.Sources) == 0:
		return nil
	case f.tree == nil && remote && !f.files:
		a.note("the pipeline files are on a server and were not read; if they refer to secrets, --files adds those to the policy")
		return nil
	}
	if err := a.readFiles(ctx, f, cfg); err != nil {
		a.note("the pipeline files cannot be read, so secrets that they refer to are not in the policy: %v", err)
		return nil
	}
	secrets, own := secretsByTarget{}, false
	for _, id := range chosen {
		for _, t := range id.targets {
			secrets[t.Name] = referencesOf(f.desired(cfg, t))
			own = own || len(secrets[t.Name]) > 0
		}
	}
	if own {
		a.note("a secret that is encrypted with a key of your own also needs kms:Decrypt on that key, which no file names")
	}
	return secrets
}

// referencesOf returns the secrets that the usable files of a target refer to, each once.
func referencesOf(desired *sync.Desired) (refs []pipeline.Reference) {
	for _, name := range slices.Sorted(maps.Keys(desired.Wanted)) {
		w := desired.Wanted[name]
		if w.Document == nil || len(w.Errors) > 0 {
			continue
		}
		for _, ref := range pipeline.References(w.Document.Declaration()) {
			if ref = ref.Whole(); !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// addSecrets adds what the secrets of a target are called in a policy. AWS ends the ARN of a secret in a hyphen and six
// letters, which a name does not have, and an ARN in a file may or may not have.
func (b *policyBuilder) addSecrets(t config.Target, refs []pipeline.Reference) {
	here := ":" + t.Region + ":" + accountOf(t, "*") + ":"
	for _, ref := range refs {
		if ref.Service == pipeline.ParameterStore {
			b.parameters = append(b.parameters, "arn:"+pipeline.Partition(t.Region)+":ssm"+here+"parameter/"+strings.TrimPrefix(ref.ID, "/"))
			continue
		}
		arns := []string{"arn:" + pipeline.Partition(t.Region) + ":secretsmanager" + here + "secret:" + ref.ID + "-??????"}
		if ref.Region() != "" {
			arn := strings.Replace(ref.ID, ":"+unknownAccount+":", ":*:", 1)
			arns = []string{arn, arn + "-??????"}
		}
		b.secrets = append(b.secrets, arns...)
		if !t.Policy.ReadOnly {
			b.values = append(b.values, arns...)
		}
	}
}
