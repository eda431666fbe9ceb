package pipeline

import (
	"slices"
	"strings"
)

// ActionType is one row of the table in providers.go: an action type, or a rule type of stage conditions, that is
// the same in every account.
type ActionType struct {
	Category, Owner, Provider string

	In, Out Bounds
	Keys    []Key // of `configuration`

	Variables    []string // what later actions may read of it
	AnyVariables bool     // what they may read is decided elsewhere: in a build, a function, a template, outputVariables

	Fields  []string // members of an action that mean something for this type only
	V2      bool     // only pipelines of type V2 may have it
	Absent  []string // prefixes of the regions where AWS documents that it does not exist
	Grows   bool     // AWS adds keys to it: one that is not here may be newer than this table
	Retired string   // since when AWS does not run it any more

	rule   string                  // raised by values that do not fit; "" for CP-P21
	check  func(*checker, subject) // what no row can say
	listed bool                    // the target itself lists it
}

// Bounds is how many artifacts an action takes or makes.
type Bounds struct{ Least, Most int }

// Key is one key of an action's configuration.
type Key struct {
	Name     string
	Required bool // AWS refuses the action without it
	Secret   bool // AWS shows Mask instead of its value
	Form     Form
	Enum     []string // the only values; nil for any
	Min, Max int      // of a WholeNumber; Max also of the parts of a CommaList
	Default  string   // what AWS assumes where the key is absent, "" for nothing
	Needed   *When    // documented as required, though AWS may only say so when the action runs
	Only     *When    // means nothing otherwise
}

// When is a condition on another key of the same configuration.
type When struct {
	Key string
	In  []string // the values with which it holds; nil: it holds where the key is absent
}

// Form is how a value is to be read.
type Form byte

// The forms. The zero Form is any text.
const (
	JSONText      Form = iota + 1 // any text; where it is JSON, white space in it means nothing
	JSONObject                    // JSON, as all of the next
	JSONList                      //
	Environment                   // the variables of a CodeBuild action
	ArtifactPath                  // Artifact::path
	RoleARN                       // of IAM
	TopicARN                      // of SNS
	ConnectionARN                 // of CodeConnections, under either of its names
	Repository                    // owner/name
	WholeNumber                   // within Min and Max
	Decimal                       // any number
	Share                         // a count, or a percentage such as 25%
	CommaList                     // parts of Enum, no space between
	Strategy                      // of a Lambda deployment
	AbsolutePath                  //
	Cron                          // of the rule DeploymentWindow
	TimeZone                      //
)

// Mask is what the service shows instead of a secret value.
const Mask = "****"

// isJSON reports whether white space in the value means nothing.
func (k *Key) isJSON() bool { return k.Form >= JSONText && k.Form <= Environment }

// Key returns the row of a configuration key, or nil.
func (t *ActionType) Key(name string) *Key {
	for i := range t.Keys {
		if t.Keys[i].Name == name {
			return &t.Keys[i]
		}
	}
	return nil
}

// Secrets returns the configuration keys whose values AWS masks.
func (t *ActionType) Secrets() []string {
	var names []string
	for i := range t.Keys {
		if t.Keys[i].Secret {
			names = append(names, t.Keys[i].Name)
		}
	}
	return names
}

// absentFrom reports whether AWS documents that the type does not exist in a region.
func (t *ActionType) absentFrom(region string) bool {
	return region != "" && slices.ContainsFunc(t.Absent, func(prefix string) bool { return strings.HasPrefix(region, prefix) })
}

// typeID is what tells action types apart. AWS's own are all of version 1, so the table has no version.
type typeID struct{ category, owner, provider string }

var actionTypeIndex = func() map[typeID]*ActionType {
	index := map[typeID]*ActionType{}
	for i := range actionTypes {
		t := &actionTypes[i]
		index[typeID{t.Category, t.Owner, t.Provider}] = t
	}
	return index
}()

// TypeOf returns the row of an action's type, or nil for a type that is not in the table.
func TypeOf(action *Node) *ActionType {
	id := action.Get("actionTypeId")
	return actionTypeIndex[typeID{id.Str("category"), id.Str("owner"), id.Str("provider")}]
}
