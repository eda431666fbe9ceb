package emulator_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
)

// TestContract is what clients may rely on, played by the Go SDK: on the emulator, and on AWS where
// PLUMBLINE_CONTRACT_AWS_REGION is set (CONTRIBUTING.md has the rest). It removes what it has made.
func TestContract(t *testing.T) {
	for _, part := range []struct {
		name string
		play func(*contract)
	}{
		{"life of a pipeline", lifeOfAPipeline},
		{"refusals", refusals},
		{"masked secrets", maskedSecrets},
		{"pages", pages},
		{"tags", tags},
		{"an execution", anExecution},
		{"stopping", stopping},
		{"transitions", transitions},
		{"not established", notEstablished},
	} {
		t.Run(part.name, func(t *testing.T) { part.play(newContract(t)) })
	}
}

// contract is CodePipeline as the suite talks to it.
type contract struct {
	*testing.T
	*codepipeline.Client
	account, region string
	role, bucket    string
	prefix          string        // of the names of all pipelines
	onAWS           bool          // else it is the emulator
	patience        time.Duration // how long a state may take to come
}

func newContract(t *testing.T) *contract {
	region := os.Getenv("PLUMBLINE_CONTRACT_AWS_REGION")
	if region == "" {
		_, url := serve(t, emulator.Options{})
		return &contract{T: t, Client: client(url, account, "eu-west-1"), account: account, region: "eu-west-1",
			role: "arn:aws:iam::" + account + ":role/pipeline", bucket: "artifacts", prefix: "contract-", patience: 10 * time.Second}
	}
	c := &contract{T: t, region: region, onAWS: true, patience: 3 * time.Minute,
		prefix: fmt.Sprintf("plumbline-contract-%x-", time.Now().UnixNano())}
	for name, value := range map[string]*string{"ACCOUNT": &c.account, "ROLE": &c.role, "BUCKET": &c.bucket} {
		if *value = os.Getenv("PLUMBLINE_CONTRACT_AWS_" + name); *value == "" {
			t.Fatalf("PLUMBLINE_CONTRACT_AWS_REGION is set, so PLUMBLINE_CONTRACT_AWS_%s must be, too", name)
		}
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region))
	if err != nil {
		t.Fatal(err)
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *who.Account != c.account {
		t.Fatalf("the credentials are of account %s, not of the throw-away account %s", *who.Account, c.account)
	}
	c.Client = codepipeline.NewFromConfig(cfg)
	return c
}

// pipeline has a source and two stages that wait for a person.
func (c *contract) pipeline(name string) *types.PipelineDeclaration {
	p := web(c.prefix + name)
	p.RoleArn, p.ArtifactStore.Location = &c.role, &c.bucket
	p.Stages[0].Actions[0].Configuration = map[string]string{"S3Bucket": c.bucket, "S3ObjectKey": "plumbline-contract.zip", "PollForSourceChanges": "false"}
	for i, stage := range []string{"Hold", "Hold2"} {
		p.Stages[i+1] = types.StageDeclaration{Name: &stage, Actions: []types.ActionDeclaration{{
			Name: aws.String("Ask"), ActionTypeId: actionType("Approval", "AWS", "Manual"),
		}}}
	}
	return p
}

func (c *contract) create(p *types.PipelineDeclaration, tags ...types.Tag) *codepipeline.CreatePipelineOutput {
	c.Helper()
	out, err := c.attempt(p, tags...)
	if err != nil {
		c.Fatal(err)
	}
	return out
}

// attempt creates a pipeline that may be refused.
func (c *contract) attempt(p *types.PipelineDeclaration, tags ...types.Tag) (*codepipeline.CreatePipelineOutput, error) {
	c.Cleanup(func() {
		if _, err := c.DeletePipeline(ctx, &codepipeline.DeletePipelineInput{Name: p.Name}); err != nil {
			c.Errorf("%s is left over: %v", *p.Name, err)
		}
	})
	return c.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: p, Tags: tags})
}

func (c *contract) arn(p *types.PipelineDeclaration) *string {
	partition := strings.Split(c.role, ":")[1]
	return aws.String(strings.Join([]string{"arn", partition, "codepipeline", c.region, c.account, *p.Name}, ":"))
}

