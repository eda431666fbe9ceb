package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// iamFlags are those of iam-policy.
type iamFlags struct {
	worldFlags
	readOnly  bool
	base      bool
	passRoles []string
	only      []string // targets
	files     bool     // read files that are on a server too

	tree *sync.Tree // what the files hold, once they were read
}

func iamPolicyCommand(a *app) *cobra.Command {
	var f iamFlags
	cmd := &cobra.Command{
		Use:   "iam-policy",
		Short: "Print the IAM policy that the configuration needs",
		Long: `Print the IAM policy that the configuration needs: the calls that plumbline makes and no
other, in the accounts and regions of the targets. Targets that are readOnly get no write.
AWS is not asked.

Secrets that the pipeline files refer to are named one by one. For that the files are read
if they are on this machine, if roles are looked for in them, or with --files.

Writing a pipeline hands over the roles that it names. They are those of --pass-role, or of
the target's policy.allow.roles, or else those that the pipeline files name today.

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
	cmd.Flags().BoolVar(&f.files, "files", false, "read the pipeline files, for the secrets that they refer to, also where they are on a server")
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
	chosen, err := f.choose(identitiesOf(targets, cfg), targets)
	if err != nil {
		return err
	}
	roles, err := a.rolesToPass(ctx, f, cfg, chosen, targets)
	if err != nil {
		return err
	}
	secrets := a.secretsToRead(ctx, f, cfg, chosen)
	for _, id := range chosen {
		if err := id.grant(roles, secrets); err != nil {
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
	queue   string // ARN of the queue that it receives events from; "" for none
	targets []config.Target
}

// identitiesOf returns who reaches which target: first those that plumbline starts with, then the roles that they take.
func identitiesOf(targets []config.Target, cfg *config.Config) []*identity {
	byName := map[string]*identity{}
	var bases, roles []*identity
	get := func(list *[]*identity, name string) *identity {
		if byName[name] == nil {
			byName[name] = &identity{Name: name, Targets: []string{}}
			*list = append(*list, byName[name])
		}
		return byName[name]
	}
	if arn := queueARN(cfg, targets); arn != "" {
		id := get(&bases, defaultCredentials)
		id.base, id.queue = true, arn
	}
	for _, t := range targets {
		name := defaultCredentials
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

// defaultCredentials is whom the daemon is without a profile and a role.
const defaultCredentials = "default credentials"

// queueARN returns the ARN of the queue of events, "" where there is none.
func queueARN(cfg *config.Config, targets []config.Target) string {
	region, account, name := cfg.Executions.Queue()
	if name == "" || len(targets) == 0 {
		return ""
	}
	region = cmp.Or(region, targets[0].Region)
	return "arn:" + pipeline.Partition(region) + ":sqs:" + region + ":" + account + ":" + name
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

// grant makes the policy of an identity. It fails where pipelines would be written and no role is known: AWS would
// refuse each create and update.
func (id *identity) grant(roles rolesByTarget, secrets secretsByTarget) error {
	b := policyBuilder{assumes: id.Assumes}
	for _, t := range id.targets {
		arn := "arn:" + pipeline.Partition(t.Region) + ":codepipeline:" + t.Region + ":" + accountOf(t, "*") + ":*"
		b.read = append(b.read, arn)
		b.regions = append(b.regions, t.Region)
		b.addSecrets(t, secrets[t.Name])
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
	if id.queue != "" {
		b.queues = []string{id.queue}
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
