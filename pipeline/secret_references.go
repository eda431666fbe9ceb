package pipeline

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The services that a reference can name, as CloudFormation's dynamic references call them.
const (
	SecretsManager = "secretsmanager"
	ParameterStore = "ssm-secure"
)

// Reference names a secret that a file uses instead of holding it. Its syntax is that of CloudFormation's dynamic
// references (AWS CloudFormation User Guide, "Get a secret or secret value from Secrets Manager", "Get a secure string
// value from Systems Manager Parameter Store"). It is never the secret itself, so it may be shown and stored.
type Reference struct {
	Service string // SecretsManager or ParameterStore
	ID      string // the name or the ARN of a secret; the name of a parameter
	Key     string // the member of the JSON object that the secret is; "" for its whole text
	Stage   string // the staging label of the version; "" for AWSCURRENT
	Version string // the id of the version, or the number of a parameter's; "" for the one that is current
}

// String returns the reference as it is written, without the parts that can be left out.
func (r Reference) String() string {
	text := "{{resolve:" + r.Service + ":" + r.ID
	switch {
	case r.Service == ParameterStore && r.Version != "":
		text += ":" + r.Version
	case r.Key+r.Stage+r.Version != "":
		text += strings.TrimRight(":SecretString:"+r.Key+":"+r.Stage+":"+r.Version, ":")
	}
	return text + "}}"
}

// Whole returns the reference to all of the secret: what is asked for, whichever member of it is used.
func (r Reference) Whole() Reference {
	r.Key = ""
	return r
}

// What names the secret for people.
func (r Reference) What() string {
	if r.Service == ParameterStore {
		return fmt.Sprintf("the parameter %q", r.ID)
	}
	return fmt.Sprintf("the secret %q", r.ID)
}

// Region returns the region of the ARN that the reference has; "" for a name.
func (r Reference) Region() string {
	if parts := strings.Split(r.ID, ":"); len(parts) == secretARNParts {
		return parts[3]
	}
	return ""
}

const (
	referenceStart = "{{resolve:"
	referenceEnd   = "}}"

	secretARNParts = 7 // arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME

	referenceForm = "{{resolve:secretsmanager:NAME:SecretString:JSON-KEY}} or {{resolve:ssm-secure:NAME}}"
)

var (
	// referenceAttempt is what may be meant as a reference.
	referenceAttempt = regexp.MustCompile(`(?i)\{\{\s*resolve\s*:`)
	// ourReference is one that only we would resolve where CloudFormation does not read the text.
	ourReference = regexp.MustCompile(`(?i)\{\{\s*resolve\s*:\s*(?:secretsmanager|ssm-secure)\s*:`)

	secretName    = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
	secretVersion = regexp.MustCompile(`^[A-Za-z0-9-]{32,64}$`)
	parameterName = regexp.MustCompile(`^[A-Za-z0-9_.\-/]+$`)
	wholeNumber   = regexp.MustCompile(`^[1-9][0-9]{0,17}$`)
)

// referenceFault is why a text is no reference.
type referenceFault struct{ message, hint string }

func faulty(hint, format string, args ...any) *referenceFault {
	return &referenceFault{fmt.Sprintf(format, args...), hint}
}

// parseReference reads a text that begins and ends as a reference does.
func parseReference(text string) (Reference, *referenceFault) {
	inner := strings.TrimSuffix(strings.TrimPrefix(text, referenceStart), referenceEnd)
	if i := strings.IndexAny(inner, "{} \t\n"); i >= 0 {
		return Reference{}, faulty("write "+referenceForm, "the reference has a %q in it", inner[i])
	}
	service, rest, _ := strings.Cut(inner, ":")
	switch service {
	case SecretsManager:
		return parseSecret(strings.Split(rest, ":"))
	case ParameterStore:
		return parseParameter(strings.Split(rest, ":"))
	case "ssm":
		return Reference{}, faulty("keep it as a SecureString and write {{resolve:ssm-secure:NAME}}", "the service ssm is for parameters in plain text, which are no secrets")
	}
	return Reference{}, faulty(didYouMean(service, []string{SecretsManager, ParameterStore}), "the reference is to the service %q", shorten(service, 60))
}

