package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// JSONSchema returns the table of keys as a JSON Schema (draft 2020-12) of plumbline.yaml, for editors. It knows names,
// types, choices and bounds; what else a value must be, `plumbline config check` tells.
func JSONSchema() []byte {
	schema := (&Config{}).keys().schema("")
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "plumbline.yaml, the configuration of Plumbline"
	schema["allOf"] = []form{exactlyOneOf("source", "sources"), exactlyOneOf("regions", "targets")}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(schema); err != nil {
		panic(err) // it is made of texts, numbers, lists and maps alone
	}
	return b.Bytes()
}

// exactlyOneOf is an object with exactly one of two members.
func exactlyOneOf(one, other string) form {
	return form{"oneOf": []form{{"required": []string{one}}, {"required": []string{other}}}}
}

// schemaOf describes the value of a key, with the key's sentence.
func schemaOf(path string, v value) form {
	f := form{}
	switch v := v.(type) {
	case lazy:
		return schemaOf(path, v())
	case keys:
		f = v.schema(path)
	case scalar:
		f = v.schema()
	case list:
		f["type"], f["minItems"], f["items"] = "array", 1, schemaOf(path+"[]", v.item())
	case dict:
		f["type"], f["additionalProperties"] = []string{"object", "null"}, schemaOf(path+"{}", v.item("CP-F01"))
	case either:
		f["anyOf"] = []form{v.short.schema(), v.long.schema(path)}
	}
	if doc := docs[docPath(path)]; doc != "" && !strings.HasSuffix(path, "[]") {
		f["description"] = doc
	}
	return f
}