// seen is for what is not established: of AWS it is told, of the emulator it is wanted.
func (c *contract) seen(what string, got, emulated any) {
	c.Helper()
	switch {
	case c.onAWS:
		c.Logf("seen: %s: %v; the emulator: %v", what, got, emulated)
	case fmt.Sprint(got) != fmt.Sprint(emulated):
		c.Errorf("%s: got %v, want %v", what, got, emulated)
	}
}

// answer is what became of a call, in a word.
func answer(err error) string {
	var e smithy.APIError
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &e):
		return e.ErrorCode()
	}
	return err.Error()
}

// refused checks that an error is of the class T.
func refused[T error](c *contract, what string, err error) {
	c.Helper()
	if _, ok := errors.AsType[T](err); !ok {
		c.Errorf("%s: error is %v, want %T", what, err, *new(T))
	}
}

// until waits for a state that comes by itself.
func (c *contract) until(what string, reached func() bool) {
	c.Helper()
	if !c.within(c.patience, reached) {
		c.Fatalf("after %v still not: %s", c.patience, what)
	}
}

// within reports whether a state comes in time.
func (c *contract) within(patience time.Duration, reached func() bool) bool {
	pause := 2 * time.Second
	if !c.onAWS {
		pause = time.Millisecond
	}
	for deadline := time.Now().Add(patience); !reached(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func (c *contract) get(p *types.PipelineDeclaration) *codepipeline.GetPipelineOutput {
	c.Helper()
	out, err := c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: p.Name})
	if err != nil {
		c.Fatal(err)
	}
	return out
}

func (c *contract) update(p *types.PipelineDeclaration) *types.PipelineDeclaration {
	c.Helper()
	out, err := c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: p})
	if err != nil {
		c.Fatal(err)
	}
	return out.Pipeline
}

func (c *contract) start(p *types.PipelineDeclaration) string {
	c.Helper()
	out, err := c.StartPipelineExecution(ctx, &codepipeline.StartPipelineExecutionInput{Name: p.Name})
	if err != nil {
		c.Fatal(err)
	}
	return *out.PipelineExecutionId
}

// stage is the state of one stage.
func (c *contract) stage(p *types.PipelineDeclaration, i int) types.StageState {
	c.Helper()
	out, err := c.GetPipelineState(ctx, &codepipeline.GetPipelineStateInput{Name: p.Name})
	if err != nil {
		c.Fatal(err)
	}
	return out.StageStates[i]
}

// asked waits until the approval of a stage asks a person about an execution, and returns its token.
func (c *contract) asked(p *types.PipelineDeclaration, stage int, execution string) (token string) {
	c.Helper()
	c.until(fmt.Sprintf("stage %d of %s asks about %s", stage, *p.Name, execution), func() bool {
		st := c.stage(p, stage)
		if st.LatestExecution == nil || *st.LatestExecution.PipelineExecutionId != execution {
			return false
		}
		action := st.ActionStates[0].LatestExecution
		if action == nil || action.Status != types.ActionExecutionStatusInProgress || action.Token == nil {
			return false
		}
		token = *action.Token
		return true
	})
	return token
}

func (c *contract) decide(p *types.PipelineDeclaration, stage int, token string, status types.ApprovalStatus) error {
	out, err := c.PutApprovalResult(ctx, &codepipeline.PutApprovalResultInput{PipelineName: p.Name, StageName: p.Stages[stage].Name,
		ActionName: aws.String("Ask"), Token: &token, Result: &types.ApprovalResult{Status: status, Summary: aws.String("seen by ann")}})
	if err == nil && out.ApprovedAt == nil {
		return errors.New("no time of the approval")
	}
	return err
}

// ended waits for the end of an execution.
func (c *contract) ended(p *types.PipelineDeclaration, id string, status types.PipelineExecutionStatus) {
	c.Helper()
	c.until(fmt.Sprintf("%s of %s is %s", id, *p.Name, status), func() bool { return c.execution(p, id).Status == status })
}

func (c *contract) execution(p *types.PipelineDeclaration, id string) *types.PipelineExecution {
	c.Helper()
	out, err := c.GetPipelineExecution(ctx, &codepipeline.GetPipelineExecutionInput{PipelineName: p.Name, PipelineExecutionId: &id})
	if err != nil {
		c.Fatal(err)
	}
	return out.PipelineExecution
}

