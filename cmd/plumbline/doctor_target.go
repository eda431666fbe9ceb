package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	stdsync "sync"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// targets makes a section for each target that the flags leave.
func (d *doctor) targets() []*section {
	if d.cfg == nil {
		return nil
	}
	chosen, err := d.chooseTargets(&d.flags, d.cfg)
	if err != nil {
		return []*section{{Name: "Targets", look: func(_ context.Context, s *section) { s.tell("targets", failure(err)) }}}
	}
	var sections []*section
	for _, t := range chosen {
		name := "Target " + t.Name
		if t.Name != t.Region {
			name += " (" + t.Region + ")"
		}
		sections = append(sections, &section{Name: name, look: func(ctx context.Context, s *section) { d.target(ctx, s, t) }})
	}
	return sections
}

// patient looks at one target.
type patient struct {
	*section
	doctor *doctor
	config config.Target
	aws    *live.Reader
	clock  skew

	name   string // of a live pipeline, or of one that nobody has
	absent string // a name that nobody has
	calm   bool   // the daemon writes nothing here
}

// skew is how far the clock of the latest answer was ahead of ours.
type skew struct {
	stdsync.Mutex
	known bool
	ahead time.Duration
}

func (k *skew) observe(a live.Attempt) {
	if a.ServerTime.IsZero() {
		return
	}
	k.Lock()
	defer k.Unlock()
	k.known, k.ahead = true, time.Until(a.ServerTime)
}

func (d *doctor) target(ctx context.Context, s *section, t config.Target) {
	p := &patient{section: s, doctor: d, config: t, calm: t.Policy.ReadOnly || t.Policy.Mode == config.ModeDetect}
	pipelines, ok := p.examine(ctx)
	d.counts.Lock()
	defer d.counts.Unlock()
	if ok {
		d.counts.live = append(d.counts.live, pipelines)
	} else {
		d.counts.unknown = append(d.counts.unknown, t.Name)
	}
}

// examine makes the checks of a target. ok says that its pipelines could be counted, up to the first page.
func (p *patient) examine(ctx context.Context) (pipelines int, ok bool) {
	d, t := p.doctor, p.config
	var err error
	if p.aws, err = d.reader(ctx, &d.flags, d.cfg, t, readerOptions{observe: p.clock.observe, hasty: true}); err != nil {
		p.tell("credentials", failure(err))
		return 0, false
	}
	if p.check(ctx, "credentials", p.credentials).Result == verdictFailed {
		p.tell("everything else", notLooked("there are no credentials"))
		return 0, false
	}
	who := p.check(ctx, "identity", p.identity)
	p.tell("clock", p.clockFinding())
	if who.Result == verdictFailed {
		p.tell("permissions", notLooked("whose credentials these are must be right first"))
		return 0, false
	}
	pipelines, more, ok := p.list(ctx)
	p.reads(ctx)
	p.actors(ctx)
	p.writes(ctx)
	p.secrets(ctx)
	if !ok {
		p.tell("allowance of requests", notLooked("the pipelines cannot be counted"))
		return 0, false
	}
	p.tell("allowance of requests", budget(d.cfg, pipelines, more))
	return pipelines, true
}

// providers are the SDK's names of where credentials come from, in words.
var providers = map[string]string{
	"EnvConfigCredentials": "the environment (AWS_ACCESS_KEY_ID)", "AssumeRoleProvider": "an assumed role",
	"EC2RoleProvider": "the role of the EC2 instance", "CredentialsEndpointProvider": "the container (ECS task role or EKS Pod Identity)",
	"SSOProvider": "IAM Identity Center (SSO)", "LoginProvider": "aws login",
	"WebIdentityCredentials": "a web identity token (IRSA, OIDC)", "ProcessProvider": "a credential_process",
}

