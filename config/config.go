// Package config reads plumbline.yaml.
//
// A configuration is read in three layers, each over the one before: the defaults ([Default]), the file, and
// PLUMBLINE_… environment variables for keys that hold one value (policy.readOnly is PLUMBLINE_POLICY_READ_ONLY).
// Nothing is guessed and nothing is ignored: a key that this version does not act on is a fault, and so is an
// environment variable that looks like ours and is not. All faults come at once, each with its place.
//
// [Load] returns values that are ready for use: paths are absolute, every source has a name, every target has its
// policy. It remembers where each of them was set: [Show] tells, and so does [Warnings] of what is legal and probably
// a mistake. No secret is ever part of a configuration, only the names of files that hold one.
//
// Only the program's wiring imports this package; each other package has a Config struct of its own, so that none of
// them knows how a configuration is written.
package config

import (
	"net/url"
	"time"
)

// Config is a whole configuration, valid and complete.
type Config struct {
	Name       string   // this instance; it goes into the ownership tag of each pipeline it writes
	Sources    []Source // at least one, names unique
	Targets    []Target // at least one, names unique
	Policy     Policy
	Drift      Drift
	Executions Executions
	AWS        AWS
	Web        Web
	State      State
	Log        Log

	origins origins // of a configuration that was not loaded: empty
}

// Target is one account and region.
type Target struct {
	Name       string            // unique, never "all"; the region's name where none is given
	Region     string            //
	Account    string            // 12 digits, checked before any write; "" means whatever the credentials give
	Profile    string            // of the AWS configuration files; "" means the default credentials
	AssumeRole AssumeRole        // zero means none
	Vars       map[string]string // ${var.NAME} in files
	Policy     TargetPolicy      // in force here: the target's own keys over the common ones
}

// AssumeRole is the role under which a target is reached.
type AssumeRole struct {
	ARN        string // "" means no role
	ExternalID string // "" means none
}

// TargetPolicy is the part of the policy that a target may set for itself.
type TargetPolicy struct {
	Mode     Mode
	ReadOnly bool // no command writes here
	Prune    Prune
	Adopt    Adopt
	Limits   Limits
	Allow    Allow
	WhenBusy WhenBusy
	MaxWait  time.Duration // how long WhenBusyWait waits before the update is made all the same; 0 for ever
}

// Prune says whether pipelines of ours that no file wants any more are deleted.
type Prune struct {
	Enabled bool          // only with a name that somebody chose for this instance
	Grace   time.Duration // how long a pipeline must have been unwanted
}

// Limits bounds what one pass does to a target; a pass that would do more of a kind holds all of that kind. Zero allows nothing, and
// percentages are of the target's pipelines that are ours.
type Limits struct {
	Creates        int
	Updates        int // this many or UpdatesPercent, whichever is more
	UpdatesPercent int
	Deletes        int // this many or DeletesPercent (which is one at least), whichever is less; within 24 hours as well
	DeletesPercent int
}

// Allow fences in what pipeline files may name. A list without items is no fence; in an item * stands for any text and ?
// for one character.
type Allow struct {
	Roles       []string
	Buckets     []string
	Keys        []string
	Connections []string
	ActionTypes []string // category/owner/provider
	Regions     []string
}

// Policy says what may be done, and which findings matter.
type Policy struct {
	TargetPolicy // for every target that does not say otherwise

	Rules     map[string]Severity // by rule id; a rule that is absent keeps its own severity
	Ignore    []Ignore            // differences that people accept
	Overrides []Override          // for some pipelines; of several that match, the last one wins
}

// Ignore accepts differences: they count for nothing, and a write leaves the live value there.
type Ignore struct {
	Pipelines []string // patterns of names; none means all
	Paths     []string // patterns of paths as plans show them, such as /stages/Source/actions/Code/configuration/BranchName
}

// Override changes what may be done to some pipelines. What it leaves empty stays as the target has it.
type Override struct {
	Pipelines []string // patterns of names
	Mode      Mode
	Adopt     Adopt
	WhenBusy  WhenBusy
	MaxWait   time.Duration // 0 leaves the target's
}

// WhenBusy says what becomes of an update that would cancel a running execution.
type WhenBusy string