func (c *contract) executions(p *types.PipelineDeclaration) []types.PipelineExecutionSummary {
	c.Helper()
	out, err := c.ListPipelineExecutions(ctx, &codepipeline.ListPipelineExecutionsInput{PipelineName: p.Name})
	if err != nil {
		c.Fatal(err)
	}
	return out.PipelineExecutionSummaries
}

// actions is the actions of an execution, the newest first, in one line.
func (c *contract) actions(p *types.PipelineDeclaration, id string) string {
	c.Helper()
	var words []string
	pages := codepipeline.NewListActionExecutionsPaginator(c, &codepipeline.ListActionExecutionsInput{PipelineName: p.Name, MaxResults: aws.Int32(2),
		Filter: &types.ActionExecutionFilter{PipelineExecutionId: &id}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			c.Fatal(err)
		}
		for _, a := range page.ActionExecutionDetails {
			words = append(words, fmt.Sprintf("%s.%s=%s", *a.StageName, *a.ActionName, a.Status))
		}
	}
	return strings.Join(words, " ")
}

func lifeOfAPipeline(c *contract) {
	p := c.pipeline("web")
	made := c.create(p).Pipeline
	if *made.Version != 1 || made.ExecutionMode != "SUPERSEDED" {
		c.Errorf("created as version %d, %s", *made.Version, made.ExecutionMode)
	}
	a := made.Stages[2].Actions[0]
	if *a.RunOrder != 1 || a.Configuration == nil || a.InputArtifacts == nil || a.OutputArtifacts == nil {
		c.Errorf("defaults are missing: %+v", a)
	}
	first := c.get(p)
	exported := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".noSmithyDocumentSerde" }, cmp.Ignore())
	if diff := cmp.Diff(made, first.Pipeline, exported); diff != "" {
		c.Errorf("a read differs from what create answered: %s", diff)
	}
	for v := 2; v <= 12; v++ {
		p.Version = aws.Int32(77) // whatever is sent is ignored
		p.Stages[1].Actions[0].Configuration = map[string]string{"CustomData": fmt.Sprint(v)}
		if out := c.update(p); int(*out.Version) != v {
			c.Fatalf("update %d made version %d", v, *out.Version)
		}
	}
	now := c.get(p)
	if *now.Metadata.PipelineArn != *c.arn(p) || !now.Metadata.Created.Equal(*first.Metadata.Created) || !now.Metadata.Updated.After(*first.Metadata.Updated) {
		c.Errorf("metadata %s %v %v", *now.Metadata.PipelineArn, now.Metadata.Created, now.Metadata.Updated)
	}
	old, err := c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: p.Name, Version: aws.Int32(3)})
	if err != nil || old.Pipeline.Stages[1].Actions[0].Configuration["CustomData"] != "3" {
		c.Errorf("version 3: %v", err)
	}
	_, err = c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: p.Name, Version: aws.Int32(2)})
	c.seen("a version before the last ten", answer(err), "PipelineNotFoundException")
	for range 2 { // deleting what is gone succeeds
		if _, err := c.DeletePipeline(ctx, &codepipeline.DeletePipelineInput{Name: p.Name}); err != nil {
			c.Fatal(err)
		}
	}
	_, err = c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: p.Name})
	refused[*types.PipelineNotFoundException](c, "reading what is gone", err)
	wantCode(c.T, err, "PipelineNotFoundException", "Account '"+c.account+"' does not have a pipeline with name '"+*p.Name+"'")
	_, err = c.StartPipelineExecution(ctx, &codepipeline.StartPipelineExecutionInput{Name: p.Name})
	wantCode(c.T, err, "PipelineNotFoundException", "Pipeline with name "+*p.Name+" does not exist in account "+c.account)
}

