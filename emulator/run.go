package emulator

import (
	"maps"
	"regexp"
	"slices"
	"time"
)

const (
	maxRuns         = 5000 // of an execution that are remembered
	maxConcurrent   = 5    // actions at once of an execution in PARALLEL mode (General Reference: quotas)
	approvalTimeout = 7 * 24 * time.Hour
)

// run is one run of an action, or of a rule of a condition.
type run struct {
	stage  *stageRun
	action *action // nil: it is of a rule
	rule   *rule

	number  int // counted over all of the pipeline, in order of start
	id      string
	status  string // empty: not started yet
	started time.Time
	ends    time.Time // of an approval: when it gives up
	open    bool      // runs until Complete
	token   string    // of an approval that waits, or has waited, for a person
	by      string    // ARN of who decided about it
	planned Outcome
	result  result
	inputs  []artifact
	outputs []artifact
}

func (r *run) name() string {
	if r.rule != nil {
		return r.rule.Name
	}
	return r.action.Name
}

func (r *run) configuration() map[string]string {
	if r.rule != nil {
		return r.rule.Configuration
	}
	return r.action.Configuration
}

func (r *run) isApproval() bool {
	return r.action != nil && r.action.ActionTypeID.Category == "Approval"
}

// changed is when the status became what it is.
func (r *run) changed() time.Time {
	if r.status == inProgress {
		return r.started
	}
	return r.ends
}

// again is the run that follows this one when its stage is retried.
func (r *run) again() *run { return &run{stage: r.stage, action: r.action, rule: r.rule} }

// begin starts a run.
func (h *history) begin(r *run, at time.Time) {
	e := r.stage.of
	h.ran++
	r.number, r.id, r.started = h.ran, newUUID(), at
	r.planned = h.s.outcome(h.scope, h.pipeline, r)
	r.ends = at.Add(h.s.duration(r.planned))
	r.open = r.planned.Status == "Running"
	if r.isApproval() && !h.s.opts.AutoApprove && (r.planned.Action == "" || r.open) {
		r.await(at)
	}
	r.inputs = e.located(r.inputNames())
	r.result.id, r.result.url = h.external(r)
	e.runs = append(e.runs, r)
	if len(e.runs) > maxRuns {
		e.runs = slices.Delete(e.runs, 0, 1)
	}
	if r.action != nil && e.mode != parallel {
		h.lastRun[[2]string{r.stage.name, r.name()}] = r
	}
	h.setRun(r, inProgress, at)
}

// await makes an approval wait for a person, for as long as its timeoutInMinutes says.
func (r *run) await(at time.Time) {
	r.open, r.token = false, newUUID()
	timeout := approvalTimeout
	if r.action.TimeoutInMinutes > 0 {
		timeout = time.Duration(r.action.TimeoutInMinutes) * time.Minute
	}
	r.ends = at.Add(timeout)
	r.planned = Outcome{Status: failed, Message: "The approval was not answered in time"} // AWS's words are not known
}

// resolve makes a run end now.
func (r *run) resolve(o Outcome, now time.Time) {
	r.open, r.ends, r.planned = false, now, o
}

// conclude gives a run the end that was planned for it.
func (h *history) conclude(r *run) {
	e := r.stage.of
	res := r.planned.result(h.scope, r)
	res.id, res.url = r.result.id, r.result.url
	r.result = res
	if r.planned.status() == succeeded && r.action != nil {
		h.deliver(e, r)
	}
	h.setRun(r, r.planned.status(), r.ends)
}

// deliver keeps what an action made: its artifacts, its variables, the revision it fetched.
func (h *history) deliver(e *execution, r *run) {
	for _, out := range r.action.OutputArtifacts {
		e.artifacts[out.Name] = h.place(e, out.Name)
		r.outputs = append(r.outputs, e.artifacts[out.Name])
	}
	if r.action.Namespace != "" {
		e.outputs[r.action.Namespace] = maps.Clone(r.planned.Variables)
	}
	if rev, ok := e.revisions[r.action.Name]; ok && r.action.ActionTypeID.Category == "Source" {
		rev.fetched = true
		if rev.created.IsZero() {
			rev.created = r.ends
		}
		e.revisions[r.action.Name] = rev
		if e.mode != parallel {
			h.revisions[[2]string{r.stage.name, r.action.Name}] = rev
		}
	}
}

// place is where an artifact lies: the service cuts the names of pipeline and artifact and adds seven characters.
func (h *history) place(e *execution, name string) artifact {
	bucket := e.decl.ArtifactStores[h.scope.region].Location
	if e.decl.ArtifactStore != nil {
		bucket = e.decl.ArtifactStore.Location
	}
	return artifact{name, bucket, h.pipeline[:min(20, len(h.pipeline))] + "/" + name[:min(10, len(name))] + "/" + newUUID()[:7]}
}

func (r *run) inputNames() []string {
	var in []struct{ Name string }
	if r.action != nil {
		in = r.action.InputArtifacts
	} else {
		in = r.rule.InputArtifacts
	}
	var names []string
	for _, a := range in {
		names = append(names, a.Name)
	}
	return names
}

// located is the artifacts of these names that have been made.
func (e *execution) located(names []string) (found []artifact) {
	for _, name := range names {
		if a, ok := e.artifacts[name]; ok {
			found = append(found, a)
		}
	}
	return found
}

// external is how the provider of an action calls a run, and where it shows it. The forms of the console's addresses
// are those of 2024.
func (h *history) external(r *run) (id, url string) {
	console := "https://" + h.scope.region + ".console.aws.amazon.com/"
	project := r.configuration()["ProjectName"]
	switch {
	case r.planned.Cause != "": // nothing has started that would have an id
	case r.token != "":
		id = r.token
	case r.action != nil && r.action.ActionTypeID.Category == "Source":
		rev := r.stage.of.revisions[r.name()]
		id, url = rev.id, rev.url
	case project != "":
		id = project + ":" + newUUID()
		url = console + "codesuite/codebuild/projects/" + project + "/build/" + id + "/log?region=" + h.scope.region
	default:
		id = newUUID()
	}
	if r.planned.URL != "" {
		url = r.planned.URL
	}
	return id, url
}

var variableReference = regexp.MustCompile(`#\{([^.{}]+)\.([^{}]+)\}`)

// resolved is a configuration with references to variables replaced by their values, as far as they have any.
func (e *execution) resolved(configuration map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range configuration {
		out[k] = variableReference.ReplaceAllStringFunc(v, func(ref string) string {
			parts := variableReference.FindStringSubmatch(ref)
			if value, ok := e.variable(parts[1], parts[2]); ok {
				return value
			}
			return ref
		})
	}
	return out
}

func (e *execution) variable(namespace, name string) (value string, ok bool) {
	switch namespace {
	case "variables":
		value, ok = e.variables[name]
	case "codepipeline":
		return e.id, name == "PipelineExecutionId"
	default:
		value, ok = e.outputs[namespace][name]
	}
	return value, ok
}