// The ways to treat busy pipelines.
const (
	WhenBusyWait  WhenBusy = "wait"  // until the pipeline is idle
	WhenBusyApply WhenBusy = "apply" // the update is made, and the execution cancelled
)

// Mode says how far the passes of the daemon and the demo go. The commands plan and apply work alike in every mode.
type Mode string

// The modes.
const (
	ModeDetect  Mode = "detect"  // report only
	ModeApply   Mode = "apply"   // write what changed in git where nobody else changed the pipeline
	ModeEnforce Mode = "enforce" // git wins: changes made elsewhere are undone too
)

// Adopt says what happens to a live pipeline that has a file's name and not our tags.
type Adopt string

// The ways to adopt.
const (
	AdoptNever     Adopt = "never"
	AdoptIdentical Adopt = "identical" // only if it already is what the file says
	AdoptAlways    Adopt = "always"    // and then overwrite it
)

// Severity is what a rule's finding means.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error" // holds the pipeline
	SeverityWarning Severity = "warning"
	SeverityNote    Severity = "note"
	SeverityOff     Severity = "off" // not reported
)

// Drift says how often live pipelines are looked at.
type Drift struct {
	Interval     time.Duration // between two passes of a target
	FullInterval time.Duration // between two passes that read every pipeline, also those that nobody seems to have moved
}

// Executions says how executions are followed.
type Executions struct {
	Interval time.Duration // the least between two looks at one pipeline
	QueueURL string        // of the queue that events come from; "" means none
}

// Queue returns where the queue is, as its URL tells: the region is "" of an address that is not AWS's.
func (e Executions) Queue() (region, account, name string) {
	u, err := url.Parse(e.QueueURL)
	if err != nil {
		return "", "", ""
	}
	region, account, name, _ = queueIn(u)
	return region, account, name
}

// AWS bounds the calls to each account and region.
type AWS struct {
	RequestsPerSecond float64       // of all calls
	Burst             int           // calls that may come at once after a rest
	WritesPerSecond   float64       // of those calls, the ones that change something
	Timeout           time.Duration // of one call
	EndpointURL       string        // in place of AWS's own address; "" means AWS
}

// Web is what the daemon listens on.
type Web struct {
	Listen        string // host:port of pages, API, metrics and health; no host means every interface, port 0 any port
	WebhookListen string // host:port of webhooks, with nothing else on it; "" means none

	TokenFile      string   // absolute path of the token with which people may act on the pages; "" means none
	UserHeader     string   // in which a proxy in front of the pages names who is signed in; "" means none
	TrustedProxies []string // the addresses, as CIDR, of proxies whose UserHeader is believed
}

// State is what is kept on disk between runs.
type State struct {
	Dir string // absolute path; need not exist
}

// Log says what the daemon writes about its work.
type Log struct {
	Level  LogLevel
	Format LogFormat
}

// LogLevel is the least that is worth a line.
type LogLevel string

// The levels.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogFormat says for whom lines are written.
type LogFormat string

// The formats.
const (
	LogJSON LogFormat = "json" // an object a line, for machines
	LogText LogFormat = "text" // for people
)

// Default returns what holds where nobody says otherwise. It has no source and no target, so it is no valid
// configuration by itself; commands that get those from flags start with it.
func Default() *Config {
	return &Config{
		Name: "plumbline",
		Policy: Policy{TargetPolicy: TargetPolicy{
			Mode:  ModeDetect,
			Prune: Prune{Grace: 10 * time.Minute},
			Adopt: AdoptIdentical, WhenBusy: WhenBusyWait,
			Limits: Limits{Creates: 20, Updates: 10, UpdatesPercent: 30, Deletes: 5, DeletesPercent: 10},
		}},
		Drift:      Drift{Interval: time.Minute, FullInterval: time.Hour},
		Executions: Executions{Interval: 30 * time.Second},
		AWS:        AWS{RequestsPerSecond: 3, Burst: 10, WritesPerSecond: 1, Timeout: 20 * time.Second},
		Web:        Web{Listen: "127.0.0.1:8080"},
		State:      State{Dir: "/var/lib/plumbline"},
		Log:        Log{Level: LogInfo, Format: LogJSON},
	}
}
