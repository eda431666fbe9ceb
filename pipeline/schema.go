package pipeline

import (
	"regexp"
	"regexp/syntax"
	"slices"
)

// Shape describes what the service accepts at one place of a declaration. The tree of shapes below
// [Declaration] is the one table that parsing, validation, canonical form and comparison read: a new field
// of the service is one new row.
//
// Its facts come from the API reference of AWS CodePipeline, version 2015-07-09 ("PipelineDeclaration" and
// the types it names).
type Shape struct {
	Kind     Kind
	Min      int                       // least length of a string (in characters), list or map; least value of a number
	Max      int                       // the greatest likewise; 0 for no bound
	Pattern  *regexp.Regexp            // of a string, over its whole length; nil for any
	Enum     []string                  // the only values of a string; nil for any
	Region   bool                      // the string names an AWS Region
	Fields   []Field                   // of an object
	Elem     *Shape                    // of a list's items, or of the values of an object with free names (a map)
	Names    *Shape                    // of a map's names
	Key      []string                  // the member that tells a list's items apart; two items must not share it
	KeyRule  string                    // the rule that two items with one key break
	AnyOrder bool                      // the order of a list's items means nothing to the service
	Hint     func(value string) string // the remedy for a string that does not fit; nil for none
	Length   string                    // the rule that a length out of bounds breaks; "" for CP-F02 and CP-F06

	alphabet *[128]bool // where Pattern says only which ASCII letters there are: those, for most names are checked by it
}

// Field is one member of an object.
type Field struct {
	Name     string
	Doc      string // its meaning, in a sentence; shown by editors
	Required bool
	V2       bool   // only pipelines of type V2 may have it
	Server   bool   // managed by the service: whatever is sent is ignored, so it never counts
	Default  string // the JSON text of the value that the service assumes when it is absent, "" for none
	Shape    *Shape
}

// Field returns the row of the member called name, or nil.
func (s *Shape) Field(name string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	return nil
}

// isMap reports whether the members of the object have free names.
func (s *Shape) isMap() bool { return s.Kind == Object && s.Elem != nil }

// Text is a string of some length.
func text(least, most int) *Shape { return &Shape{Kind: String, Min: least, Max: most} }

// matching is a string of some length that matches an expression over its whole length.
func matching(least, most int, expression string) *Shape {
	return &Shape{Kind: String, Min: least, Max: most, Pattern: regexp.MustCompile(`^(?:` + expression + `)$`), alphabet: alphabetOf(expression)}
}

// alphabetOf returns the letters of an expression such as [a-z0-9]+, and nil for any other.
func alphabetOf(expression string) *[128]bool {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil || re.Op != syntax.OpPlus || re.Sub[0].Op != syntax.OpCharClass {
		return nil
	}
	letters := [128]bool{}
	for pair := range slices.Chunk(re.Sub[0].Rune, 2) {
		for r := pair[0]; r <= pair[1]; r++ {
			if r >= 128 {
				return nil
			}
			letters[r] = true
		}
	}
	return &letters
}

// matches reports whether a text fits the pattern.
func (s *Shape) matches(text string) bool {
	if s.Pattern == nil || s.alphabet == nil {
		return s.Pattern == nil || s.Pattern.MatchString(text)
	}
	for i := range len(text) {
		if text[i] >= 128 || !s.alphabet[text[i]] {
			return false
		}
	}
	return text != ""
}

func enum(values ...string) *Shape { return &Shape{Kind: String, Enum: values} }

func integer(least, most int) *Shape { return &Shape{Kind: Number, Min: least, Max: most} }

func object(fields ...Field) *Shape { return &Shape{Kind: Object, Fields: fields} }

// list is a list whose order counts and whose items need no key.
func list(least, most int, elem *Shape) *Shape {
	return &Shape{Kind: Array, Min: least, Max: most, Elem: elem}
}

// set is a list whose order means nothing.
func set(least, most int, elem *Shape) *Shape {
	s := list(least, most, elem)
	s.AnyOrder = true
	return s
}

// keyed is a list whose items are told apart by a member.
func keyed(s *Shape, rule string, key ...string) *Shape {
	s.Key, s.KeyRule = key, rule
	return s
}

// globs is a filter of patterns that are let in and others that are kept out.
func globs(pattern *Shape) *Shape {
	return object(
		Field{Name: "includes", Doc: "Patterns of which one must match.", Shape: set(1, 8, pattern)},
		Field{Name: "excludes", Doc: "Patterns of which none may match; they win over includes.", Shape: set(1, 8, pattern)},
	)
}

func hinted(s *Shape, hint func(string) string) *Shape {
	s.Hint = hint
	return s
}

func measured(s *Shape, rule string) *Shape {
	s.Length = rule
	return s
}