// schema describes a mapping. One whose every line is a comment is null to YAML, and empty to us.
func (k keys) schema(path string) form {
	properties := form{}
	for _, name := range slices.Sorted(maps.Keys(k)) {
		properties[name] = schemaOf(join(path, name), k[name])
	}
	f := form{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
	if needed := needed[docPath(path)]; needed != nil {
		f["type"], f["required"] = "object", needed
	}
	return f
}

func (s scalar) schema() form {
	f := form{"type": map[kind]string{textKind: "string", numberKind: "number", boolKind: "boolean", durationKind: "string"}[s.kind]}
	maps.Copy(f, s.form)
	return f
}

// needed are the keys without which a mapping is refused whatever else there is.
var needed = map[string][]string{
	"targets":            {"region"},
	"targets.assumeRole": {"arn"},
	"sources.webhook":    {"secretFile"},
}

// docPath returns the path under which a key is described: source is one of sources, and a target's policy is the
// common one.
func docPath(path string) string {
	path = strings.NewReplacer("[]", "", "{}", ".*").Replace(path)
	if path == "source" || strings.HasPrefix(path, "source.") {
		path = "sources" + strings.TrimPrefix(path, "source")
	}
	if strings.HasPrefix(path, "targets.policy.") {
		path = strings.TrimPrefix(path, "targets.")
	}
	return path
}

// docs has a sentence for each key.
var docs = map[string]string{
	"name":                                  "Name of this instance; it goes into the tag that says whose a pipeline is. prune wants one that somebody chose.",
	"sources":                               "Where pipeline files come from: git repositories or folders.",
	"sources.name":                          "Name of the source; without one, host and path of the repository, or the last part of a local path.",
	"sources.url":                           "A git repository: https://…, ssh://…, git@host:path, or a path on this machine.",
	"sources.dir":                           "A folder, in place of a repository.",
	"sources.branch":                        "The branch to follow; without branch, tag and commit, the one that HEAD points to.",
	"sources.tag":                           "The tag to follow.",
	"sources.commit":                        "The commit to stay at, all 40 digits of it.",
	"sources.path":                          "The folder to read, inside the source.",
	"sources.layout":                        "everywhere: each file goes to each target; by-target: the first folder names the target, or is all.",
	"sources.interval":                      "Time between two looks at the source, a second at least.",
	"sources.timeout":                       "How long a server may take to say what it has; a fetch may take ten times as long.",
	"sources.auth":                          "How to log in to the repository, in one way. Secrets stand in files.",
	"sources.auth.tokenFile":                "https: file with an access token.",
	"sources.auth.username":                 "https: user of passwordFile.",
	"sources.auth.passwordFile":             "https: file with the password, or with a token whose host wants a certain user.",
	"sources.auth.sshKeyFile":               "ssh: file with the private key.",
	"sources.auth.sshKeyPassphraseFile":     "ssh: file with the passphrase of the key.",
	"sources.auth.knownHostsFile":           "ssh: the host keys to trust, as ~/.ssh/known_hosts has them; there is no ssh without.",
	"sources.auth.githubApp":                "https: a GitHub App and where it is installed.",
	"sources.auth.githubApp.appId":          "Id of the App.",
	"sources.auth.githubApp.installationId": "Id of the installation.",
	"sources.auth.githubApp.privateKeyFile": "File with the private key of the App.",
	"sources.auth.githubApp.baseURL":        "Address of GitHub's API; can be left out on github.com.",
	"sources.auth.caFile":                   "https: authorities to trust in addition to the system's.",
	"sources.auth.proxy":                    "https: address of a proxy; without it, what HTTPS_PROXY says.",
	"sources.webhook":                       "Lets the git host tell of a push, at /webhooks/NAME on web.webhookListen.",
	"sources.webhook.secretFile":            "File with the secret that signs webhooks.",
	"sources.targets":                       "The only targets that this source may touch, as patterns of their names; without it, all.",
	"regions":                               "Targets that need no more than a Region: default credentials, named by the Region.",
	"targets":                               "Accounts and Regions in which pipelines are kept.",
	"targets.name":                          "Name of the target; without one, its Region. Not all.",
	"targets.region":                        "AWS Region, such as eu-west-1.",
	"targets.account":                       "Account id of 12 digits, in quotes; checked against the credentials before anything is written.",
	"targets.profile":                       "Profile of the AWS configuration files.",
	"targets.assumeRole":                    "Role under which the target is reached.",
	"targets.assumeRole.arn":                "ARN of the role.",
	"targets.assumeRole.externalId":         "External id that the role asks for.",
	"targets.vars":                          "Values of ${var.NAME} in pipeline files.",
	"targets.vars.*":                        "Value of the variable, a text.",
	"targets.policy":                        "What is different in this target from the common policy.",
	"policy":                                "What may be done to pipelines.",
	"policy.mode":                           "What the daemon does: detect reports, apply writes what changed in git, enforce undoes drift as well.",
	"policy.readOnly":                       "true: no command writes.",
	"policy.adopt":                          "When a live pipeline of a wanted name without our tags becomes ours: never, if it is identical, or always.",
	"policy.prune":                          "Whether pipelines of ours that no file wants any more are deleted.",
	"policy.prune.enabled":                  "Whether they are.",
	"policy.prune.grace":                    "How long a file must have been gone before its pipeline is deleted.",
	"policy.limits":                         "What one pass may do to a target; of what would be more, all of the kind is held.",
	"policy.limits.creates":                 "Most creates of a pass.",
	"policy.limits.updates":                 "Most updates of a pass; this or updatesPercent, whichever is more.",
	"policy.limits.updatesPercent":          "Most updates of a pass, in percent of our pipelines there.",
	"policy.limits.deletes":                 "Most deletes of a pass and of 24 hours; this or deletesPercent, whichever is less.",
	"policy.limits.deletesPercent":          "Most deletes, in percent of our pipelines there; one at least.",
	"policy.whenBusy":                       "What an update that would cancel a running execution does: wait for it, or apply all the same.",
	"policy.maxWait":                        "How long to wait for a running execution at most; without it, until it ends.",
	"policy.ignore":                         "Differences that people accept; a write keeps what is live there.",
	"policy.ignore.pipelines":               "Names of pipelines, as patterns.",
	"policy.ignore.paths":                   "Paths of the differences, as plan -o json shows them; patterns too.",
	"policy.overrides":                      "What is different for some pipelines; of several that match, the last one counts.",
	"policy.overrides.pipelines":            "Names of pipelines, as patterns.",
	"policy.overrides.mode":                 "The mode for these pipelines.",
	"policy.overrides.adopt":                "adopt for these pipelines.",
	"policy.overrides.whenBusy":             "whenBusy for these pipelines.",
	"policy.overrides.maxWait":              "maxWait for these pipelines.",
	"policy.allow":                          "Fences: what pipeline files may name; * is any text, ? one character. Without a list, anything.",
	"policy.allow.roles":                    "ARNs of roles.",
	"policy.allow.buckets":                  "Names of buckets for artifacts.",
	"policy.allow.keys":                     "KMS keys.",
	"policy.allow.connections":              "ARNs of connections.",
	"policy.allow.actionTypes":              "Action types, as category/owner/provider: Build/AWS/CodeBuild.",
	"policy.allow.regions":                  "Regions of actions and artifact stores.",
	"policy.rules":                          "Severities of rules, by their ids.",
	"policy.rules.*":                        "What a finding of the rule means: error holds the pipeline.",
	"drift":                                 "How often live pipelines are looked at.",
	"drift.interval":                        "Time between two passes of a target, a second at least.",
	"drift.fullInterval":                    "Time between two passes that read every pipeline.",
	"executions":                            "How executions are followed.",
	"executions.interval":                   "Least time between two looks at one pipeline.",
	"executions.queueURL":                   "Queue of SQS that a rule of EventBridge fills with the events of executions.",
	"aws":                                   "Bounds of the calls to each account and Region.",
	"aws.requestsPerSecond":                 "Most calls in a second.",
	"aws.burst":                             "Calls that may come at once after a rest.",
	"aws.writesPerSecond":                   "Most calls in a second that change something.",
	"aws.timeout":                           "How long one call may take.",
	"aws.endpointURL":                       "Address to call in place of AWS's own.",
	"web":                                   "What the daemon listens on.",
	"web.listen":                            "Address of health, status, metrics and refresh: 127.0.0.1:8080, or :8080 for every interface.",
	"web.webhookListen":                     "Address of webhooks, with nothing else on it; empty for none.",
	"web.tokenFile":                         "File with the token with which people and programs may act: sync now, suspend, resume, revert. Without it the pages are read-only.",
	"web.userHeader":                        "Header in which a proxy in front of the pages names who is signed in, such as X-Forwarded-User; who is named may act.",
	"web.trustedProxies":                    "Addresses of the proxies whose web.userHeader is believed.",
	"state":                                 "What is kept on disk.",
	"state.dir":                             "Folder of the journal and of the mirrors of remote repositories.",
	"log":                                   "What the daemon writes about its work.",
	"log.level":                             "The least that is worth a line.",
	"log.format":                            "json for machines, text for people.",
}
