package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
)

// iamFlags are those of iam-policy.
type iamFlags struct {
	worldFlags
	readOnly  bool
	base      bool
	passRoles []string
	only      []string // targets
}

func iamPolicyCommand(a *app) *cobra.Command {
	var f iamFlags
	cmd := &cobra.Command{
		Use:   "iam-policy",
		Short: "Print the IAM policy that the configuration needs",
		Long: `Print the IAM policy that the configuration needs: the calls that plumbline makes and no
other, in the accounts and regions of the targets. Targets that are readOnly get no write.
AWS is not asked.

Writing a pipeline hands over the roles that it names. They are read from the pipeline
files of the configured sources, or named with --pass-role.

With one identity the policy itself is printed. With several, because targets have an
assumeRole or a profile of their own, a list of them: each with its targets and its policy.
--target and --base choose from it. sts:GetCallerIdentity, which plumbline also calls, needs no
permission. An explicit Deny keeps away the calls that hand out secrets to job workers, in case
another policy of the same role allows them.

Exit codes: 0 done; 1 an error.`,
		Example: `  plumbline iam-policy --read-only
  plumbline iam-policy --pass-role 'codepipeline-*'
  plumbline iam-policy --target prod-eu > prod-eu.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.iamPolicy(cmd.Context(), &f) },
	}
	f.addConfig(cmd)
	cmd.Flags().StringSliceVar(&f.regions, "region", nil, "AWS Region; may be given several times. With a configuration: only its targets in these regions")
	cmd.Flags().BoolVar(&f.readOnly, "read-only", false, "for plan, list and a daemon that only reports")
	cmd.Flags().StringArrayVar(&f.passRoles, "pass-role", nil, "role that pipelines run as: an ARN, or a name in the account of each target; * stands for any text. May be given several times")
	cmd.Flags().StringSliceVar(&f.only, "target", nil, "only the policies of the identities that these targets are reached with")
	cmd.Flags().BoolVar(&f.base, "base", false, "only the policy of the credentials that plumbline starts with")
	cmd.MarkFlagsMutuallyExclusive("target", "base")
	return cmd
}

func (a *app) iamPolicy(ctx context.Context, f *iamFlags) error {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return err
	}
	targets, err := a.chooseTargets(&f.worldFlags, cfg)
	if err != nil {
		return err
	}
	if f.readOnly {
		for i := range targets {
			targets[i].Policy.ReadOnly = true
		}
	}
	chosen, err := f.choose(identitiesOf(targets), targets)
	if err != nil {
		return err
	}
	roles, err := a.rolesToPass(ctx, f, cfg, chosen, targets)
	if err != nil {
		return err
	}
	for _, id := range chosen {
		if err := id.grant(roles); err != nil {
			return err
		}
		a.iamNotes(id)
	}
	if len(chosen) == 1 {
		return writeJSON(a.stdout, chosen[0].Policy)
	}
	return writeJSON(a.stdout, struct {
		Identities []*identity `json:"identities"`
	}{chosen})
}

// identity is one set of credentials.
type identity struct {
	Name    string    `json:"identity"` // the ARN of a role, or where plumbline starts
	Targets []string  `json:"targets"`  // reached with it, without another role
	Assumes []string  `json:"assumes,omitempty"`
	Policy  iamPolicy `json:"policy"`

	base    bool
	targets []config.Target
}

// identitiesOf returns who reaches which target: first those that plumbline starts with, then the roles that they take.
func identitiesOf(targets []config.Target) []*identity {
	byName := map[string]*identity{}
	var bases, roles []*identity
	get := func(list *[]*identity, name string) *identity {
		if byName[name] == nil {
			byName[name] = &identity{Name: name, Targets: []string{}}
			*list = append(*list, byName[name])
		}
		return byName[name]
	}
	for _, t := range targets {
		name := "default credentials"
		if t.Profile != "" {
			name = "profile " + t.Profile
		}
		id := get(&bases, name)
		id.base = true
		if role := t.AssumeRole.ARN; role != "" {
			if !slices.Contains(id.Assumes, role) {
				id.Assumes = append(id.Assumes, role)
			}
			id = get(&roles, role)
		}
		id.Targets = append(id.Targets, t.Name)
		id.targets = append(id.targets, t)
	}
	return append(bases, roles...)
}

// choose returns the identities that the flags leave.
func (f *iamFlags) choose(all []*identity, targets []config.Target) ([]*identity, error) {
	for _, name := range f.only {
		if !slices.ContainsFunc(targets, func(t config.Target) bool { return t.Name == name }) {
			return nil, fmt.Errorf("no target is called %s", name)
		}
	}
	return slices.DeleteFunc(all, func(id *identity) bool {
		return f.base && !id.base || len(f.only) > 0 && !slices.ContainsFunc(f.only, func(name string) bool { return slices.Contains(id.Targets, name) })
	}), nil
}

// rolesByTarget are the roles to hand over, as ARNs; * stands for any text.
type rolesByTarget map[string][]string // :: target → roles

// rolesToPass returns what --pass-role names, or else the roles of the pipelines that the sources want. Targets
// that are not written to need none.
func (a *app) rolesToPass(ctx context.Context, f *iamFlags, cfg *config.Config, chosen []*identity, all []config.Target) (rolesByTarget, error) {
	var written []config.Target
	for _, id := range chosen {
		written = append(written, slices.DeleteFunc(slices.Clone(id.targets), func(t config.Target) bool { return t.Policy.ReadOnly })...)
	}
	if len(f.passRoles) > 0 {
		return givenRoles(f.passRoles, written, all)
	}
	roles := rolesByTarget{}
	if len(written) == 0 {
		return roles, nil
	}
	const hint = "name the roles that pipelines run as with --pass-role, or say --read-only"
	stateDir, err := a.writableState(cfg)
	if err != nil {
		return nil, err
	}
	w := &world{cfg: cfg}
	if w.origins, err = openOrigins(cfg, &f.worldFlags, nil, stateDir); err != nil {
		return nil, hinted{fmt.Errorf("looking for roles in the pipeline files: %w", err), hint}
	}
	tree, err := w.read(ctx)
	if err != nil {
		return nil, hinted{fmt.Errorf("looking for roles in the pipeline files: %w", err), hint}
	}
	for _, t := range written {
		desired := tree.For(pipeline.Target{
			Name: t.Name, Region: t.Region, Account: accountOf(t, unknownAccount), Partition: pipeline.Partition(t.Region), Vars: t.Vars, Rules: severities(cfg),
		})
		if pipeline.HasErrors(desired.Problems) {
			a.note("target %s: some files have errors, and roles that only they name are missing; `plumbline validate` shows them", t.Name)
		}
		for _, name := range slices.Sorted(maps.Keys(desired.Wanted)) {
			if doc := desired.Wanted[name].Document; doc != nil {
				roles[t.Name] = append(roles[t.Name], a.rolesOf(doc)...)
			}
		}
	}
	return roles, nil
}

// givenRoles spreads what --pass-role names over the targets.
func givenRoles(given []string, written, all []config.Target) (rolesByTarget, error) {
	roles := rolesByTarget{}
	for _, t := range written {
		for _, role := range given {
			arn, err := roleARN(role, t, all)
			if err != nil {
				return nil, err
			}
			if arn != "" {
				roles[t.Name] = append(roles[t.Name], arn)
			}
		}
	}
	return roles, nil
}

// unknownAccount stands for the account of a target that only AWS could tell. No account has this number.
const unknownAccount = "000000000000"

// accountOf returns the account of a target, as far as the configuration tells.
func accountOf(t config.Target, otherwise string) string {
	switch {
	case t.Account != "":
		return t.Account
	case t.AssumeRole.ARN != "":
		return strings.Split(t.AssumeRole.ARN, ":")[4] // the configuration has checked its shape
	}
	return otherwise
}

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
	visit(doc.Declaration)
	return roles
}

var (
	// givenARN and givenName are what --pass-role takes. Before a * there is something that is known.
	givenARN  = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}|\*):role/[\w+=,.@/-][\w+=,.@/*-]*$`)
	givenName = regexp.MustCompile(`^[\w+=,.@-][\w+=,.@/*-]*$`)
)

