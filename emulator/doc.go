// Package emulator is CodePipeline over the wire: a stand-in for demos, for our own tests and for those of our users.
//
// It speaks AWS JSON 1.1 on one address, beside the other services Plumbline calls: the tagging API (GetResources),
// Secrets Manager (DescribeSecret, GetSecretValue), Systems Manager (GetParameter), CloudTrail (LookupEvents), SQS (what
// receiving takes, in JSON 1.0) and STS (GetCallerIdentity, AssumeRole, in their Query and XML form). A request says by its
// signature where it belongs: the region is that of the credential scope, the account is the access key id if that has
// twelve digits, the account of the role if the emulated AssumeRole issued the key, else Options.Account. A key such as
// ann@111122223333 is of the user ann in that account; every other one is of the user emulator. Signatures themselves are
// not checked.
//
// Executions tell each change of their state, of their stages and of their actions in events of EventBridge, which rules put
// into queues of SQS (EventRule). A queue is used by its URL, whose path is /ACCOUNT/NAME; who may use it is not checked.
//
// CloudTrail has the events of calls that write pipelines, tags and executions. A client whose User-Agent begins with
// Mozilla/ is taken for the console.
//
// The package imports nothing of ours, so that it can disagree with us. What a field may hold comes from AWS's published
// service model (model.json); what a pipeline as a whole must be, and in which words it is refused, from messages seen on
// the real service. Rule IDs such as CP-S01 are those of the documented rules. Where AWS's behaviour is not known, Options chooses.
//
// # How a request travels
//
//	accept (wire.go)     which service, operation, account and region; body bounded and decoded
//	faults (faults.go)   the rules that match wrap the rest, each free to delay, refuse, or spoil the reply
//	perform (server.go)  under the one lock: conform the input to the model, run the operation
//	await (server.go)    where the operation can wait for something to say: let go of the lock, and perform it again
//	record (history.go)  what was asked and what was answered, for tests to read
//
// Pipelines are immutable values that each write replaces, so a stale read is simply the value before. Executions have no
// goroutines: every call first moves them to the present by the clock of Options.Now (walk.go).
//
// # Executions
//
// An execution waits in front of a stage for the stage's lock and for the transition into it, then runs the stage's entry
// condition, its actions in runOrder, and its condition for success or failure. Actions take Options.ActionDuration and
// succeed, unless an Outcome says otherwise; approvals wait for PutApprovalResult or their time-out, unless Options.AutoApprove
// or an outcome that names the approval ends them. Stages can be retried, rolled back, skipped and overridden, by hand or as
// the pipeline declares. Every change of state of an execution, a stage or an action goes through transition.go.
//
// Where sources are silent or disagree: running actions of an execution that an update interrupts end, approvals included,
// and then the execution is Cancelled, or Failed with Options.FailOnUpdate; a rollback ends with the stage it rolls back;
// an automatic retry without a retryMode retries the failed actions; the Outbound transition of a stage is the Inbound one
// of the next; the lock of a stage is held while its entry condition is evaluated.
//
// # Control over HTTP
//
// For a process of its own there is a JSON interface under /_emulator/, refused to pages of other origins:
//
//	GET    /_emulator/healthz   {"status":"ok"}
//	POST   /_emulator/faults    one Fault or a list: {"operation":"UpdatePipeline","nth":2,"action":"error","code":"ThrottlingException"};
//	                            "delay" is text such as "250ms"; a file of them for plumbline emulator --faults has the same members
//	DELETE /_emulator/faults    drop all faults
//	POST   /_emulator/outcomes  one Outcome or a list: {"pipeline":"web","stage":"Deploy","status":"Failed","code":"JobFailed","message":"tests fail"}
//	                            or {"pipeline":"web","cause":"missing-bucket"}; "duration" and "maxDuration" are text such as "30s"
//	POST   /_emulator/changes   a Change, which starts an execution: {"region":"us-east-1","pipeline":"web","action":"Source",
//	                            "revision":"c0ffee","summary":"fix it","trigger":"WebhookV2"}; answers {"pipelineExecutionId":"…"}
//	POST   /_emulator/secrets   one Secret or a list: {"region":"us-east-1","name":"github","value":"…"}; again, it rotates the secret
//	POST   /_emulator/parameters one Parameter or a list, likewise
//	POST   /_emulator/complete  an Outcome for actions that run now, and approvals it names; answers {"completed":n}
//	POST   /_emulator/tags      one PipelineTags or a list: what AWS itself sets, which no API call can, such as the
//	                            aws:cloudformation:… of a stack's pipeline
//	POST   /_emulator/rules     one EventRule or a list: {"queue":"arn:aws:sqs:us-east-1:123456789012:events","seed":7,"duplicated":0.1,
//	                            "late":0.5,"delay":"30s"}; makes the queue as well
//	DELETE /_emulator/rules     drop all rules; queues stay
//	GET    /_emulator/calls     the history; DELETE empties it
//	POST   /_emulator/reset     forget pipelines, executions, secrets, queues, rules, faults, outcomes and history
package emulator
