package web_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// epoch is when the fleet of the tests was looked at.
var epoch = time.Now().Add(-40 * time.Second)

const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(2)> ` + "\u202eevil\u2066" + ` {{.}} javascript:alert(3)`

func text(s string) *pipeline.Node { return pipeline.NewString(s) }

// everyState is a fleet in which every state can be seen, with names and messages that mean harm.
func everyState() ([]*sync.Report, []*execution.Report, []sync.SourceState) {
	us := &sync.Report{Target: "prod-us", Account: "111122223333", Region: "us-east-1", Started: epoch.Add(-time.Second), Finished: epoch, PlanID: "us-4f2a91", Known: map[string]bool{}}
	add := func(s sync.State, c *sync.Change) {
		us.Known[s.Name] = true
		if s.Path == "" && s.Status != "" {
			s.Path = "pipelines/" + s.Name + ".json"
		}
		if s.Since.IsZero() && s.Status != "" {
			s.Since = epoch.Add(-3 * time.Hour)
		}
		us.Pipelines = append(us.Pipelines, s)
		if c != nil {
			c.Target, c.Account, c.Region, c.Pipeline = us.Target, us.Account, us.Region, s.Name
			us.Changes = append(us.Changes, *c)
		}
	}
	alive := &live.Summary{Version: 7}
	actor := &sync.Actor{Principal: "arn:aws:iam::111122223333:user/ann", At: epoch.Add(-3 * time.Hour), Means: "console", Did: "changed"}
	add(sync.State{Name: "api", Status: sync.StatusSynced, Ownership: sync.Managed, Live: alive}, nil)
	add(sync.State{Name: "billing", Status: sync.StatusDrifted, Ownership: sync.Managed, Live: alive, By: actor}, &sync.Change{
		Verb: sync.Update, Cause: sync.CauseDrift, Hold: sync.HoldDrift, Outcome: sync.Held, Reason: "somebody changed it, and mode apply only reports that; `plumbline apply --overwrite billing` puts it back", By: actor,
		Edits: []differ.Edit{{Path: "/stages/Deploy/actions/Release/configuration/BucketName", Old: text("by-hand"), New: text("releases")}, {Path: "/stages/Approve", Old: text("…")}},
	})
	add(sync.State{Name: "checkout", Status: sync.StatusInvalid, Ownership: sync.Managed, Live: alive}, &sync.Change{Verb: sync.Update, Cause: sync.CauseGit, Hold: sync.HoldValidation, Outcome: sync.Held, Reason: "mend the file"})
	add(sync.State{Name: "docs", Status: sync.StatusPending, Ownership: sync.Managed, Live: alive}, &sync.Change{
		Verb: sync.Update, Cause: sync.CauseGit, Hold: sync.HoldBusy, Outcome: sync.Held, Reason: "execution 4711 is running; the update waits until it has ended", CommitTime: epoch.Add(-time.Hour),
		Edits: []differ.Edit{{Path: "/stages/Build/actions/Compile/configuration/ProjectName", Old: text("docs-old"), New: text("docs")}},
	})
	add(sync.State{Name: "email", Status: sync.StatusPending, Ownership: sync.Managed, Live: alive}, &sync.Change{Verb: sync.Update, Cause: sync.CauseGit, Hold: sync.HoldLimit, Outcome: sync.Held, Reason: "31 updates are more than the 10 that policy.limits.updates allows; release them with `plumbline apply --plan-id us-4f2a91`"})
	add(sync.State{Name: "frontend", Status: sync.StatusSynced, Ownership: sync.Managed, Live: alive}, nil)
	add(sync.State{Name: "gateway", Status: sync.StatusMissing, Ownership: ""}, &sync.Change{Verb: sync.Create, Cause: sync.CauseDrift, Hold: sync.HoldDrift, Outcome: sync.Held, Reason: "somebody deleted it"})
	add(sync.State{Name: "invoice", Status: sync.StatusPending, Ownership: sync.Managed, Live: alive}, &sync.Change{Verb: sync.Update, Cause: sync.CauseGit, Outcome: sync.Failed, Err: errors.New("UpdatePipeline of invoice in us-east-1: AccessDenied: not authorized to perform iam:PassRole")})
	add(sync.State{Name: "jobs", Status: sync.StatusSynced, Ownership: sync.Managed, Live: alive}, nil)
	add(sync.State{Name: "kiosk", Status: sync.StatusExtra, Ownership: sync.Managed, Live: alive, Why: "no file asks for it any more, and policy.prune is off"}, nil)
	add(sync.State{Name: "legacy-import", Ownership: sync.Unmanaged, Live: alive}, nil)
	add(sync.State{Name: "mobile", Ownership: sync.Foreign, Owner: "CloudFormation, stack mobile-ci", Live: alive}, nil)
	add(sync.State{Name: "notify", Status: sync.StatusSynced, Ownership: sync.Managed, Live: alive}, nil)
	add(sync.State{Name: "orders", Status: sync.StatusSynced, Ownership: sync.Managed, Live: alive, Suspended: &journal.Suspension{Target: "prod-us", Pipeline: "orders", By: "bob@laptop", Reason: "hotfix by hand, OPS-12", Since: epoch.Add(-time.Hour)}}, nil)
	add(sync.State{Name: evil, Status: sync.StatusDrifted, Ownership: sync.Managed, Live: alive, Why: evil, Path: evil + ".json"}, &sync.Change{
		Verb: sync.Update, Cause: sync.CauseDrift, Hold: sync.HoldDrift, Outcome: sync.Held, Reason: evil + strings.Repeat(" long", 2000),
		Edits: []differ.Edit{{Path: "/stages/" + evil, Old: text(evil), New: text(strings.Repeat("x", 10_000))}},
	})
	us.Problems = []pipeline.Problem{
		{File: "pipelines/checkout.json", Line: 5, Column: 9, Rule: "CP-R04", Severity: pipeline.Error, Message: `the artifact "TheCode" is read and nothing produces it`, Hint: `did you mean "NewestCode"?`},
		{File: "pipelines/api.json", Line: 2, Column: 3, Rule: "CP-W01", Severity: pipeline.Warning, Message: evil},
	}
	eu := &sync.Report{Target: "prod-eu", Account: "111122223333", Region: "eu-west-1", Started: epoch, Finished: epoch, Known: map[string]bool{"api": true},
		Pipelines: []sync.State{{Name: "api", Status: sync.StatusUnknown, Path: "pipelines/api.json", Since: epoch.Add(-20 * time.Minute)}},
		Err:       errors.New("ListPipelines in eu-west-1: AccessDenied: the role plumbline is not authorized to perform codepipeline:ListPipelines")}

	runs := &execution.Report{Target: "prod-us", Account: "111122223333", Region: "us-east-1", At: epoch, Visit: 45 * time.Second}
	for i, s := range us.Pipelines {
		runs.Pipelines = append(runs.Pipelines, executionsOf(s.Name, i))
	}
	snapshot := &source.Snapshot{Source: "github.com/acme/pipelines", Commit: strings.Repeat("ab", 20), Revision: "ab", Time: epoch.Add(-time.Hour),
		Files:   []source.File{{Path: "pipelines/checkout.json", Data: []byte("{\n  \"name\": \"checkout\",\n  \"stages\": [\n    {\"name\": \"Build\", \"actions\": [{\n        \"inputArtifacts\": [{\"name\": \"TheCode\"}],\n        \"configuration\": {\"OAuthToken\": \"hunter2\"}\n  }]}]\n}\n")}},
		Commits: []source.Commit{{ID: strings.Repeat("ab", 20), Time: epoch.Add(-time.Hour), Author: "Ann " + evil, Subject: "Deploy docs with the new project"}}}
	sources := []sync.SourceState{
		{Name: "github.com/acme/pipelines", Snapshot: snapshot, Success: epoch},
		{Name: "gitlab.com/acme/other", Err: errors.New("the host name cannot be resolved"), Since: epoch.Add(-10 * time.Minute)},
	}
	return []*sync.Report{eu, us}, []*execution.Report{runs}, sources
}

// budgetOf is what is known of the requests for a target: one is throttled, of the others nothing is.
func budgetOf(target string) (live.Budget, bool) {
	return live.Budget{PerSecond: 3, Burst: 10, Rate: 0.75, Waiting: 4, Apply: 12, Drift: 310, Executions: 640, Throttled: 7, LastThrottled: epoch.Add(-time.Minute)}, target == "prod-us"
}

// executionsOf gives each pipeline a life of its own.
func executionsOf(name string, i int) *execution.Pipeline {
	p := &execution.Pipeline{Name: name, Visited: epoch}
	if i%7 == 6 {
		return p // never ran
	}
	run := func(k int, status string, took time.Duration) *execution.Run {
		started := epoch.Add(-time.Duration(k+1) * 5 * time.Hour)
		return &execution.Run{Attempt: 1, Execution: live.Execution{
			ID: fmt.Sprintf("%08d-0000-4000-8000-%012d", i, k), Status: status, Started: started, Updated: started.Add(took), Mode: "SUPERSEDED",
			Trigger: "WebhookV2", TriggerDetail: "arn:aws:codestar-connections:us-east-1:111122223333:connection/1", Revisions: []live.Revision{{Action: "Code", ID: strings.Repeat("c0ffee", 7)[:40], Summary: "Fix the rounding of totals"}},
		}}
	}
	for k := range 12 {
		status := "Succeeded"
		if (k+i)%9 == 8 {
			status = "Superseded"
		}
		p.Runs = append(p.Runs, run(k, status, time.Duration(60+(k*i*37)%400)*time.Second))
	}
	enabled := live.Transition{Enabled: true}
	p.Stages = []live.Stage{
		{Name: "Source", Status: "Succeeded", Transition: enabled, Actions: []live.Action{{Name: "Code", Status: "Succeeded", Changed: epoch}}},
		{Name: "Build", Status: "Succeeded", Transition: enabled, Actions: []live.Action{{Name: "Compile", Status: "Succeeded", Changed: epoch}, {Name: "Test", Status: "Succeeded", Changed: epoch}}},
		{Name: "Deploy", Status: "Succeeded", Transition: enabled, Actions: []live.Action{{Name: "Release", Status: "Succeeded", Changed: epoch}}},
	}
	switch name {
	case "frontend":
		p.Runs[0].Status, p.Runs[0].Attempt = "Failed", 2
		p.Runs[0].Failures = []live.Failure{{Stage: "Deploy", Action: "Release", Code: "ConfigurationError", Message: "No bucket with the name code-bucket-01 was found", Since: epoch.Add(-4 * time.Hour)}}
		p.Runs[1].Status, p.ConsecutiveFailures = "Failed", 2
		p.Stages[2].Status, p.Stages[2].Actions[0].Status = "Failed", "Failed"
	case "jobs":
		p.Runs[0].Status = "InProgress"
		p.Stages[1].Status, p.Stages[1].Actions[1].Status = "InProgress", "InProgress"
		p.Stages[2].Status, p.Stages[2].Actions[0].Status = "", ""
	case "notify":
		p.Runs[0].Status = "InProgress"
		p.Stages[2].Status = "InProgress"
		p.Stages[2].Actions[0] = live.Action{Name: "Approve", Status: "InProgress", Changed: epoch.Add(-30 * time.Hour), Approval: true}
	case "api":
		p.Stages[2].Transition = live.Transition{Reason: "freeze " + evil, By: "arn:aws:iam::111122223333:user/bob", Changed: epoch.Add(-50 * time.Hour)}
		p.Stages[2].Inbound = []live.Execution{{ID: "x", Status: "InProgress"}}
	}
	return p
}