// parseSecret reads secret-id:SecretString:json-key:version-stage:version-id, of which only the first is needed. An
// ARN has colons of its own.
func parseSecret(parts []string) (Reference, *referenceFault) {
	ref := Reference{Service: SecretsManager, ID: parts[0]}
	if parts[0] == "arn" {
		if len(parts) < secretARNParts || parts[2] != "secretsmanager" || parts[5] != "secret" || !isRegionLike(parts[3]) || !isAccount(parts[4]) || !secretName.MatchString(parts[6]) {
			return ref, faulty("write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME", "the ARN in the reference is not that of a secret")
		}
		ref.ID = strings.Join(parts[:secretARNParts], ":")
		parts = parts[secretARNParts-1:]
	} else if !secretName.MatchString(ref.ID) {
		return ref, faulty("names have letters, digits and /_+=.@-", "%q is not the name of a secret", shorten(ref.ID, 60))
	}
	if len(parts) > 5 {
		return ref, faulty("after the secret come SecretString, the JSON key, the version stage and the version id; none of them has a colon", "the reference has %d parts too many", len(parts)-5)
	}
	parts = append(parts, make([]string, 5-len(parts))...)
	kind := parts[1]
	ref.Key, ref.Stage, ref.Version = parts[2], parts[3], parts[4]
	switch {
	case kind != "" && kind != "SecretString":
		return ref, faulty("write SecretString before the JSON key", "the second part of the reference is %q, and can only be SecretString", shorten(kind, 60))
	case ref.Stage != "" && ref.Version != "":
		return ref, faulty("keep one of them", "the reference has both a version stage and a version id")
	case len(ref.Key) > 512 || len(ref.Stage) > 256:
		return ref, faulty("", "a part of the reference is too long")
	case ref.Version != "" && !secretVersion.MatchString(ref.Version):
		return ref, faulty("an id has 32 to 64 letters, digits and hyphens; a stage, such as AWSPREVIOUS, stands before it", "%q is not the id of a version", shorten(ref.Version, 80))
	}
	return ref, nil
}

// parseParameter reads parameter-name:version, of which the version can be left out.
func parseParameter(parts []string) (Reference, *referenceFault) {
	ref := Reference{Service: ParameterStore, ID: parts[0]}
	switch {
	case parts[0] == "arn":
		return ref, faulty("write its name, such as /prod/token", "ssm-secure takes the name of a parameter, not an ARN")
	case len(ref.ID) > 1011 || !parameterName.MatchString(ref.ID):
		return ref, faulty("names have letters, digits and /_.-", "%q is not the name of a parameter", shorten(ref.ID, 60))
	case len(parts) > 2:
		return ref, faulty("write {{resolve:ssm-secure:NAME:VERSION}}", "the reference has %d parts too many", len(parts)-2)
	case len(parts) == 2 && !wholeNumber.MatchString(parts[1]):
		return ref, faulty("leave it out for the latest version", "the version of a parameter is a number, not %q", shorten(parts[1], 60))
	case len(parts) == 2:
		ref.Version = parts[1]
	}
	return ref, nil
}

func isRegionLike(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func isAccount(s string) bool { return len(s) == 12 && isDigits(s) }

// MaxReferences is how many different secrets a pipeline may refer to: what was applied of them has to fit into a tag.
const MaxReferences = 20

// referenceIn returns the reference that a value is.
func referenceIn(value *Node) (Reference, bool) {
	if value == nil || value.Kind != String || !strings.HasPrefix(value.Text, referenceStart) || !strings.HasSuffix(value.Text, referenceEnd) {
		return Reference{}, false
	}
	ref, fault := parseReference(value.Text)
	return ref, fault == nil
}

// eachReference calls do with each configuration value that is a reference. In a document without errors those are
// all in keys that the service hides (PL-R03).
func eachReference(declaration *Node, do func(config *Node, key string, ref Reference)) {
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			config := action.Get("configuration")
			if config == nil {
				continue
			}
			for _, m := range config.Members {
				if ref, ok := referenceIn(m.Value); ok {
					do(config, m.Name, ref)
				}
			}
		}
	}
}