// roleARN returns what --pass-role means for a target: "" where it is a role of another target's account.
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
	if !givenName.MatchString(given) {
		return "", hinted{
			fmt.Errorf("--pass-role %q is no role, or stands for every role", given),
			"write an ARN such as arn:aws:iam::111122223333:role/codepipeline-*, or only its name: codepipeline-*",
		}
	}
	return "arn:" + pipeline.Partition(t.Region) + ":iam::" + account + ":role/" + given, nil
}

// grant makes the policy of an identity. It fails where pipelines would be written and no role is known: AWS would
// refuse each create and update.
func (id *identity) grant(roles rolesByTarget) error {
	b := policyBuilder{assumes: id.Assumes}
	for _, t := range id.targets {
		arn := "arn:" + pipeline.Partition(t.Region) + ":codepipeline:" + t.Region + ":" + accountOf(t, "*") + ":*"
		b.read = append(b.read, arn)
		b.regions = append(b.regions, t.Region)
		if !t.Policy.ReadOnly {
			b.write = append(b.write, arn)
			b.pass = append(b.pass, roles[t.Name]...)
		}
	}
	if len(b.write) > 0 && len(b.pass) == 0 {
		return hinted{
			errors.New("no role is known that the pipelines of " + strings.Join(id.Targets, ", ") + " run as"),
			"name it with --pass-role, or say --read-only; without iam:PassRole AWS refuses to create and update pipelines",
		}
	}
	id.Policy = b.policy()
	return nil
}

// iamNotes tells what a careful person wants to know before attaching a policy.
func (a *app) iamNotes(id *identity) {
	var open, detect []string
	for _, t := range id.targets {
		if accountOf(t, "") == "" {
			open = append(open, t.Name)
		}
		if t.Policy.Mode == config.ModeDetect && !t.Policy.ReadOnly {
			detect = append(detect, t.Name)
		}
	}
	if len(open) > 0 {
		a.note("%s: no account is configured, so the policy says *; write account: beside region: to name it", strings.Join(open, ", "))
	}
	if len(detect) > 0 {
		a.note("%s: in mode detect the daemon writes nothing; --read-only prints what it needs. `plumbline apply` writes in every mode", strings.Join(detect, ", "))
	}
	if n := id.Policy.size(); n > maxManagedPolicy {
		a.note("%s: the policy has %d characters, and a managed policy may have %d; name the roles by a pattern with --pass-role, or give each region a role of its own", id.Name, n, maxManagedPolicy)
	}
}

func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.stderr, "plumbline: note: %s\n", printable(fmt.Sprintf(format, args...)))
}