func refusals(c *contract) {
	p := c.pipeline("web")
	c.create(p)
	_, err := c.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: p})
	refused[*types.PipelineNameInUseException](c, "a name in use", err)
	short := c.pipeline("short")
	short.Stages = short.Stages[:1]
	_, err = c.attempt(short)
	refused[*types.InvalidStructureException](c, "one stage", err)
	wantCode(c.T, err, "InvalidStructureException", "Pipeline has only 1 stage(s). There should be a minimum of 2 stages in a pipeline")
	_, err = c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("a b")})
	refused[*types.ValidationException](c, "a bad name", err)
	_, err = c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{MaxResults: aws.Int32(1001)})
	wantCode(c.T, err, "ValidationException", "1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000")
	_, err = c.GetPipelineExecution(ctx, &codepipeline.GetPipelineExecutionInput{PipelineName: p.Name, PipelineExecutionId: aws.String("01234567-0123-0123-0123-012345678901")})
	refused[*types.PipelineExecutionNotFoundException](c, "an unknown execution", err)
	_, err = c.DisableStageTransition(ctx, &codepipeline.DisableStageTransitionInput{PipelineName: p.Name, StageName: aws.String("None"),
		TransitionType: types.StageTransitionTypeInbound, Reason: aws.String("closed")})
	refused[*types.StageNotFoundException](c, "an unknown stage", err)
	_, err = c.ListTagsForResource(ctx, &codepipeline.ListTagsForResourceInput{ResourceArn: aws.String(*c.arn(p) + "2")})
	refused[*types.ResourceNotFoundException](c, "tags of an unknown pipeline", err)
}

func maskedSecrets(c *contract) {
	masked := func(name, token string) *types.PipelineDeclaration {
		p := c.pipeline(name)
		p.Stages[0] = github("", token).Stages[0]
		p.Stages[0].Actions[0].Configuration["PollForSourceChanges"] = "false"
		return p
	}
	refusal := "Action configuration for the new action 'Fetch' contains an invalid configuration for the secret property 'OAuthToken'. '****' may be used in secret properties only when updating an existing action."
	_, err := c.attempt(masked("refused", "****"))
	wantCode(c.T, err, "InvalidActionDeclarationException", refusal)
	p := masked("gh", "hunter2")
	if got := c.create(p).Pipeline.Stages[0].Actions[0].Configuration["OAuthToken"]; got != "****" {
		c.Errorf("create shows %q", got)
	}
	if got := c.update(masked("gh", "****")).Stages[0].Actions[0].Configuration["OAuthToken"]; got != "****" {
		c.Errorf("update with the mask shows %q", got)
	}
	renamed := masked("gh", "****")
	renamed.Stages[0].Name = aws.String("Origin")
	_, err = c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: renamed})
	wantCode(c.T, err, "InvalidActionDeclarationException", refusal)
}

func pages(c *contract) {
	var want []string
	for i := range 5 {
		p := c.pipeline(fmt.Sprintf("p%d", i))
		c.create(p)
		want = append(want, *p.Name)
	}
	var got []string
	var token *string
	pages := codepipeline.NewListPipelinesPaginator(c, &codepipeline.ListPipelinesInput{MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			c.Fatal(err)
		}
		for _, p := range page.Pipelines {
			if !strings.HasPrefix(*p.Name, c.prefix) {
				continue
			}
			got = append(got, *p.Name)
			if *p.Version != 1 || p.PipelineType == "" || p.ExecutionMode != "SUPERSEDED" || p.Created == nil || p.Updated == nil {
				c.Errorf("summary %+v", p)
			}
		}
		if page.NextToken != nil {
			token = page.NextToken
		}
	}
	c.seen("the order of the listing", got, want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		c.Error(diff)
	}
	_, err := c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{NextToken: aws.String("p3")})
	refused[*types.InvalidNextTokenException](c, "a token of our own", err)
	_, err = c.ListPipelineExecutions(ctx, &codepipeline.ListPipelineExecutionsInput{PipelineName: &want[1], NextToken: token})
	refused[*types.InvalidNextTokenException](c, "the token of another operation", err)
}

