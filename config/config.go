// Package config reads plumbline.yaml.
//
// A configuration is read in three layers, each over the one before: the defaults ([Default]), the file, and
// PLUMBLINE_… environment variables for keys that hold one value (policy.readOnly is PLUMBLINE_POLICY_READ_ONLY).
// Nothing is guessed and nothing is ignored: a key that this version does not act on is a fault, and so is an
// environment variable that looks like ours and is not. The one exception is policy.mode (see [Mode]). All faults
// come at once, each with its place.
//
// [Load] returns values that are ready for use: paths are absolute, every source has a name, every target has its
// policy. Only the program's wiring imports this package; each other package has a Config struct of its own, so that
// none of them knows how a configuration is written.
package config

import "time"

// Config is a whole configuration, valid and complete.
type Config struct {
	Name    string   // this instance; it goes into the ownership tag of each pipeline it writes
	Sources []Source // at least one, names unique
	Targets []Target // at least one, names unique
	Policy  Policy
	AWS     AWS
	State   State
}

// Source says where desired pipelines come from: a local git repository (URL) or a folder (Dir), never both.
type Source struct {
	Name    string   // unique; without a name of its own, the last part of its path
	URL     string   // absolute path of a local repository, "" for a folder
	Dir     string   // absolute path of a folder, "" for a repository
	Branch  string   // at most one of Branch, Tag and Commit; none means the repository's HEAD
	Tag     string   //
	Commit  string   // 40 lower-case hexadecimal digits
	Path    string   // folder inside the source, slash-separated; "." is all of it
	Layout  Layout   //
	Targets []string // globs over target names: the only targets this source may touch; empty means all
}

// Layout says what the folders of a source mean.
type Layout string

// The layouts.
const (
	LayoutEverywhere Layout = "everywhere" // every file goes to every target, folders mean nothing
	LayoutByTarget   Layout = "by-target"  // the first folder is a target's name, or "all"
)

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
	Adopt    Adopt
}

// Policy says what may be done, and which findings matter.
type Policy struct {
	TargetPolicy // for every target that does not say otherwise

	Rules map[string]Severity // by rule id; a rule that is absent keeps its own severity
}

// Mode says how far the passes of the coming daemon go; those of the demo go as far already. The commands plan and
// apply work alike in every mode.
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

// AWS bounds the calls to each account and region.
type AWS struct {
	RequestsPerSecond float64       // of all calls
	Burst             int           // calls that may come at once after a rest
	WritesPerSecond   float64       // of those calls, the ones that change something
	Timeout           time.Duration // of one call
	EndpointURL       string        // in place of AWS's own address; "" means AWS
}

// State is what is kept on disk between runs.
type State struct {
	Dir string // absolute path; need not exist
}

// Default returns what holds where nobody says otherwise. It has no source and no target, so it is no valid
// configuration by itself; commands that get those from flags start with it.
func Default() *Config {
	return &Config{
		Name:   "plumbline",
		Policy: Policy{TargetPolicy: TargetPolicy{Mode: ModeDetect, Adopt: AdoptIdentical}},
		AWS:    AWS{RequestsPerSecond: 3, Burst: 10, WritesPerSecond: 1, Timeout: 20 * time.Second},
		State:  State{Dir: "/var/lib/plumbline"},
	}
}