func (p *patient) credentials(ctx context.Context) finding {
	found, err := p.aws.Provenance(ctx)
	if err != nil {
		return broken(fmt.Sprintf("give target %s credentials: AWS_PROFILE, a role of the machine, or profile or assumeRole in the configuration", p.config.Name), "%v", err)
	}
	from := providers[found.Source]
	if file, ok := strings.CutPrefix(found.Source, "SharedConfigCredentials: "); ok {
		from = "the file " + file
	}
	if from == "" {
		from = found.Source
	}
	if p.config.AssumeRole.ARN != "" {
		from = "the role " + p.config.AssumeRole.ARN
	}
	if !found.Expires.IsZero() {
		from += ", until " + found.Expires.UTC().Format(time.RFC3339)
	}
	return fine("from %s", from)
}

func (p *patient) identity(ctx context.Context) finding {
	id, err := p.aws.Identity(ctx)
	var wrong *live.AccountError
	switch {
	case errors.As(err, &wrong):
		return broken(fmt.Sprintf("use credentials of account %s for target %s, or correct its account in the configuration", wrong.Want, p.config.Name), "%v", err)
	case err != nil:
		return p.callFailed("sts:GetCallerIdentity", err)
	case p.config.Account == "":
		return fine("%s, account %s, which the configuration does not check (account)", id.ARN, id.Account)
	}
	return fine("%s, account %s as configured", id.ARN, id.Account)
}

// AWS refuses signatures that are over five minutes from its own clock.
const (
	skewWarns = time.Minute
	skewFails = 5 * time.Minute
)

func (p *patient) clockFinding() finding {
	p.clock.Lock()
	defer p.clock.Unlock()
	const remedy = "set this machine's clock, and keep it right with NTP (chrony, systemd-timesyncd)"
	off := p.clock.ahead.Abs().Round(time.Second)
	way := "behind"
	if p.clock.ahead < 0 {
		way = "ahead of"
	}
	switch {
	case !p.clock.known:
		return notLooked("no answer of AWS told the time")
	case off > skewFails:
		return broken(remedy, "%s %s AWS's: signatures over %s off are refused", off, way, skewFails)
	case off > skewWarns:
		return doubtful(remedy, "%s %s AWS's: over %s off, signatures are refused", off, way, skewFails)
	}
	return fine("within %s of AWS's", skewWarns)
}

// list reads the first page of pipelines and chooses the names that other calls ask about.
func (p *patient) list(ctx context.Context) (pipelines int, more, ok bool) {
	p.absent = "plumbline-doctor-" + rand.Text()[:13]
	p.name = p.absent
	const action = "codepipeline:ListPipelines"
	f := p.check(ctx, action, func(ctx context.Context) finding {
		found, next, err := p.aws.FirstPage(ctx)
		if err != nil {
			return p.callFailed(action, err)
		}
		if len(found) > 0 {
			p.name = found[0].Name
			// Policies often allow names that begin alike.
			p.absent = p.name[:min(len(p.name), 60)] + "-" + p.absent
		}
		pipelines, more = len(found), next
		said := count(pipelines, "pipeline")
		if more {
			said += " and more"
		}
		return fine("allowed; %s", said)
	})
	return pipelines, more, f.Result == verdictOK
}