func tags(c *contract) {
	p := c.pipeline("web")
	if out := c.create(p, types.Tag{Key: aws.String("team"), Value: aws.String("a")}); len(out.Tags) != 1 {
		c.Errorf("created with %v", out.Tags)
	}
	tag := func(key, value string) error {
		_, err := c.TagResource(ctx, &codepipeline.TagResourceInput{ResourceArn: c.arn(p), Tags: []types.Tag{{Key: &key, Value: &value}}})
		return err
	}
	list := func() map[string]string {
		out, err := c.ListTagsForResource(ctx, &codepipeline.ListTagsForResourceInput{ResourceArn: c.arn(p)})
		if err != nil {
			c.Fatal(err)
		}
		tags := map[string]string{}
		for _, t := range out.Tags {
			tags[*t.Key] = *t.Value
		}
		return tags
	}
	if err := errors.Join(tag("team", "b"), tag("Stage", "prod")); err != nil {
		c.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"team": "b", "Stage": "prod"}, list()); diff != "" {
		c.Error(diff)
	}
	c.seen("a tag that begins with aws:", answer(tag("aws:x", "y")), "InvalidTagsException")
	var many []types.Tag
	for i := range 48 {
		many = append(many, types.Tag{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("")})
	}
	if _, err := c.TagResource(ctx, &codepipeline.TagResourceInput{ResourceArn: c.arn(p), Tags: many}); err != nil {
		c.Fatal(err)
	}
	wantCode(c.T, tag("one-too-many", ""), "TooManyTagsException", "Tag limit exceeded for resource ["+*c.arn(p)+"].")
	keys := append(slices.Collect(maps.Keys(list())), "not there")
	if _, err := c.UntagResource(ctx, &codepipeline.UntagResourceInput{ResourceArn: c.arn(p), TagKeys: keys}); err != nil {
		c.Fatal(err)
	}
	if left := list(); len(left) != 0 {
		c.Errorf("left over: %v", left)
	}
}

// anExecution follows one from its start over a rejection and a retry to its end.
func anExecution(c *contract) {
	p := c.pipeline("web")
	c.create(p)
	runs := c.executions(p)
	if len(runs) != 1 || runs[0].Trigger.TriggerType != types.TriggerTypeCreatePipeline || runs[0].StartTime == nil {
		c.Fatalf("after the creation: %+v", runs)
	}
	id := *runs[0].PipelineExecutionId
	token := c.asked(p, 1, id)
	run := c.execution(p, id)
	if run.Status != types.PipelineExecutionStatusInProgress || *run.PipelineVersion != 1 || len(run.ArtifactRevisions) != 1 || *run.PipelineName != *p.Name {
		c.Errorf("while it waits: %+v", run)
	}
	if revisions := c.executions(p)[0].SourceRevisions; len(revisions) != 1 || *revisions[0].ActionName != "Fetch" {
		c.Errorf("source revisions %+v", revisions)
	}
	if got := c.actions(p, id); got != "Hold.Ask=InProgress Source.Fetch=Succeeded" {
		c.Errorf("actions %s", got)
	}
	refused[*types.InvalidApprovalTokenException](c, "another token", c.decide(p, 1, "01234567-0123-0123-0123-012345678901", types.ApprovalStatusApproved))
	if err := c.decide(p, 1, token, types.ApprovalStatusRejected); err != nil {
		c.Fatal(err)
	}
	c.ended(p, id, types.PipelineExecutionStatusFailed)
	st := c.stage(p, 1)
	if st.LatestExecution.Status != types.StageExecutionStatusFailed || st.ActionStates[0].LatestExecution.Status != types.ActionExecutionStatusFailed {
		c.Errorf("after the rejection: %+v", st)
	}
	c.seen("the same token again", answer(c.decide(p, 1, token, types.ApprovalStatusApproved)), "ApprovalAlreadyCompletedException")
	retry := func() (string, error) {
		out, err := c.RetryStageExecution(ctx, &codepipeline.RetryStageExecutionInput{PipelineName: p.Name, StageName: p.Stages[1].Name,
			PipelineExecutionId: &id, RetryMode: types.StageRetryModeFailedActions})
		if err != nil {
			return "", err
		}
		return *out.PipelineExecutionId, nil
	}
	if again, err := retry(); err != nil || again != id {
		c.Fatalf("retried as %s, not %s: %v", again, id, err)
	}
	for stage := 1; stage <= 2; stage++ {
		if err := c.decide(p, stage, c.asked(p, stage, id), types.ApprovalStatusApproved); err != nil {
			c.Fatal(err)
		}
	}
	c.ended(p, id, types.PipelineExecutionStatusSucceeded)
	_, err := retry()
	refused[*types.StageNotRetryableException](c, "retrying what succeeded", err)
	if got := c.actions(p, id); got != "Hold2.Ask=Succeeded Hold.Ask=Succeeded Hold.Ask=Failed Source.Fetch=Succeeded" {
		c.Errorf("actions %s", got)
	}
	again := &codepipeline.StartPipelineExecutionInput{Name: p.Name, ClientRequestToken: aws.String("once")}
	first, err := c.StartPipelineExecution(ctx, again)
	if err != nil {
		c.Fatal(err)
	}
	second, err := c.StartPipelineExecution(ctx, again)
	if err != nil || *first.PipelineExecutionId != *second.PipelineExecutionId {
		c.Errorf("the same client token started %v, %v", second, err)
	}
	if runs := c.executions(p); len(runs) != 2 || *runs[0].PipelineExecutionId != *first.PipelineExecutionId || runs[0].Trigger.TriggerType != types.TriggerTypeStartPipelineExecution {
		c.Errorf("the newest is not first: %+v", runs)
	}
}

