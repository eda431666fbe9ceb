package emulator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome says how actions end, and how long they take. They are matched by the first five fields, of which empty ones
// match anything. An approval waits for a person unless an outcome names it by its Action.
type Outcome struct {
	Account  string `json:"account"`
	Region   string `json:"region"`
	Pipeline string `json:"pipeline"`
	Stage    string `json:"stage"`
	Action   string `json:"action"`
	Rule     string `json:"rule"` // not empty: of rules of this name in conditions of stages, or of all ("*"), in place of actions

	Status  string `json:"status"`  // Succeeded, Failed, or Running: until Complete says otherwise. May be empty with a Cause
	Code    string `json:"code"`    // error code of a failure; empty: JobFailed (API: FailureType)
	Message string `json:"message"` // error message of a failure
	Summary string `json:"summary"` // the action's summary
	URL     string `json:"url"`     // where its provider shows the run; empty: the console, as far as it has a page

	// Cause is a failure with the service's own code and words, in place of Status, Code and Message:
	//
	//	missing-bucket   the bucket of the action's configuration does not exist; matches only actions that name one
	//	missing-project  the CodeBuild project does not exist; matches only actions that name one
	Cause string `json:"cause"`

	// Duration is how long the action takes, or with a MaxDuration the least of it: each run takes something between
	// the two. 0: Options.ActionDuration. Of no use to Complete.
	Duration    time.Duration `json:"-"`
	MaxDuration time.Duration `json:"-"`

	// Variables are what the action puts out under its namespace when it succeeds.
	Variables map[string]string `json:"variables"`
}

// cause is a failure that users know, in the words of the service.
type cause struct {
	code    string
	keys    []string // of the configuration that may name what is missing
	message func(region, account, name string) string
}

var causes = map[string]cause{
	"missing-bucket": {"ConfigurationError", []string{"S3Bucket", "BucketName"}, func(_, _, bucket string) string {
		return "No bucket with the name " + bucket + " was found"
	}},
	"missing-project": {"JobFailed", []string{"ProjectName"}, func(region, account, project string) string {
		return fmt.Sprintf("Error calling startBuild: Project cannot be found: arn:%s:codebuild:%s:%s:project/%s (Service: AWSCodeBuild; Status Code: 400; Error Code: ResourceNotFoundException; Request ID: %s; Proxy: null)",
			partition(region), region, account, project, newUUID())
	}},
}

// named is the value of the first key that the configuration has.
func (c cause) named(configuration map[string]string) string {
	for _, k := range c.keys {
		if configuration[k] != "" {
			return configuration[k]
		}
	}
	return ""
}

// covers reports whether the outcome is for this run of an action or rule.
func (o Outcome) covers(sc scope, pipeline string, r *run) bool {
	if !matches(o.Account, sc.account) || !matches(o.Region, sc.region) || !matches(o.Pipeline, pipeline) || !matches(o.Stage, r.stage.name) {
		return false
	}
	if o.Cause != "" && causes[o.Cause].named(r.configuration()) == "" {
		return false
	}
	if r.rule != nil {
		return o.Rule == "*" || o.Rule == r.rule.Name
	}
	return o.Rule == "" && matches(o.Action, r.action.Name)
}

func (o Outcome) check(statuses ...string) error {
	if o.Cause != "" {
		if _, ok := causes[o.Cause]; !ok {
			return fmt.Errorf("outcome cause %q is none of missing-bucket, missing-project", o.Cause)
		}
		if o.Status != "" && o.Status != failed {
			return fmt.Errorf("an outcome of cause %s cannot be %s", o.Cause, o.Status)
		}
	} else if !slices.Contains(statuses, o.Status) {
		return fmt.Errorf("outcome status %q is none of %s", o.Status, strings.Join(statuses, ", "))
	}
	if o.Duration < 0 || o.MaxDuration != 0 && o.MaxDuration < o.Duration {
		return fmt.Errorf("outcome durations from %s to %s are none", o.Duration, o.MaxDuration)
	}
	return nil
}

// result is what the outcome says of a run: its cause comes before its own code and message.
func (o Outcome) result(sc scope, r *run) result {
	res := result{summary: o.Summary}
	if o.status() != failed {
		return res
	}
	res.code, res.message = o.Code, o.Message
	if c, ok := causes[o.Cause]; ok {
		region := sc.region
		if r.action != nil && r.action.Region != "" {
			region = r.action.Region
		}
		res.code, res.message = c.code, c.message(region, sc.account, c.named(r.configuration()))
	}
	if res.code == "" {
		res.code = "JobFailed"
	}
	return res
}

func (o Outcome) status() string {
	if o.Cause != "" {
		return failed
	}
	return o.Status
}

// duration is how long a run takes.
func (s *Server) duration(o Outcome) time.Duration {
	switch {
	case o.MaxDuration > o.Duration:
		return o.Duration + time.Duration(s.random.Int64N(int64(o.MaxDuration-o.Duration)+1))
	case o.Duration > 0:
		return o.Duration
	}
	return s.opts.ActionDuration
}

// Script decides how actions that start from now on end; of several outcomes for an action the last one counts.
// Without any, actions succeed. It refuses an unknown status or cause, and an outcome beyond the first 1,000.
func (s *Server) Script(o Outcome) error {
	if err := o.check(succeeded, failed, "Running"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.presentAll() // what has started by now keeps the outcome it had
	// One that covers the same would never count again.
	s.outcomes = slices.DeleteFunc(s.outcomes, func(old Outcome) bool { return old.scope() == o.scope() })
	if len(s.outcomes) == maxRules {
		return fmt.Errorf("more than %d outcomes", maxRules)
	}
	s.outcomes = append(s.outcomes, o)
	return nil
}

// scope is what the outcome covers.
func (o Outcome) scope() [7]string {
	return [7]string{o.Account, o.Region, o.Pipeline, o.Stage, o.Action, o.Rule, o.Cause}
}

func (s *Server) outcome(sc scope, pipeline string, r *run) Outcome {
	for _, o := range slices.Backward(s.outcomes) {
		if o.covers(sc, pipeline, r) {
			return o
		}
	}
	return Outcome{Status: succeeded}
}

// Complete tells matching actions whose outcome was Running how they ended, and returns how many there were. An approval
// that waits is among them if o names it by its Action.
func (s *Server) Complete(o Outcome) (int, error) {
	if err := o.check(succeeded, failed); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.presentAll()
	n := 0
	for _, st := range s.stores {
		for _, h := range st.histories {
			n += h.complete(o, s.now())
		}
	}
	s.presentAll()
	return n, nil
}

func (h *history) complete(o Outcome, now time.Time) (n int) {
	for _, e := range h.active {
		if e.waiting {
			continue
		}
		for _, r := range e.stage().jobs() {
			waits := r.open || r.token != "" && o.Action != ""
			if waits && r.status == inProgress && o.covers(h.scope, h.pipeline, r) {
				r.resolve(o, now)
				n++
			}
		}
	}
	return n
}
