package metrics

import (
	"slices"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// metric is a place in the catalog.
type metric int

const (
	pipelineSyncStatus metric = iota
	pipelineDrifted
	pipelineDriftSince
	pipelineDriftFields
	pipelinePending
	pipelinePendingSince
	pipelineHeld
	pipelineLastApplySuccess
	pipelineLastApply
	fights
	pipelineVersion
	pipelineUpdated

	executionsTotal
	executionsInProgress
	executionOldestStart
	lastExecutionStatus
	lastExecutionStart
	lastExecutionEnd
	lastExecutionDuration
	lastExecutionSuccess
	consecutiveFailures
	lastVisit
	stageFailed
	stageTransitionEnabled
	approvalPendingSince

	targetPipelines
	applies
	applyFailures
	driftDetections
	driftCorrections
	executionsCancelled
	executionDuration
	visitInterval
	eventsUp
	targetUp
	targetLastSuccess
	passes
	sweepFindings
	passDuration
	lastPass
	awsLimiterWait

	awsRequests
	awsRequestFailures

	sourceUp
	sourceLastSuccess
	sourceHeadCommit
	sourceChecks
	sourceCheckFailures
	sourceFiles

	applyDuration
	commitToApply
	awsRequestDuration
	configLastReloadSuccess
	configLastReload
	buildInfo

	metricCount
)

type kind string

const (
	gauge   kind = "gauge"
	counter kind = "counter"
	history kind = "histogram"
)

// scope is what a metric has its series for.
type scope string

const (
	perPipeline  scope = "pipeline"
	perStage     scope = "stage"
	perApproval  scope = "approval"
	perTarget    scope = "target"
	perOperation scope = "operation of AWS in a target"
	perSource    scope = "source"
	perProcess   scope = "process"
)

// entry describes one metric. Names and help are an interface: alert rules and dashboards of users hold them.
type entry struct {
	name    string
	kind    kind
	labels  []string
	help    string
	buckets []float64 // of a histogram

	// At most so many label sets for one of scope. Each is one series, or of a histogram one for each bucket and
	// three more.
	scope scope
	most  int

	since string // the first version that has it
}

// bound returns how many series there are at most for one of the scope.
func (e entry) bound() int {
	if e.kind == history {
		return e.most * (len(e.buckets) + 3)
	}
	return e.most
}

// bounds returns how many series there are at most for one of each scope.
func bounds() map[scope]int {
	most := map[scope]int{}
	for _, e := range catalog {
		most[e.scope] += e.bound()
	}
	return most
}

// Bound returns how many series there are at most, by the formula of docs/metrics.md. Stages are those of all
// pipelines together, approvals those that wait at once.
func Bound(sources, targets, pipelines, stages, approvals int) int {
	most := bounds()
	return most[perProcess] + sources*most[perSource] + targets*(most[perTarget]+operations*most[perOperation]) +
		pipelines*most[perPipeline] + stages*most[perStage] + approvals*most[perApproval]
}

// The values of labels that have few. Series of those that are totals exist from the start with 0, since the
// first increase of a total that appears with 1 is seen by nobody.
var (
	statuses = []sync.Status{
		sync.StatusUnknown, sync.StatusInvalid, sync.StatusMissing, sync.StatusDrifted, sync.StatusPending, sync.StatusExtra, sync.StatusSynced,
	}
	// A release is a person's, never a pass of the daemon.
	verbs      = []sync.Verb{sync.Create, sync.Update, sync.Delete, sync.Tag, sync.Adopt}
	ownerships = []sync.Ownership{sync.Managed, sync.Unmanaged, sync.Foreign}
	edits      = []string{"added", "removed", "changed"}
	classes    = []live.Class{
		live.Throttled, live.Unavailable, live.Unreadable, live.Denied, live.Credentials, live.NotFound, live.NameInUse, live.Invalid,
		live.RolePropagation, live.Quota, live.Conflict, live.Unsupported, live.Canceled, live.Unknown,
	}
	// An execution ends with one of these, more than once if it is retried.
	ends  = slices.DeleteFunc(slices.Clone(execution.Statuses), func(s string) bool { return live.Execution{Status: s}.Running() })
	kinds = []source.Kind{
		source.KindAuth, source.KindNotFound, source.KindEmpty, source.KindRefMissing, source.KindUnreachable, source.KindTimeout,
		source.KindTrust, source.KindProtocol, source.KindRedirect, source.KindTooLarge, source.KindSHA256, source.KindDamaged,
		source.KindLocal, source.KindOther,
	}
)

// operations is how many different ones plumbline asks of AWS; a test counts them in package live.
const operations = 21

// one is the first version.
const one = "0.1.0"

var (
	ofPipeline = []string{"account_id", "region", "pipeline"}
	ofStage    = add(ofPipeline, "stage")
	ofTarget   = []string{"account_id", "region"}
	ofSource   = []string{"source"}
)

var (
	callBuckets  = []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20} // an attempt has 20 s
	waitBuckets  = []float64{.01, .1, .5, 1, 2.5, 5, 10, 30, 60}        // 0.3 s apart by default
	applyBuckets = []float64{.5, 1, 2.5, 5, 10, 30, 60}                 // half a dozen calls
	passBuckets  = []float64{.1, .5, 1, 2.5, 5, 10, 30, 60, 300, 900}   // a sweep of 1,000 takes six minutes
	// A build is minutes, an approval or a closed transition days.
	executionBuckets = []float64{30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400}
	commitBuckets    = []float64{5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400} // an interval is a minute
)