const namePattern = `[A-Za-z0-9.@\-_]+`

var (
	anyName      = hinted(matching(1, 100, namePattern), hintName)
	artifactName = hinted(matching(1, 100, `[a-zA-Z0-9_\-]+`), hintArtifactName)
	regionName   = &Shape{Kind: String, Min: 4, Max: 30, Region: true}
	roleARN      = hinted(matching(1, 1024, `arn:aws(-[\w]+)*:iam::[0-9]{12}:role/.*`), hintRoleARN)
	provider     = matching(1, 35, `[0-9A-Za-z_-]+`)
	typeVersion  = matching(1, 9, `[0-9A-Za-z_-]+`)
	timeout      = integer(5, 86400)

	artifactStore = object(
		Field{Name: "type", Doc: "Kind of store; there is only S3.", Required: true, Shape: enum("S3")},
		Field{Name: "location", Doc: "Name of the bucket, without a folder, in the Region of the store.", Required: true, Shape: hinted(matching(3, 63, `[a-zA-Z0-9\-\.]+`), hintBucket)},
		Field{Name: "encryptionKey", Doc: "KMS key that encrypts the artifacts; without one, the default key of Amazon S3 does.", Shape: object(
			Field{Name: "id", Doc: "Id, ARN or alias ARN of the key; across accounts an id or ARN, as aliases are known only in their own account.", Required: true, Shape: text(1, 400)},
			Field{Name: "type", Doc: "Kind of key; there is only KMS.", Required: true, Shape: enum("KMS")},
		)},
	)

	variable = object(
		Field{Name: "name", Doc: "Name by which actions refer to the variable: #{variables.NAME}.", Required: true, Shape: matching(1, 128, `[A-Za-z0-9@\-_]+`)},
		Field{Name: "defaultValue", Doc: "Value of an execution that is started without one; a variable that has no default must be given one.", Shape: matching(1, 1000, `.*`)},
		Field{Name: "description", Doc: "What the variable is for; for people only.", Shape: matching(0, 200, `.*`)},
	)

	tagGlobs = globs(text(1, 255))
	gitGlobs = globs(matching(1, 255, `.*`)) // of branches and of paths

	trigger = object(
		Field{Name: "providerType", Doc: "Kind of source that starts the pipeline: a connection (GitHub, GitLab, Bitbucket).", Required: true, Shape: enum("CodeStarSourceConnection")},
		Field{Name: "gitConfiguration", Doc: "Which events of the repository start the pipeline.", Required: true, Shape: object(
			Field{Name: "sourceActionName", Doc: "Name of the source action whose repository is watched; a trigger takes the place of its own change detection.", Required: true, Shape: anyName},
			Field{Name: "push", Doc: "Filters of pushes; one that matches starts the pipeline.", Shape: set(1, 3, object(
				Field{Name: "tags", Doc: "Git tags whose push starts the pipeline; not together with branches.", Shape: tagGlobs},
				Field{Name: "branches", Doc: "Branches whose push starts the pipeline.", Shape: gitGlobs},
				Field{Name: "filePaths", Doc: "Files of which one must have changed; only the first 100 changed files are looked at.", Shape: gitGlobs},
			))},
			Field{Name: "pullRequest", Doc: "Filters of pull requests; one that matches starts the pipeline.", Shape: set(1, 3, object(
				Field{Name: "events", Doc: "What happens to the pull request; without the list, any of the three.", Shape: set(1, 3, enum("OPEN", "UPDATED", "CLOSED"))},
				Field{Name: "branches", Doc: "Branches into which the pull request is to be merged.", Shape: gitGlobs},
				Field{Name: "filePaths", Doc: "Files of which one must have changed; only the first 100 changed files are looked at.", Shape: gitGlobs},
			))},
		)},
	)

	// configuration holds an action's settings. The documented limit of a value is 1,000 characters; the
	// live service reports 50,000 (CP-F07), so the table has that and a rule warns from 1,000 on.
	configuration = &Shape{Kind: Object, Names: measured(text(1, 50), "CP-F08"), Elem: measured(text(1, 50_000), "CP-F07")}

	inputArtifacts = keyed(set(0, 0, object(Field{Name: "name", Doc: "Name of an artifact that an earlier action puts out.", Required: true, Shape: artifactName})), "CP-R06", "name")

	commands = list(1, 50, text(1, 1000))

	rule = object(
		Field{Name: "name", Doc: "Name of the rule, unique in its condition.", Required: true, Shape: anyName},
		Field{Name: "ruleTypeId", Doc: "What kind of rule it is.", Required: true, Shape: object(
			Field{Name: "category", Doc: "Always Rule.", Required: true, Shape: enum("Rule")},
			Field{Name: "owner", Doc: "Who made the rule type; there is only AWS.", Shape: enum("AWS"), Default: `"AWS"`},
			Field{Name: "provider", Doc: "The rule type, such as CloudWatchAlarm, LambdaInvoke or DeploymentWindow.", Required: true, Shape: provider},
			Field{Name: "version", Doc: "Version of the rule type, as a text.", Shape: typeVersion, Default: `"1"`},
		)},
		Field{Name: "configuration", Doc: "Settings of the rule; which there are depends on the provider.", Default: `{}`, Shape: &Shape{Kind: Object, Max: 200, Names: text(1, 50), Elem: text(1, 10_000)}},
		Field{Name: "commands", Doc: "Shell commands of a Commands rule, run one after the other.", Shape: commands},
		Field{Name: "inputArtifacts", Doc: "Artifacts that the rule reads.", Default: `[]`, Shape: inputArtifacts},
		Field{Name: "roleArn", Doc: "Role of the rule in place of the pipeline's.", Shape: roleARN},
		Field{Name: "region", Doc: "Region in which the rule is evaluated; without it, the pipeline's.", Shape: regionName},
		Field{Name: "timeoutInMinutes", Doc: "Minutes after which the rule fails.", Shape: timeout},
	)

	conditions = list(1, 1, object(
		Field{Name: "result", Doc: "What happens when the condition is not met.", Shape: enum("ROLLBACK", "FAIL", "RETRY", "SKIP")},
		Field{Name: "rules", Doc: "Rules that must all succeed for the condition to be met.", Shape: keyed(set(1, 5, rule), "CP-C12", "name")},
	))

	action = object(
		Field{Name: "name", Doc: "Name of the action, unique in its stage.", Required: true, Shape: anyName},
		Field{Name: "actionTypeId", Doc: "What kind of action it is.", Required: true, Shape: object(
			Field{Name: "category", Doc: "What the action is for; it bounds how many artifacts go in and out.", Required: true, Shape: enum("Source", "Build", "Deploy", "Test", "Invoke", "Approval", "Compute")},
			Field{Name: "owner", Doc: "Who made the action type: AWS, a partner (ThirdParty) or yourself (Custom).", Required: true, Shape: enum("AWS", "ThirdParty", "Custom")},
			Field{Name: "provider", Doc: "The service that does the work, such as CodeBuild, S3 or CloudFormation.", Required: true, Shape: provider},
			Field{Name: "version", Doc: `Version of the action type, as a text; "1" for nearly all.`, Required: true, Shape: typeVersion},
		)},
		Field{Name: "runOrder", Doc: "When the action runs in its stage: the lowest first, equal ones at the same time.", Default: `1`, Shape: integer(1, 999)},
		Field{Name: "configuration", Doc: "Settings of the action, all of them texts; which there are depends on the provider.", Default: `{}`, Shape: configuration},
		Field{Name: "commands", Doc: "Shell commands of a Commands action, run one after the other.", Default: `[]`, V2: true, Shape: commands},
		Field{Name: "outputArtifacts", Doc: "Artifacts that the action puts out.", Default: `[]`, Shape: keyed(set(0, 0, object(
			Field{Name: "name", Doc: "Name of the artifact, unique in the pipeline.", Required: true, Shape: artifactName},
			Field{Name: "files", Doc: "Files that a Commands action puts into the artifact.", Default: `[]`, Shape: set(1, 10, text(1, 128))},
		)), "", "name")},
		Field{Name: "inputArtifacts", Doc: "Artifacts that the action reads; earlier actions put them out.", Default: `[]`, Shape: inputArtifacts},
		Field{Name: "outputVariables", Doc: "Environment variables of a Commands action that later actions may refer to.", Default: `[]`, V2: true, Shape: set(1, 15, text(1, 128))},
		Field{Name: "environmentVariables", Doc: "Environment variables of the action.", Default: `[]`, V2: true, Shape: keyed(set(1, 10, object(
			Field{Name: "name", Doc: "Name of the environment variable.", Required: true, Shape: matching(1, 128, `[A-Za-z0-9_]+`)},
			Field{Name: "value", Doc: "Value of the variable; with SECRETS_MANAGER, the name or ARN of a secret.", Required: true, Shape: matching(1, 2000, `.*`)},
			Field{Name: "type", Doc: "Whether the value is the text itself or names a secret.", Default: `"PLAINTEXT"`, Shape: enum("PLAINTEXT", "SECRETS_MANAGER")},
		)), "PL-D05", "name")},
		Field{Name: "roleArn", Doc: "Role that does the action, assumed through the pipeline's role.", Shape: roleARN},
		Field{Name: "region", Doc: "Region in which the action runs; without it, the pipeline's. It needs an artifact store there.", Shape: regionName},
		Field{Name: "namespace", Doc: "Name under which later actions refer to the variables of this one: #{NAMESPACE.NAME}.", Shape: matching(1, 100, `[A-Za-z0-9@\-_]+`)},
		Field{Name: "timeoutInMinutes", Doc: "Minutes after which the action fails; of manual approvals.", Shape: timeout},
	)

	stage = object(
		Field{Name: "name", Doc: "Name of the stage, unique in the pipeline.", Required: true, Shape: anyName},
		Field{Name: "blockers", Doc: "Reserved by AWS for later; leave it out.", Default: `[]`, Shape: list(0, 0, object(
			Field{Name: "name", Doc: "Name of the blocker.", Required: true, Shape: text(1, 100)},
			Field{Name: "type", Doc: "Kind of blocker; there is only Schedule.", Required: true, Shape: enum("Schedule")},
		))},
		// How many actions a stage may have is CP-G02 and CP-G03.
		Field{Name: "actions", Doc: "Actions of the stage, run by runOrder.", Required: true, Shape: keyed(set(0, 0, action), "CP-A01", "name")},
		Field{Name: "onFailure", Doc: "What happens when the stage fails.", V2: true, Shape: object(
			Field{Name: "result", Doc: "Whether a failed stage is rolled back or retried.", Shape: enum("ROLLBACK", "FAIL", "RETRY", "SKIP")},
			Field{Name: "retryConfiguration", Doc: "How the stage is retried.", Shape: object(
				Field{Name: "retryMode", Doc: "Whether only failed actions run again or all of the stage.", Shape: enum("FAILED_ACTIONS", "ALL_ACTIONS")},
			)},
			Field{Name: "conditions", Doc: "Condition that is looked at when the stage fails.", Default: `[]`, Shape: conditions},
		)},
		Field{Name: "onSuccess", Doc: "Condition that is looked at when the stage has succeeded.", V2: true, Shape: object(
			Field{Name: "conditions", Doc: "The one condition.", Required: true, Shape: conditions},
		)},
		Field{Name: "beforeEntry", Doc: "Condition that is looked at before the stage begins.", V2: true, Shape: object(
			Field{Name: "conditions", Doc: "The one condition.", Required: true, Shape: conditions},
		)},
	)

	// Declaration is the shape of a whole pipeline, members in the order in which AWS prints them.
	Declaration = object(
		Field{Name: "name", Doc: "Name of the pipeline, unique in its account and Region; another name makes another pipeline.", Required: true, Shape: anyName},
		Field{Name: "roleArn", Doc: "Role with which the service runs the pipeline.", Required: true, Shape: roleARN},
		// Exactly one of the two stores is CP-S07.
		Field{Name: "artifactStore", Doc: "Bucket for artifacts of a pipeline that works in one Region; either this or artifactStores.", Shape: artifactStore},
		Field{Name: "artifactStores", Doc: "A bucket for each Region that the pipeline works in, by the name of the Region.", Shape: &Shape{Kind: Object, Min: 1, Names: regionName, Elem: artifactStore}},
		// How many stages a pipeline may have is CP-S01 and CP-S02.
		Field{Name: "stages", Doc: "Stages in the order in which they run; the first holds the source actions.", Required: true, Shape: keyed(list(0, 0, stage), "CP-G01", "name")},
		Field{Name: "version", Doc: "Counted by AWS; whatever a file says is left out.", Server: true, Shape: integer(1, 0)},
		Field{Name: "executionMode", Doc: "What happens when an execution starts while another runs; QUEUED and PARALLEL need type V2.", Default: `"SUPERSEDED"`, Shape: enum("SUPERSEDED", "QUEUED", "PARALLEL")},
		// Sources disagree on the default of pipelineType, so it has none here: where a file omits it the
		// live value counts.
		Field{Name: "pipelineType", Doc: "Type of the pipeline, which decides features and price; without it, the live pipeline keeps its type.", Shape: enum("V1", "V2")},
		Field{Name: "triggers", Doc: "Events of repositories that start the pipeline, one entry for each source action.", V2: true, Default: `[]`, Shape: keyed(set(0, 50, trigger), "CP-T02", "gitConfiguration", "sourceActionName")},
		Field{Name: "variables", Doc: "Variables that can be given a value when an execution starts.", V2: true, Default: `[]`, Shape: keyed(set(0, 50, variable), "CP-N06", "name")},
	)

	// tagList is the shape of `tags` beside `pipeline` in a file. The keys and the number of tags that are
	// left to people are judged by checkTags.
	tagList = keyed(set(0, 0, object(
		Field{Name: "key", Doc: "Key of the tag; plumbline: and aws: are taken.", Required: true, Shape: text(1, 128)},
		Field{Name: "value", Doc: "Value of the tag; may be empty.", Required: true, Shape: text(0, 256)},
	)), "PL-T02", "key")
)
