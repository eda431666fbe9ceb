package emulator

import (
	"context"
	cryptorand "crypto/rand"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options choose among behaviours. The zero value is the service as far as it is known, at the speed of a test.
type Options struct {
	// Account owns requests whose access key names no account. Empty: 123456789012.
	Account string
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Speed is how many times as fast as Now the time of the emulator passes, from New on. 0: as fast.
	Speed float64
	// ActionDuration is how long an action or a rule runs unless an Outcome says otherwise. 0: it is over at once.
	ActionDuration time.Duration
	// AutoApprove makes approvals end by themselves, as other actions do. false: they wait for PutApprovalResult, or
	// their time-out of seven days or timeoutInMinutes.
	AutoApprove bool
	// FailOnUpdate makes executions that an update interrupts end as Failed, as one page of the user guide has it
	// (edit a pipeline). false: as Cancelled, as another has it (execution modes), once their running actions have ended.
	FailOnUpdate bool
	// Seed is that of the chance by which runs take something between Duration and MaxDuration of an Outcome.
	Seed uint64

	// DefaultType is the pipelineType of a document that names none. Sources disagree; empty: V1, as live probes saw.
	DefaultType string
	// KeepType makes an update without pipelineType keep the type of the pipeline. What AWS does is not known;
	// false: DefaultType applies on update too, since an update replaces the whole document.
	KeepType bool
	// NoDefaultTrigger leaves out the trigger that the service adds to a V2 pipeline with a connection source.
	NoDefaultTrigger bool
	// KeepUnknown stores and returns members of the pipeline document that the model does not have, as a service
	// newer than the model would. false: they are ignored, as AWS does with members it does not know.
	KeepUnknown bool
	// CreateOnUpdate makes an update of a pipeline that does not exist create it. What AWS does is not known, since the
	// API has no error for it; false: PipelineNotFoundException.
	CreateOnUpdate bool
	// KeepVersion makes an update that changes nothing but secrets leave the version as it is. What AWS does is not
	// known; false: every update counts.
	KeepVersion bool
	// RefuseAbsent makes DeletePipeline refuse the name of no pipeline with PipelineNotFoundException. What AWS does is
	// not known, since the API has no error for it; false: it succeeds.
	RefuseAbsent bool
	// CustomActions lists the custom action types of every account as Category/Provider/Version, for instance
	// Build/Jenkins/1. None: a pipeline with an action of owner Custom is refused (CP-A02), as in a fresh account.
	// The keys of its configuration may follow, each after a space: Name, Name* for a required one, Name! for a secret,
	// Name? for the queryable one, Name:Number for its type, as in "Build/Jenkins/1 ProjectName*?". Without any, every
	// configuration is taken and none is listed.
	CustomActions []string
	// TrailDelay is how long after a call CloudTrail shows its event. AWS takes up to 15 minutes; 0: at once.
	TrailDelay time.Duration
	// OnEffect is told of every change of a pipeline, in their order, while the emulator's lock is held: it must not
	// block, nor call the emulator. nil for nobody.
	OnEffect func(Effect)
}

// Server is the emulator. Use New; all methods may be called at any time from any goroutine.
type Server struct {
	opts     Options
	custom   map[string]provider // :: Category/Provider/Version → the custom action type
	control  http.Handler
	tokenKey [32]byte // keys the digest in page tokens, so that only ours are accepted

	mu       sync.Mutex
	stores   map[scope]*store
	vaults   map[scope]*vault
	sessions map[string]session // :: access key id → the role it was issued for
	issued   []string           // keys of sessions, oldest first
	faults   []*armedFault
	outcomes []Outcome // the last that matches decides
	calls    []Call
	random   *rand.Rand
	trails   map[scope][]event           // oldest first
	events   int64                       // of all trails, ever
	queues   map[scope]map[string]*queue // :: name → queue
	rules    []*eventRule
}

// New returns an emulator with no pipelines.
func New(opts Options) *Server {
	if opts.Account == "" {
		opts.Account = "123456789012"
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Speed > 0 {
		opts.Now = hastened(opts.Now, opts.Speed)
	}
	if opts.DefaultType == "" {
		opts.DefaultType = "V1"
	}
	s := &Server{
		opts: opts, custom: customActions(opts.CustomActions),
		random: rand.New(rand.NewPCG(opts.Seed, 0)),
		stores: map[scope]*store{}, vaults: map[scope]*vault{}, sessions: map[string]session{}, trails: map[scope][]event{}, queues: map[scope]map[string]*queue{},
	}
	s.control = s.controlHandler()
	cryptorand.Read(s.tokenKey[:]) // never fails (crypto/rand)
	return s
}

// Reset forgets pipelines, executions, secrets, queues, rules, faults, outcomes, events of CloudTrail and the history. Keys issued by
// AssumeRole stay valid: clients cache them, and would find themselves in another account.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores, s.vaults = map[scope]*store{}, map[scope]*vault{}
	s.faults, s.outcomes, s.calls = nil, nil, nil
	s.queues, s.rules = map[scope]map[string]*queue{}, nil
}

// operation is one row of the API.
type operation struct {
	model model                             // has the shape <Operation>Input; nil: run checks its input itself
	run   func(*Server, *call) (any, error) // called with the lock held and an input that conforms to the model
}

// operations maps the X-Amz-Target of a request to what it asks for. Operations that are not here are unknown.
var operations = map[string]operation{
	"CodePipeline_20150709.CreatePipeline":         {codepipelineModel, (*Server).createPipeline},
	"CodePipeline_20150709.GetPipeline":            {codepipelineModel, (*Server).getPipeline},
	"CodePipeline_20150709.UpdatePipeline":         {codepipelineModel, (*Server).updatePipeline},
	"CodePipeline_20150709.DeletePipeline":         {codepipelineModel, (*Server).deletePipeline},
	"CodePipeline_20150709.ListPipelines":          {codepipelineModel, (*Server).listPipelines},
	"CodePipeline_20150709.ListTagsForResource":    {codepipelineModel, (*Server).listTagsForResource},
	"CodePipeline_20150709.TagResource":            {codepipelineModel, (*Server).tagResource},
	"CodePipeline_20150709.UntagResource":          {codepipelineModel, (*Server).untagResource},
	"CodePipeline_20150709.GetPipelineState":       {codepipelineModel, (*Server).getPipelineState},
	"CodePipeline_20150709.ListPipelineExecutions": {codepipelineModel, (*Server).listPipelineExecutions},
	"CodePipeline_20150709.StartPipelineExecution": {codepipelineModel, (*Server).startPipelineExecution},
	"CodePipeline_20150709.StopPipelineExecution":  {codepipelineModel, (*Server).stopPipelineExecution},
	"CodePipeline_20150709.ListActionTypes":        {codepipelineModel, (*Server).listActionTypes},
	"CodePipeline_20150709.ListRuleTypes":          {codepipelineModel, (*Server).listRuleTypes},
	"CodePipeline_20150709.GetPipelineExecution":   {codepipelineModel, (*Server).getPipelineExecution},
	"CodePipeline_20150709.ListActionExecutions":   {codepipelineModel, (*Server).listActionExecutions},
	"CodePipeline_20150709.ListRuleExecutions":     {codepipelineModel, (*Server).listRuleExecutions},
	"CodePipeline_20150709.PutApprovalResult":      {codepipelineModel, (*Server).putApprovalResult},
	"CodePipeline_20150709.EnableStageTransition":  {codepipelineModel, (*Server).enableStageTransition},
	"CodePipeline_20150709.DisableStageTransition": {codepipelineModel, (*Server).disableStageTransition},
	"CodePipeline_20150709.RetryStageExecution":    {codepipelineModel, (*Server).retryStageExecution},
	"CodePipeline_20150709.RollbackStage":          {codepipelineModel, (*Server).rollbackStage},
	"CodePipeline_20150709.OverrideStageCondition": {codepipelineModel, (*Server).overrideStageCondition},
	"CodePipeline_20150709.PutActionRevision":      {codepipelineModel, (*Server).putActionRevision},

	// The SDKs disagree about the name of the service; AWS takes both.
	"CloudTrail_20131101.LookupEvents":                                    {nil, (*Server).lookupEvents},
	"com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents": {nil, (*Server).lookupEvents},

	"ResourceGroupsTaggingAPI_20170126.GetResources": {taggingModel, (*Server).getResources},

	"secretsmanager.DescribeSecret": {nil, (*Server).describeSecret},
	"secretsmanager.GetSecretValue": {nil, (*Server).getSecretValue},
	"AmazonSSM.GetParameter":        {nil, (*Server).getParameter},

	"AmazonSQS.ChangeMessageVisibility": {nil, (*Server).changeMessageVisibility},
	"AmazonSQS.CreateQueue":             {nil, (*Server).createQueue},
	"AmazonSQS.DeleteMessage":           {nil, (*Server).deleteMessage},
	"AmazonSQS.DeleteMessageBatch":      {nil, (*Server).deleteMessageBatch},
	"AmazonSQS.GetQueueAttributes":      {nil, (*Server).getQueueAttributes},
	"AmazonSQS.GetQueueUrl":             {nil, (*Server).getQueueURL},
	"AmazonSQS.ReceiveMessage":          {nil, (*Server).receiveMessage},
	"AmazonSQS.SendMessage":             {nil, (*Server).sendMessage},
}

// ServeHTTP answers AWS requests on every path but /_emulator/, which is the control interface.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !sameMachine(r.Header.Get("Origin")) {
		http.Error(w, "requests from web pages of other origins are refused", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if strings.HasPrefix(r.URL.Path, controlPath) {
		s.control.ServeHTTP(w, r)
		return
	}
	c := s.accept(r)
	rep := s.answer(r.Context(), c)
	s.record(c, rep) // before it is sent, so that whoever has a reply finds it in the history
	rep.send(w)
}

// answer performs the call with the faults that hit it wrapped around.
func (s *Server) answer(ctx context.Context, c *call) reply {
	next := func() reply {
		if c.refused != nil {
			return c.protocol.failure(c, c.refused)
		}
		return s.perform(ctx, c)
	}
	hits := s.hits(c)
	for i := len(hits) - 1; i >= 0; i-- {
		f, inner := hits[i], next
		next = func() reply { return actions[f.Action](ctx, s, f, c, inner) }
	}
	return next()
}

func (s *Server) perform(ctx context.Context, c *call) reply {
	if c.op.model != nil {
		input, err := c.op.model.conform(c.record.Operation+"Input", c.input, s.opts.KeepUnknown)
		if err != nil {
			return c.protocol.failure(c, err)
		}
		c.input = input
	}
	out, err := s.run(c)
	if later, waits := out.(pending); waits {
		out, err = s.await(ctx, c, later)
		if ctx.Err() != nil { // the client is gone
			return reply{fate: dropped}
		}
	}
	if err != nil {
		return c.protocol.failure(c, err)
	}
	return c.protocol.success(c, out)
}

// hastened is a clock that starts at the time of another one and runs speed times as fast.
func hastened(now func() time.Time, speed float64) func() time.Time {
	start := now()
	return func() time.Time { return start.Add(time.Duration(float64(now().Sub(start)) * speed)) }
}

func (s *Server) run(c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, err := s.observed(c)
	s.trail(c, out, err)
	return out, err
}

// pending is what an operation returns that can wait for something to say: it is then run again, without holding the
// lock in between.
type pending struct {
	wake      <-chan struct{} // closed when it is time to run again
	most      time.Duration   // how long to wait in all, in real time: a client's patience has no other
	otherwise any             // the answer after that
}

// pace is how often a call that waits looks anew: what the clock of Options.Now brings about, nothing announces.
const pace = 50 * time.Millisecond

// await runs a call again until it has something to say, its time is over, or its client is gone.
func (s *Server) await(ctx context.Context, c *call, later pending) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, later.most)
	defer cancel()
	look := time.NewTicker(pace)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return later.otherwise, nil
		case <-later.wake:
		case <-look.C:
		}
		out, err := s.run(c)
		next, waits := out.(pending)
		if !waits {
			return out, err
		}
		later.wake = next.wake
	}
}

// now is the time to the millisecond, the precision of the service.
func (s *Server) now() time.Time { return s.opts.Now().Truncate(time.Millisecond) }

// sameMachine reports whether a request with this Origin may be answered: one from no page, or from a page of this machine.
func sameMachine(origin string) bool {
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