func stopping(c *contract) {
	p := c.pipeline("web")
	c.create(p)
	id := *c.executions(p)[0].PipelineExecutionId
	c.asked(p, 1, id)
	stop := func(abandon bool) error {
		_, err := c.StopPipelineExecution(ctx, &codepipeline.StopPipelineExecutionInput{PipelineName: p.Name, PipelineExecutionId: &id,
			Abandon: abandon, Reason: aws.String("enough")})
		return err
	}
	if err := stop(false); err != nil {
		c.Fatal(err)
	}
	c.seen("an execution that is to stop while an approval waits", c.execution(p, id).Status, types.PipelineExecutionStatusStopping)
	c.seen("stopping it again", answer(stop(false)), "DuplicatedStopRequestException")
	c.seen("and abandoning it", answer(stop(true)), "accepted")
	c.ended(p, id, types.PipelineExecutionStatusStopped)
	refused[*types.PipelineExecutionNotStoppableException](c, "stopping what is stopped", stop(true))
	run := c.executions(p)[0]
	if run.StopTrigger == nil || *run.StopTrigger.Reason != "enough" {
		c.Errorf("the reason is gone: %+v", run)
	}
	c.seen("the action that was abandoned", c.actions(p, id), "Hold.Ask=Abandoned Source.Fetch=Succeeded")
}

func transitions(c *contract) {
	p := c.pipeline("web")
	c.create(p)
	first := *c.executions(p)[0].PipelineExecutionId
	token := c.asked(p, 1, first)
	if _, err := c.DisableStageTransition(ctx, &codepipeline.DisableStageTransitionInput{PipelineName: p.Name, StageName: p.Stages[2].Name,
		TransitionType: types.StageTransitionTypeInbound, Reason: aws.String("frozen")}); err != nil {
		c.Fatal(err)
	}
	closed := c.stage(p, 2).InboundTransitionState
	if closed.Enabled || *closed.DisabledReason != "frozen" || closed.LastChangedAt == nil || closed.LastChangedBy == nil {
		c.Errorf("the closed transition: %+v", closed)
	}
	if err := c.decide(p, 1, token, types.ApprovalStatusApproved); err != nil {
		c.Fatal(err)
	}
	c.until("the execution waits in front of the stage", func() bool {
		st := c.stage(p, 2)
		return st.InboundExecution != nil && *st.InboundExecution.PipelineExecutionId == first && st.LatestExecution == nil
	})
	if got := c.execution(p, first).Status; got != types.PipelineExecutionStatusInProgress {
		c.Errorf("while it waits it is %s", got)
	}
	// A newer one that comes to the same point takes its place.
	second := c.start(p)
	if err := c.decide(p, 1, c.asked(p, 1, second), types.ApprovalStatusApproved); err != nil {
		c.Fatal(err)
	}
	c.ended(p, first, types.PipelineExecutionStatusSuperseded)
	if _, err := c.EnableStageTransition(ctx, &codepipeline.EnableStageTransitionInput{PipelineName: p.Name, StageName: p.Stages[2].Name,
		TransitionType: types.StageTransitionTypeInbound}); err != nil {
		c.Fatal(err)
	}
	if err := c.decide(p, 2, c.asked(p, 2, second), types.ApprovalStatusApproved); err != nil {
		c.Fatal(err)
	}
	c.ended(p, second, types.PipelineExecutionStatusSucceeded)
	if st := c.stage(p, 2); !st.InboundTransitionState.Enabled || st.InboundExecution != nil {
		c.Errorf("the opened transition: %+v", st)
	}
}