// reads makes each call that reads, once.
func (p *patient) reads(ctx context.Context) {
	p.check(ctx, "tag:GetResources", func(ctx context.Context) finding {
		f := p.allowed("tag:GetResources", p.aws.FirstTags(ctx))
		if f.Result == verdictFailed {
			f.Result = verdictWarning
			f.Detail += "; tags are read pipeline by pipeline instead, with a call for each"
		}
		return f
	})
	const types = "codepipeline:ListActionTypes"
	p.check(ctx, types+", ListRuleTypes", func(ctx context.Context) finding {
		_, err := p.aws.Types(ctx)
		f := p.allowed(types+" and codepipeline:ListRuleTypes", err)
		if f.Result == verdictFailed {
			f.Result = verdictWarning
			f.Detail += "; custom action types, and those that plumbline does not know, cannot be checked"
		}
		return f
	})
	for _, call := range []struct {
		action string
		make   func(ctx context.Context) error
		always bool // also where nothing is written
	}{
		{"codepipeline:GetPipeline", func(ctx context.Context) error { _, err := p.aws.Pipeline(ctx, p.name); return err }, true},
		{"codepipeline:ListTagsForResource", func(ctx context.Context) error { _, err := p.aws.Tags(ctx, p.name); return err }, true},
		{"codepipeline:ListPipelineExecutions", func(ctx context.Context) error { _, err := p.aws.Executions(ctx, p.name, 1); return err }, false},
		{"codepipeline:GetPipelineState", func(ctx context.Context) error { _, err := p.aws.State(ctx, p.name); return err }, false},
	} {
		p.check(ctx, call.action, func(ctx context.Context) finding {
			f := p.allowed(call.action, call.make(ctx))
			if f.Result == verdictFailed && !call.always && p.calm {
				f.Result = verdictWarning
				f.Detail += "; it is needed before an update only"
			}
			return f
		})
	}
	const actions = "codepipeline:ListActionExecutions"
	p.check(ctx, actions, func(ctx context.Context) finding {
		_, err := p.aws.FailedActions(ctx, p.name, noExecution)
		if live.ClassOf(err) == live.NotFound {
			return fine("allowed; asked about an execution that does not exist")
		}
		f := p.allowed(actions, err)
		if f.Result == verdictFailed {
			f.Result = verdictWarning
			f.Detail += "; of an execution that failed it is not told what in it did"
		}
		return f
	})
}

// noExecution is an id that no execution has.
const noExecution = "00000000-0000-0000-0000-000000000000"

// actors asks whether CloudTrail tells who changed pipelines. Everything else works without it.
func (p *patient) actors(ctx context.Context) {
	const action = "cloudtrail:LookupEvents"
	p.check(ctx, action, func(ctx context.Context) finding {
		now := time.Now()
		_, err := p.aws.Events(ctx, "UpdatePipeline", now.Add(-time.Minute), now)
		if err == nil {
			return fine("allowed")
		}
		return notLooked("who changed a pipeline is not told, which is all that this is for: %v", err)
	})
}

// writes checks what can be checked without a write, and says what cannot.
func (p *patient) writes(ctx context.Context) {
	switch {
	case p.config.Policy.ReadOnly:
		p.tell("permissions to write", notLooked("the target is readOnly in the configuration"))
		return
	case p.calm:
		p.tell("permissions to write", notLooked("policy.mode is detect, so the daemon only reports"))
		return
	}
	w := live.NewWriter(p.aws)
	for _, probe := range []struct {
		action string
		make   func(context.Context, string) error
	}{{"codepipeline:TagResource", w.ProbeTag}, {"codepipeline:UntagResource", w.ProbeUntag}} {
		p.check(ctx, probe.action, func(ctx context.Context) finding {
			err := probe.make(ctx, p.absent)
			switch live.ClassOf(err) {
			case live.Denied:
				f := p.allowed(probe.action, err)
				f.Detail += fmt.Sprintf("; asked about %s, which does not exist: a policy for certain names or tags only may allow more", p.absent)
				return f
			case live.Invalid, live.Conflict, live.Quota, live.Unknown:
				return notLooked("the answer tells nothing about it: %v", err)
			}
			return p.allowed(probe.action, err)
		})
	}
	p.tell("codepipeline:CreatePipeline, UpdatePipeline, DeletePipeline, iam:PassRole", notLooked("not checked: would need a write"))
}

// secrets looks at each secret that the files refer to, once they were read. Their values are not asked for.
func (p *patient) secrets(ctx context.Context) {
	d := p.doctor
	d.read.sources.Wait()
	target := pipeline.Target{
		Name: p.config.Name, Region: p.config.Region, Account: p.config.Account, Partition: pipeline.Partition(p.config.Region), Vars: p.config.Vars,
		Rules: severities(d.cfg), Allow: (*pipeline.Fences)(&p.config.Policy.Allow),
	}
	if id, err := p.aws.Identity(ctx); err == nil {
		target.Account = id.Account
	}
	refs := referencesOf(sync.Read(d.read.origins, targetNames(d.cfg)).For(target))
	if len(refs) == 0 {
		return
	}
	p.check(ctx, "secrets", func(ctx context.Context) finding {
		for _, ref := range refs {
			_, err := p.aws.SecretVersion(ctx, ref)
			if err == nil {
				continue
			}
			f := p.secretFailed(ref, err)
			f.Detail = ref.What() + ": " + f.Detail
			return f
		}
		return fine("%s of the files can be looked at; whether the values may be read is not checked", count(len(refs), "secret"))
	})
}

