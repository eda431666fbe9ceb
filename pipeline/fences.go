package pipeline

import (
	"regexp"
	"slices"
	"strings"
)

// Fences bound what documents may name in a target, whoever may push to the repository. A list that is empty is no
// fence. Its items are whole values in which * stands for any text, / and : included, and ? for one character, as in
// IAM policies.
type Fences struct {
	Roles       []string // of the pipeline, its actions and rules, and wherever a configuration has a role's ARN
	Buckets     []string // artifact stores, and the S3 buckets of actions
	Keys        []string // KMS keys, as the document writes them
	Connections []string // ARNs
	ActionTypes []string // category/owner/provider, such as Build/AWS/CodeBuild; of a condition's rule Rule/AWS/LambdaInvoke
	Regions     []string // of actions, rules and artifact stores
}

// The configuration keys of actions that name what a fence is about. Roles are found by their form.
var fencedKeys = map[string]string{
	"S3Bucket": "PL-F02", "BucketName": "PL-F02", "KMSEncryptionKeyARN": "PL-F03", "ConnectionArn": "PL-F04",
}

// fence is one kind of value with its words.
type fence struct {
	key      string // in the configuration
	noun     string
	patterns []string
}

// fences checks that a declaration names nothing outside the target's fences.
func (c *checker) fences(declaration *Node) {
	a := c.target.Allow
	if a == nil || len(a.Roles)+len(a.Buckets)+len(a.Keys)+len(a.Connections)+len(a.ActionTypes)+len(a.Regions) == 0 {
		return
	}
	fences := map[string]fence{
		"PL-F01": {"roles", "role", a.Roles}, "PL-F02": {"buckets", "bucket", a.Buckets}, "PL-F03": {"keys", "key", a.Keys},
		"PL-F04": {"connections", "connection", a.Connections}, "PL-F05": {"actionTypes", "action type", a.ActionTypes},
		"PL-F06": {"regions", "region", a.Regions},
	}
	inside := func(at placed, rule, value string) {
		f := fences[rule]
		if len(f.patterns) == 0 || value == "" || slices.ContainsFunc(f.patterns, func(p string) bool { return wildcard(p, value) }) {
			return
		}
		hint := "use one of: " + shorten(strings.Join(f.patterns, ", "), 300) + "; or ask for it in policy.allow." + f.key
		if strings.Contains(value, "#{") {
			c.report(at, rule, hint, "the %s %q is only known when the pipeline runs, and the target's configuration allows certain ones only", f.noun, shorten(value, 120))
			return
		}
		c.report(at, rule, hint, "the %s %q is not one that the target's configuration allows", f.noun, shorten(value, 120))
	}
	w := fenceWalk{c, inside}
	w.value(declaration.Get("roleArn"), "PL-F01")
	w.store(declaration.Get("artifactStore"))
	if stores := declaration.Get("artifactStores"); stores != nil {
		for _, m := range stores.Members {
			inside(m, "PL-F06", m.Name)
			w.store(m.Value)
		}
	}
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			w.action(action, "actionTypeId")
		}
		for _, position := range []string{"beforeEntry", "onSuccess", "onFailure"} {
			for _, condition := range stage.Get(position).List("conditions") {
				for _, rule := range condition.List("rules") {
					w.action(rule, "ruleTypeId")
				}
			}
		}
	}
}

// fenceWalk finds the values that fences are about.
type fenceWalk struct {
	*checker
	inside func(at placed, rule, value string)
}

// value checks a string. One that is not known without a target is not judged.
func (w fenceWalk) value(n *Node, rule string) {
	if n != nil && n.Kind == String && !w.opaque[n] {
		w.inside(n, rule, n.Text)
	}
}

func (w fenceWalk) store(store *Node) {
	w.value(store.Get("location"), "PL-F02")
	w.value(store.Get("encryptionKey", "id"), "PL-F03")
}

// roleInText finds the ARNs of roles, also within JSON in a string.
var roleInText = regexp.MustCompile(`arn:[\w-]+:iam::[0-9]*:role/[\w+=,.@/-]+`)

// action checks an action, or a rule of a condition; id is the member that has its type.
func (w fenceWalk) action(action *Node, id string) {
	if typeID := action.Get(id); typeID != nil {
		owner := typeID.Str("owner")
		if owner == "" {
			owner = "AWS" // which is what a rule without one has
		}
		w.inside(typeID, "PL-F05", typeID.Str("category")+"/"+owner+"/"+typeID.Str("provider"))
	}
	w.value(action.Get("roleArn"), "PL-F01")
	w.value(action.Get("region"), "PL-F06")
	configuration := action.Get("configuration")
	if configuration == nil {
		return
	}
	for _, m := range configuration.Members {
		if m.Value.Kind != String || w.opaque[m.Value] {
			continue
		}
		if rule := fencedKeys[m.Name]; rule != "" {
			w.value(m.Value, rule)
		}
		w.roles(m)
	}
}

// roles checks every role that a configuration value names. A value that is to be a role and is not one yet, because
// it has a variable of the pipeline in it, is outside.
func (w fenceWalk) roles(m Member) {
	text := m.Value.Text
	if strings.Contains(text, "#{") && (strings.HasSuffix(m.Name, "RoleArn") || strings.Contains(text, ":iam:")) {
		w.inside(m.Value, "PL-F01", text)
		return
	}
	if strings.Contains(text, `\`) {
		if inner, err := Decode([]byte(text)); err == nil {
			// JSON in the string may write a role with escapes, which the text does not show.
			inner.Walk(func(n *Node) {
				texts := []string{n.Text}
				for _, member := range n.Members {
					texts = append(texts, member.Name)
				}
				for _, role := range roleInText.FindAllString(strings.Join(texts, " "), -1) {
					w.inside(m.Value, "PL-F01", role)
				}
			})
			return
		}
	}
	for _, at := range roleInText.FindAllStringIndex(text, -1) {
		w.inside(w.within(m.Value, at[0]), "PL-F01", text[at[0]:at[1]])
	}
}

// wildcard reports whether a whole text matches a pattern, in which * is any text and ? one character.
func wildcard(pattern, text string) bool {
	p, t := 0, 0
	star, resume := -1, 0 // where the last * stands, and what it has taken so far
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