// References returns the secrets that a declaration refers to, each once, in document order.
func References(declaration *Node) (refs []Reference) {
	eachReference(declaration, func(_ *Node, _ string, ref Reference) {
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	})
	return refs
}

// Refers reports whether an action has a reference for a configuration key.
func Refers(action *Node, key string) bool {
	_, ok := referenceIn(action.Get("configuration", key))
	return ok
}

// Resolve returns a copy of a declaration with values in place of references. Without one it returns the
// declaration itself. The copy is for one request: whoever has it keeps it from being stored, logged or shown.
func Resolve(declaration *Node, values map[Reference]string) *Node {
	if len(References(declaration)) == 0 {
		return declaration
	}
	resolved := declaration.Clone()
	eachReference(resolved, func(config *Node, key string, ref Reference) { config.Set(key, NewString(values[ref])) })
	return resolved
}

// secretReferences checks the references of a document, and that they stand only where the service hides their values.
func (c *checker) secretReferences(declaration *Node) {
	settled := map[*Node]bool{}
	distinct := map[Reference]bool{}
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			row, config := c.rowOf(action), action.Get("configuration")
			if row == nil || config == nil {
				continue
			}
			for _, key := range row.Secrets() {
				value := config.Get(key)
				if value == nil || value.Kind != String {
					continue
				}
				settled[value] = true
				if ref, ok := c.secretReference(key, value); ok && !distinct[ref] {
					distinct[ref] = true
					if len(distinct) == MaxReferences+1 {
						c.report(value, "PL-R05", "keep several values in one secret, as JSON", "the pipeline refers to more than %d different secrets", MaxReferences)
					}
				}
			}
			theirs(row, config, settled)
		}
	}
	c.root.Walk(func(n *Node) {
		if n.Kind == String && !settled[n] && ourReference.MatchString(n.Text) {
			c.report(n, "PL-R03", fmt.Sprintf("a secret may stand for %s, or where the action itself fetches it", strings.Join(SecretKeys(), ", ")),
				"a secret cannot be filled in here: AWS would show it to everybody who may read the pipeline")
		}
	})
}

// theirs settles the parameters of templates, in which CloudFormation resolves references.
func theirs(row *ActionType, config *Node, settled map[*Node]bool) {
	for _, key := range []string{"ParameterOverrides", "Parameters"} {
		if value := config.Get(key); value != nil && strings.HasPrefix(row.Provider, "CloudFormation") && !referenceAttempt.MatchString(shorten(value.Text, 15)) {
			settled[value] = true
		}
	}
}

// secretReference checks one value that the service hides, and returns the reference that it is, if it is a good one.
func (c *checker) secretReference(key string, value *Node) (Reference, bool) {
	found := referenceAttempt.FindStringIndex(value.Text)
	if found == nil || c.opaque[value] {
		return Reference{}, false
	}
	end := strings.Index(value.Text, referenceEnd)
	switch {
	case found[0] > 0 || end >= 0 && end+len(referenceEnd) < len(value.Text):
		c.report(value, "PL-R02", "keep all of it in the secret", "%s is a reference with other text around it", key)
		return Reference{}, false
	case !strings.HasPrefix(value.Text, referenceStart):
		c.report(value, "PL-R01", "write "+referenceForm, "a reference begins with %s, in small letters and without spaces", referenceStart)
		return Reference{}, false
	case end < 0:
		c.report(value, "PL-R01", "add }}", "the reference does not end with }}")
		return Reference{}, false
	}
	ref, fault := parseReference(value.Text)
	if fault != nil {
		c.report(value, "PL-R01", fault.hint, "%s", fault.message)
		return ref, false
	}
	if region := ref.Region(); region != "" && c.target.known() && region != c.target.Region {
		c.report(value, "PL-R04", "replicate the secret to "+c.target.Region+" and write its name instead, or ${target.region} in the ARN",
			"the secret is in %s, and this target reads secrets of %s", region, c.target.Region)
		return ref, false
	}
	return ref, true
}