// catalog has every metric. It never changes.
var catalog = [metricCount]entry{
	pipelineSyncStatus: {
		name: "plumbline_pipeline_sync_status", kind: gauge, labels: add(ofPipeline, "status"), scope: perPipeline, most: len(statuses), since: one,
		help: "1 for the status that the pipeline has after the latest pass, 0 for all others.",
	},
	pipelineDrifted: {
		name: "plumbline_pipeline_drifted", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "1 while the live pipeline differs because somebody changed or deleted it outside git. While it cannot be compared (status unknown or invalid), as it was last.",
	},
	pipelineDriftSince: {
		name: "plumbline_pipeline_drift_since_timestamp_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "When the pipeline was first seen to be drifted; only while it is. A restart begins anew.",
	},
	pipelineDriftFields: {
		name: "plumbline_pipeline_drift_fields", kind: gauge, labels: add(ofPipeline, "change"), scope: perPipeline, most: len(edits), since: one,
		help: "How many fields differ, only while the pipeline is drifted: added are those that live has and the file has not, removed those that it lacks.",
	},
	pipelinePending: {
		name: "plumbline_pipeline_pending", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "1 while git asks for something that is not live yet. While the pipeline cannot be seen (status unknown), as it was last.",
	},
	pipelinePendingSince: {
		name: "plumbline_pipeline_pending_since_timestamp_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "When the pipeline was first seen to be pending; only while it is. A restart begins anew.",
	},
	pipelineHeld: {
		name: "plumbline_pipeline_held", kind: gauge, labels: add(ofPipeline, "reason"), scope: perPipeline, most: 1, since: one,
		help: "1 while a change that is due is held, by the reason; only while it is.",
	},
	pipelineLastApplySuccess: {
		name: "plumbline_pipeline_last_apply_success", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "Whether the last attempt to change the pipeline went well; none before the first since the start.",
	},
	pipelineLastApply: {
		name: "plumbline_pipeline_last_apply_timestamp_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "When a change of the pipeline was last attempted; none before the first attempt since the start.",
	},
	fights: {
		name: "plumbline_fights_total", kind: counter, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "How often a reverted change came back: a difference that returned without a new version, or the third reversal within half an hour.",
	},

	pipelineVersion: {
		name: "codepipeline_pipeline_version", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "Which version the live pipeline has. AWS counts from 1 with each update.",
	},
	pipelineUpdated: {
		name: "codepipeline_pipeline_updated_timestamp_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "When the live pipeline was last updated, by AWS's clock.",
	},

	executionsTotal: {
		name: "codepipeline_executions_total", kind: counter, labels: add(ofPipeline, "status"), scope: perPipeline, most: len(ends), since: one,
		help: "Executions that ended since the start, by how. One that is retried counts for each of its ends.",
	},
	executionsInProgress: {
		name: "codepipeline_executions_in_progress", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "How many executions have not ended, those included that wait for an approval or before a disabled transition.",
	},
	executionOldestStart: {
		name: "codepipeline_execution_oldest_start_timestamp_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "When the oldest of the executions in progress began; only while there is one. Of one so old that AWS tells of it by its stage alone, a later time.",
	},
	lastExecutionStatus: {
		name: "codepipeline_last_execution_status", kind: gauge, labels: add(ofPipeline, "status"), scope: perPipeline, most: len(execution.Statuses), since: one,
		help: "1 for the status of the newest execution, 0 for all others; none before the first.",
	},
	lastExecutionStart: {
		name: "codepipeline_last_execution_start_timestamp_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "When the newest execution began.",
	},
	lastExecutionEnd: {
		name: "codepipeline_last_execution_end_timestamp_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "When the newest execution ended; only if it has.",
	},
	lastExecutionDuration: {
		name: "codepipeline_last_execution_duration_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "How long the newest execution took, all waits included; only if it has ended.",
	},
	lastExecutionSuccess: {
		name: "codepipeline_last_success_timestamp_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "When an execution last succeeded; none where no success is known.",
	},
	consecutiveFailures: {
		name: "codepipeline_consecutive_failures", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "How many executions failed since one last succeeded. Those that were stopped, superseded or cancelled do not count and reset nothing.",
	},
	lastVisit: {
		name: "codepipeline_last_visit_timestamp_seconds", kind: gauge, labels: ofPipeline, scope: perPipeline, most: 1, since: one,
		help: "When the executions of the pipeline were last seen: AWS was asked for them and answered, or an event told of one. None before the first time; what the other series say is of then.",
	},
	stageFailed: {
		name: "codepipeline_stage_failed", kind: gauge, labels: ofStage, scope: perStage, most: 1, since: one,
		help: "1 while the latest execution that entered the stage has failed in it. None before the first execution, and none in PARALLEL mode, where AWS does not tell.",
	},
	stageTransitionEnabled: {
		name: "codepipeline_stage_transition_enabled", kind: gauge, labels: ofStage, scope: perStage, most: 1, since: one,
		help: "0 while somebody has disabled the transition into the stage, 1 otherwise.",
	},
	approvalPendingSince: {
		name: "codepipeline_approval_pending_since_timestamp_seconds", kind: gauge, labels: add(ofStage, "action"), scope: perApproval, most: 1, since: one,
		help: "Since when the action waits for somebody's approval; only while it does. None in PARALLEL mode, where AWS does not tell.",
	},

	targetPipelines: {
		name: "plumbline_pipelines", kind: gauge, labels: add(ofTarget, "ownership"), scope: perTarget, most: len(ownerships), since: one,
		help: "How many pipelines are live, by whose they are, when the target was last seen.",
	},
	applies: {
		name: "plumbline_applies_total", kind: counter, labels: add(ofTarget, "operation"), scope: perTarget, most: len(verbs), since: one,
		help: "Attempted changes of pipelines, those that failed included.",
	},
	applyFailures: {
		name: "plumbline_apply_failures_total", kind: counter, labels: add(ofTarget, "reason"), scope: perTarget, most: len(classes), since: one,
		help: "Attempted changes of pipelines that failed. A change that waits to be tried again is no attempt.",
	},
	driftDetections: {
		name: "plumbline_drift_detections_total", kind: counter, labels: ofTarget, scope: perTarget, most: 1, since: one,
		help: "How often a pipeline was found drifted that was not before, or had not been seen before since the start.",
	},
	driftCorrections: {
		name: "plumbline_drift_corrections_total", kind: counter, labels: ofTarget, scope: perTarget, most: 1, since: one,
		help: "How often drift was reverted.",
	},
	executionsCancelled: {
		name: "plumbline_executions_cancelled_by_update_total", kind: counter, labels: ofTarget, scope: perTarget, most: 1, since: one,
		help: "Executions that were running when a pipeline was updated, which cancels them. Updates wait for executions, unless policy.whenBusy or policy.maxWait says otherwise.",
	},
	executionDuration: {
		name: "codepipeline_execution_duration_seconds", kind: history, labels: ofTarget, buckets: executionBuckets, scope: perTarget, most: 1, since: one,
		help: "How long executions took that succeeded or failed since the start, all waits included; of a retried one, from its first start.",
	},
	visitInterval: {
		name: "codepipeline_visit_interval_seconds", kind: gauge, labels: ofTarget, scope: perTarget, most: 1, since: one,
		help: "Within which time each pipeline is looked at for executions, as the allowance of requests permits.",
	},
	eventsUp: {
		name: "plumbline_events_up", kind: gauge, labels: ofTarget, scope: perTarget, most: 1, since: one,
		help: "1 if events of executions can be read from executions.queueURL; 0 if they could not be for some minutes, and AWS is asked instead. None without a queue.",
	},
	targetUp: {
		name: "plumbline_target_up", kind: gauge, labels: []string{"target", "account_id", "region"}, scope: perTarget, most: 1, since: one,
		help: "1 if the latest pass could see the target; none before the first. The account is empty until AWS has told it.",
	},
	targetLastSuccess: {
		name: "plumbline_target_last_success_timestamp_seconds", kind: gauge, labels: []string{"target", "account_id", "region"}, scope: perTarget, most: 1, since: one,
		help: "When a pass last saw the target.",
	},
	passes: {
		name: "plumbline_passes_total", kind: counter, labels: []string{"target"}, scope: perTarget, most: 1, since: one,
		help: "Passes over the target, those that could not see it included.",
	},
	sweepFindings: {
		name: "plumbline_sweep_findings_total", kind: counter, labels: []string{"target"}, scope: perTarget, most: 1, since: one,
		help: "Pipelines that a sweep found to differ though version and record said that they were in sync; should stay 0.",
	},
	passDuration: {
		name: "plumbline_pass_duration_seconds", kind: history, labels: []string{"target"}, buckets: passBuckets, scope: perTarget, most: 1, since: one,
		help: "How long passes took, the changes that they made included.",
	},
	lastPass: {
		name: "plumbline_last_pass_timestamp_seconds", kind: gauge, labels: []string{"target"}, scope: perTarget, most: 1, since: one,
		help: "When the latest pass ended, whatever it found.",
	},
	awsLimiterWait: {
		name: "plumbline_aws_limiter_wait_seconds", kind: history, labels: ofTarget, buckets: waitBuckets, scope: perTarget, most: 1, since: one,
		help: "How long requests to AWS waited for their turn, so that the account's allowance is not used up.",
	},

	awsRequests: {
		name: "plumbline_aws_requests_total", kind: counter, labels: add(ofTarget, "operation"), scope: perOperation, most: 1, since: one,
		help: "Requests sent to AWS; each retry is one.",
	},
	awsRequestFailures: {
		name: "plumbline_aws_request_failures_total", kind: counter, labels: add(ofTarget, "operation", "reason"), scope: perOperation, most: len(classes), since: one,
		help: "Requests sent to AWS that failed, also those whose retry went well.",
	},

	sourceUp: {
		name: "plumbline_source_up", kind: gauge, labels: ofSource, scope: perSource, most: 1, since: one,
		help: "1 if the source could be read when it was last looked at.",
	},
	sourceLastSuccess: {
		name: "plumbline_source_last_success_timestamp_seconds", kind: gauge, labels: ofSource, scope: perSource, most: 1, since: one,
		help: "When the source was last seen to hold what is wanted.",
	},
	sourceHeadCommit: {
		name: "plumbline_source_head_commit_timestamp_seconds", kind: gauge, labels: ofSource, scope: perSource, most: 1, since: one,
		help: "When the commit that is wanted was made, by its committer's clock; none for a folder.",
	},
	sourceChecks: {
		name: "plumbline_source_checks_total", kind: counter, labels: ofSource, scope: perSource, most: 1, since: one,
		help: "Looks at the source, those that failed included.",
	},
	sourceCheckFailures: {
		name: "plumbline_source_check_failures_total", kind: counter, labels: add(ofSource, "reason"), scope: perSource, most: len(kinds), since: one,
		help: "Looks at the source that failed.",
	},
	sourceFiles: {
		name: "plumbline_source_files", kind: gauge, labels: add(ofSource, "state"), scope: perSource, most: 2, since: one,
		help: "Files of the source, by whether they can be used. One that a single target cannot use is invalid.",
	},

	applyDuration: {
		name: "plumbline_apply_duration_seconds", kind: history, labels: []string{"operation"}, buckets: applyBuckets, scope: perProcess, most: len(verbs), since: one,
		help: "How long attempted changes took, from the first check to the record.",
	},
	commitToApply: {
		name: "plumbline_commit_to_apply_seconds", kind: history, buckets: commitBuckets, scope: perProcess, most: 1, since: one,
		help: "From the commit to when it was applied to a pipeline, by the committer's clock and ours.",
	},
	awsRequestDuration: {
		name: "plumbline_aws_request_duration_seconds", kind: history, labels: []string{"operation"}, buckets: callBuckets, scope: perProcess, most: operations, since: one,
		help: "How long requests to AWS took, without the wait for their turn.",
	},
	configLastReloadSuccess: {
		name: "plumbline_config_last_reload_success", kind: gauge, scope: perProcess, most: 1, since: one,
		help: "1 if the configuration that was last read is the one in force, 0 if it was refused and the one before is.",
	},
	configLastReload: {
		name: "plumbline_config_last_reload_success_timestamp_seconds", kind: gauge, scope: perProcess, most: 1, since: one,
		help: "When the configuration in force was read.",
	},
	buildInfo: {
		name: "plumbline_build_info", kind: gauge, labels: []string{"version", "revision", "goversion"}, scope: perProcess, most: 1, since: one,
		help: "1, with what this build is.",
	},
}

// add returns a new list, so that no two rows share one.
func add(labels []string, more ...string) []string {
	return append(labels[:len(labels):len(labels)], more...)
}
