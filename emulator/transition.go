package emulator

import "time"

// transition is one change of state of an execution, a stage or an action, with all that an event of EventBridge tells of it.
type transition struct {
	scope     scope
	pipeline  string
	execution string // id
	version   int    // of the pipeline
	attempt   int    // of the execution, from 1; each retry of a stage is one more
	kind      string // pipeline, stage or action
	state     string // as events write it: STARTED, RESUMED, STOPPING, STOPPED, SUCCEEDED, FAILED, SUPERSEDED, CANCELED, ABANDONED
	at        time.Time
	started   time.Time // of what kind says
	trigger   trigger   // of the execution
	stop      string    // the comment of StopPipelineExecution; empty: none

	stage   string    // kinds stage and action
	retried time.Time // when the stage was retried last; zero: never

	action          string // kind action, as all that follows
	actionExecution string // id
	actionType      actionType
	region          string // of the action
	inputs, outputs []artifact
	result          result // states SUCCEEDED and FAILED
}

// artifact is where one artifact of an action lies.
type artifact struct{ name, bucket, key string }

// result is what the provider of an action says of a run.
type result struct {
	id, url, summary string
	code, message    string // of a failure; code is a FailureType of the API
}