// notEstablished asks what nobody has written down; the emulator's answers are guesses, some of which Options change.
func notEstablished(c *contract) {
	p := c.pipeline("web")
	c.seen("the type of a pipeline that names none", c.create(p).Pipeline.PipelineType, "V1")
	id := *c.executions(p)[0].PipelineExecutionId
	token := c.asked(p, 1, id)
	c.seen("the version after an update that changes nothing", *c.update(p).Version, 2)
	c.seen("an execution that an update overtakes while an approval waits", c.execution(p, id).Status, "InProgress")
	c.seen("the approval", answer(c.decide(p, 1, token, types.ApprovalStatusApproved)), "accepted")
	c.within(30*time.Second, func() bool { return c.execution(p, id).Status != types.PipelineExecutionStatusInProgress })
	c.seen("the execution then", c.execution(p, id).Status, "Cancelled")

	p.PipelineType = types.PipelineTypeV2
	c.update(p)
	p.PipelineType = ""
	c.seen("the type of a V2 pipeline after an update that names none", c.update(p).PipelineType, "V1")

	_, err := c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: c.pipeline("none")})
	c.seen("an update of what is not there", answer(err), "PipelineNotFoundException")

	for _, tt := range []struct {
		name, emulated string
		change         func(*types.PipelineDeclaration)
	}{
		{"a value of 1001 characters", "accepted", func(p *types.PipelineDeclaration) {
			p.Stages[0].Actions[0].Configuration["S3ObjectKey"] = strings.Repeat("k", 1001)
		}},
		{"51 actions in a stage", "InvalidStageDeclarationException", func(p *types.PipelineDeclaration) {
			for i := range 50 {
				a := p.Stages[1].Actions[0]
				a.Name = aws.String(fmt.Sprint("Ask", i))
				p.Stages[1].Actions = append(p.Stages[1].Actions, a)
			}
		}},
		{"two actions of one name", "InvalidActionDeclarationException", func(p *types.PipelineDeclaration) {
			p.Stages[1].Actions = append(p.Stages[1].Actions, p.Stages[1].Actions[0])
		}},
		{"a stage without actions", "InvalidStageDeclarationException", func(p *types.PipelineDeclaration) { p.Stages[1].Actions = []types.ActionDeclaration{} }},
		{"a source in another region", "InvalidStructureException", func(p *types.PipelineDeclaration) {
			p.Stages[0].Actions[0].Region = aws.String("us-west-2")
		}},
		{"onFailure on the source stage", "accepted", func(p *types.PipelineDeclaration) {
			p.PipelineType = types.PipelineTypeV2
			p.Stages[0].OnFailure = &types.FailureConditions{Result: types.ResultRollback}
		}},
		{"onFailure with the result FAIL", "accepted", func(p *types.PipelineDeclaration) {
			p.PipelineType = types.PipelineTypeV2
			p.Stages[1].OnFailure = &types.FailureConditions{Result: types.ResultFail}
		}},
	} {
		p := c.pipeline("try")
		tt.change(p)
		_, err := c.attempt(p)
		c.seen(tt.name, answer(err), tt.emulated)
		if c.onAWS && err != nil {
			c.Logf("in these words: %v", err)
		}
		if _, err := c.DeletePipeline(ctx, &codepipeline.DeletePipelineInput{Name: p.Name}); err != nil {
			c.Fatal(err)
		}
	}

	connected := connected(c.prefix + "connected")
	connected.RoleArn, connected.ArtifactStore.Location = &c.role, &c.bucket
	connected.Stages = append(connected.Stages[:1], p.Stages[1:]...)
	connected.Stages[0].Actions[0].Configuration["ConnectionArn"] = "arn:aws:codeconnections:" + c.region + ":" + c.account + ":connection/4f2a8a1a-9b8e-4d56-9f0e-1c2d3e4f5a6b"
	out, err := c.attempt(connected)
	c.seen("a connection that is not there", answer(err), "accepted")
	if err == nil {
		c.seen("triggers that it was given", len(out.Pipeline.Triggers), 1)
	}
}