func (p *patient) secretFailed(ref pipeline.Reference, err error) finding {
	switch class := live.ClassOf(err); {
	case class == live.NotFound:
		return broken(fmt.Sprintf("make %s in the account and region of target %s, or mend the files that refer to it", ref.What(), p.config.Name), "%v", err)
	case class == live.Invalid:
		return broken(fmt.Sprintf("mend %s, or the files that refer to it", ref.What()), "%v", err)
	case ref.Service == pipeline.ParameterStore:
		return p.callFailed("ssm:GetParameter", err)
	}
	return p.callFailed("secretsmanager:DescribeSecret and secretsmanager:GetSecretValue", err)
}

// allowed is the finding for a call that tells by its answer whether it is allowed.
func (p *patient) allowed(action string, err error) finding {
	switch live.ClassOf(err) {
	case "":
		return fine("allowed")
	case live.NotFound: // IAM is asked before the pipeline is looked for
		return fine("allowed; asked about a pipeline that does not exist")
	}
	return p.callFailed(action, err)
}

func (p *patient) callFailed(action string, err error) finding {
	switch live.ClassOf(err) {
	case live.Denied:
		return broken(fmt.Sprintf("allow %s to the credentials of target %s; `plumbline iam-policy` prints the whole policy", action, p.config.Name), "denied: %v", err)
	case live.Throttled:
		return doubtful("try again when fewer clients ask; lower aws.requestsPerSecond if it goes on", "AWS throttles, so whether it is allowed is not known: %v", err)
	case live.Unsupported:
		return notLooked("the endpoint does not know it: %v", err)
	case live.Credentials:
		return broken(fmt.Sprintf("renew the credentials of target %s, and see that the region is enabled for its account", p.config.Name), "%v", err)
	case live.Unavailable, live.Canceled:
		return broken("see whether this machine reaches AWS: DNS, proxy (HTTPS_PROXY), firewall, VPC endpoints", "%v", err)
	}
	return broken("", "%v", err)
}

// Pages of the listings, in pipelines.
const (
	pipelinesAPage = 1000
	tagsAPage      = 100
)

// spare is the part of the allowance that is left for changes and for what comes in between.
const spare = 0.2

// budget tells what passes and sweeps take of the allowance of requests, and whether there is enough.
func budget(cfg *config.Config, pipelines int, more bool) finding {
	pages := max(1, (pipelines+pipelinesAPage-1)/pipelinesAPage)
	tags := max(1, (pipelines+tagsAPage-1)/tagsAPage)
	rate := cfg.AWS.RequestsPerSecond
	sweep := time.Duration(float64(pages+pipelines) / rate * float64(time.Second)).Round(time.Second)
	used := float64(pages)/cfg.Drift.Interval.Seconds() + float64(pipelines)/cfg.Drift.FullInterval.Seconds()
	atLeast := ""
	if more {
		atLeast = "at least "
	}
	said := fmt.Sprintf("%s%s to CodePipeline and %d to the tagging API a pass, every %s; %.3g a minute with sweeps, of %.3g allowed; reading every pipeline takes about %s in all, spread over %s",
		atLeast, count(pages, "call"), tags, cfg.Drift.Interval, used*60, rate*60, sweep, cfg.Drift.FullInterval)
	switch {
	case sweep > cfg.Drift.FullInterval:
		return doubtful("raise drift.fullInterval, or aws.requestsPerSecond if the account allows more", "%s: a sweep does not end before the next is due", said)
	case used > rate*(1-spare):
		return doubtful("raise drift.interval or drift.fullInterval, or aws.requestsPerSecond if the account allows more", "%s: too little is left for changes", said)
	}
	return fine("%s", said)
}
