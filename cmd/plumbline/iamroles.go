package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// rolesByTarget are the roles to hand over, as ARNs; * and ? stand for what they do in a policy.
type rolesByTarget map[string][]string // :: target → roles

// rolesToPass returns the roles that pipelines of each target may run as: what --pass-role names, or else the fence
// of the target, or else those of the pipelines that the sources want now. Targets that are not written to need none.
func (a *app) rolesToPass(ctx context.Context, f *iamFlags, cfg *config.Config, chosen []*identity, all []config.Target) (rolesByTarget, error) {
	roles := rolesByTarget{}
	var unnamed []config.Target
	for _, id := range chosen {
		for _, t := range id.targets {
			given, where := f.passRoles, "--pass-role"
			if len(given) == 0 {
				given, where = t.Policy.Allow.Roles, "policy.allow.roles"
			}
			switch {
			case t.Policy.ReadOnly:
			case len(given) == 0:
				unnamed = append(unnamed, t)
			default:
				for _, role := range given {
					arn, err := roleARN(role, t, all)
					if err != nil {
						return nil, hinted{fmt.Errorf("%s: %w", where, err), "name roles with --pass-role, as an ARN such as arn:aws:iam::111122223333:role/codepipeline-*, or only by name: codepipeline-*"}
					}
					if arn != "" {
						roles[t.Name] = append(roles[t.Name], arn)
					}
				}
			}
		}
	}
	if len(unnamed) == 0 {
		return roles, nil
	}
	if err := a.rolesInFiles(ctx, f, cfg, unnamed, roles); err != nil {
		return nil, hinted{fmt.Errorf("looking for roles in the pipeline files: %w", err), "name the roles that pipelines run as with --pass-role, or say --read-only"}
	}
	return roles, nil
}

// rolesInFiles adds the roles that the sources' pipelines name.
func (a *app) rolesInFiles(ctx context.Context, f *iamFlags, cfg *config.Config, targets []config.Target, roles rolesByTarget) error {
	if err := a.readFiles(ctx, f, cfg); err != nil {
		return err
	}
	for _, t := range targets {
		desired := f.desired(cfg, t)
		if pipeline.HasErrors(desired.Problems) {
			a.note("target %s: some files have errors, and roles that only they name may be missing; `plumbline validate` shows them", t.Name)
		}
		for _, name := range slices.Sorted(maps.Keys(desired.Wanted)) {
			if doc := desired.Wanted[name].Document; doc != nil {
				roles[t.Name] = append(roles[t.Name], a.rolesOf(doc)...)
			}
		}
	}
	return nil
}

// readFiles reads the sources, once.
func (a *app) readFiles(ctx context.Context, f *iamFlags, cfg *config.Config) error {
	if f.tree != nil {
		return nil
	}
	stateDir, err := a.writableState(cfg)
	if err != nil {
		return err
	}
	w := &world{cfg: cfg}
	if w.origins, err = a.openOrigins(cfg, &f.worldFlags, nil, stateDir); err != nil {
		return err
	}
	f.tree, err = w.read(ctx)
	return err
}

// desired returns what the files want of a target.
func (f *iamFlags) desired(cfg *config.Config, t config.Target) *sync.Desired {
	return f.tree.For(pipeline.Target{
		Name: t.Name, Region: t.Region, Account: accountOf(t, unknownAccount), Partition: pipeline.Partition(t.Region), Vars: t.Vars,
		Rules: severities(cfg), Allow: (*pipeline.Fences)(&t.Policy.Allow),
	})
}

// unknownAccount stands for the account of a target that only AWS could tell. No account has this number.
const unknownAccount = "000000000000"

// roleShape is a role in a pipeline file. A * there would be a wildcard in the policy: the file of one pipeline
// would open every role.
var roleShape = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$`)

// rolesOf returns the roles that a document names: its own and those of its actions and rules.
func (a *app) rolesOf(doc *pipeline.Document) (roles []string) {
	var visit func(n *pipeline.Node)
	visit = func(n *pipeline.Node) {
		for _, item := range n.Items {
			visit(item)
		}
		for _, m := range n.Members {
			switch {
			case m.Name == "configuration": // roles in it are handed over by the pipeline's role, not by us
			case m.Name != "roleArn":
				visit(m.Value)
			case roleShape.MatchString(m.Value.Text):
				roles = append(roles, strings.Replace(m.Value.Text, "::"+unknownAccount+":", "::*:", 1))
			default:
				a.note("%s: %q is left out, because it is no ARN of a role", doc.Path, m.Value.Text)
			}
		}
	}
	visit(doc.Declaration())
	return roles
}

var (
	// givenARN and givenName are what people may name. Before a wildcard there is something that is known.
	givenARN  = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}|\*):role/[\w+=,.@/-][\w+=,.@/*?-]*$`)
	givenName = regexp.MustCompile(`^[\w+=,.@-][\w+=,.@/*?-]*$`)
)

// roleARN returns what a named role means for a target: "" where it is a role of another target's account.
func roleARN(given string, t config.Target, all []config.Target) (string, error) {
	account := accountOf(t, "*")
	if m := givenARN.FindStringSubmatch(given); m != nil {
		// A role in an account that no target is in is for actions across accounts, of any target.
		elsewhere := slices.ContainsFunc(all, func(o config.Target) bool { return accountOf(o, "*") == m[1] })
		if m[1] == "*" || account == "*" || account == m[1] || !elsewhere {
			return given, nil
		}
		return "", nil
	}
	name := strings.TrimPrefix(given, "*:role/") // which is how fences often are written
	if !givenName.MatchString(name) {
		return "", fmt.Errorf("%q is no role, or stands for every role", given)
	}
	return "arn:" + pipeline.Partition(t.Region) + ":iam::" + account + ":role/" + name, nil
}
