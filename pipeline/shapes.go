package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

const (
	howToExport = "to get the document of a live pipeline: aws codepipeline get-pipeline --name NAME > FILE"
	otherJSON   = "move other JSON files out of the folder that plumbline reads"
)

// wrongShape is JSON that is something else than a pipeline in the API's form.
type wrongShape struct {
	is      func(n *Node) bool
	message string
	hint    string
}

// has returns a test for an object that has all the members.
func hasAll(names ...string) func(*Node) bool {
	return func(n *Node) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return n.Get(name) == nil })
	}
}

func hasAny(names ...string) func(*Node) bool {
	return func(n *Node) bool {
		return slices.ContainsFunc(names, func(name string) bool { return n.Get(name) != nil })
	}
}

// wrongShapes is searched from the top; the first that fits is told.
var wrongShapes = []wrongShape{
	{hasAny("AWSTemplateFormatVersion", "Resources"), "this is a CloudFormation template, not a pipeline document", "let CloudFormation keep its own pipelines, or deploy it; " + howToExport},
	{isResource, "this is a resource of a CloudFormation template, not a pipeline document", "the API's names begin with a small letter: name, roleArn, stages; deploy the template; " + howToExport},
	{hasResource, "these are resources of a CloudFormation template, not a pipeline document", "let CloudFormation keep its own pipelines, or deploy it; " + howToExport},
	{hasAny("Stages", "RoleArn", "ArtifactStore", "Pipeline"), "the names are written as CloudFormation writes them (Name, Stages)", "the API's names begin with a small letter: name, roleArn, stages; " + howToExport},
	{func(n *Node) bool { return hasAny("Name")(n) && !hasAny("name", "stages")(n) }, "the names are written as CloudFormation writes them (Name, Stages)", "the API's names begin with a small letter: name, roleArn, stages; " + howToExport},
	{func(n *Node) bool {
		return hasAny("role_arn", "artifact_store", "aws_codepipeline")(n) || n.Get("resource", "aws_codepipeline") != nil
	}, "this is Terraform's form of a pipeline", "the API's names are roleArn, artifactStore, stages; apply the configuration; " + howToExport},
	{hasAll("pipelineName", "stageStates"), "this is the output of get-pipeline-state, which says how the pipeline runs, not what it is", howToExport},
	{hasAny("pipelines"), "this is the output of list-pipelines, which names pipelines but does not hold them", howToExport},
	{hasAny("pipelineExecutionSummaries", "pipelineExecution", "pipelineExecutionId", "actionExecutionDetails", "ruleExecutionDetails", "stageStates"), "this is output about executions, not a pipeline document", howToExport},
	{hasAny("actionTypes", "actionType", "ruleTypes"), "this is a list of action types, not a pipeline", howToExport},
	{hasAll("category", "provider"), "this is a custom action type, not a pipeline", "plumbline manages pipelines only; move the file elsewhere"},
	{hasAny("webhooks", "webhook"), "this is a webhook, not a pipeline", "plumbline manages pipelines only; move the file elsewhere"},
	{func(n *Node) bool {
		return hasAny("__type")(n) && hasAny("message", "Message")(n) || n.Get("Error", "Code") != nil
	}, "this is an error that AWS answered, not a pipeline", "run the command again, and look at what it prints; " + howToExport},
	{hasAll("detail-type", "detail"), "this is an event, not a pipeline", otherJSON},
	{hasAll("Version", "Statement"), "this is an IAM policy, not a pipeline", otherJSON},
	{hasAny("actionTypeId"), "this is one action, not a whole pipeline", "put it into the actions of a stage of a pipeline document"},
	{hasAny("actions"), "this is one stage, not a whole pipeline", "put it into the stages of a pipeline document"},
	{hasAny("gitConfiguration"), "this is one trigger, not a whole pipeline", "put it into the triggers of a pipeline document"},
}

func isResource(n *Node) bool {
	return strings.HasPrefix(n.Str("Type"), "AWS::") && n.Get("Properties") != nil
}

func hasResource(n *Node) bool {
	return slices.ContainsFunc(n.Members, func(m Member) bool { return isResource(m.Value) })
}

// wrongDocument recognises JSON that is no pipeline in the API's form, so that it gets one answer instead of a
// shower of unknown and missing members. n is the document, or what stands in its member pipeline.
func (t *tree) wrongDocument(found *findings, n *Node) bool {
	message, hint := shapeOf(n, t.root)
	if message == "" {
		return false
	}
	found.list, found.more = nil, 0 // nothing else that was found in it matters
	found.report(n, "PL-D02", hint, "%s", message)
	return true
}

func shapeOf(n, root *Node) (message, hint string) {
	known, others := 0, 0
	for _, m := range n.Members {
		switch field := Declaration.Field(m.Name); {
		case field == nil:
			others++
		case !field.Server: // a version is not yet a sign of a pipeline, nor of something else
			known++
		}
	}
	switch {
	case isSkeleton(n):
		return "this is the skeleton that aws --generate-cli-skeleton prints: its texts are empty", "fill in name, roleArn and all that you need, and remove the rest; or start from a live pipeline; " + howToExport
	case n != root && n.Get("pipeline") != nil && n.Get("stages") == nil:
		return "pipeline stands in pipeline", `write {"pipeline": {"name": …, "stages": …}}`
	case known > 0 && (n.Get("stages") != nil || known >= others) && (n.Get("actions") == nil || n.Get("stages") != nil):
		return "", ""
	}
	for _, shape := range wrongShapes {
		if shape.is(n) {
			return shape.message, shape.hint
		}
	}
	if n != root { // it stands in pipeline, so it is meant to be one
		return "", ""
	}
	return "this is no pipeline document: it has neither pipeline nor name, roleArn and stages", otherJSON
}

// isSkeleton recognises the skeleton of create-pipeline and of update-pipeline.
func isSkeleton(n *Node) bool {
	name, role := n.Get("name"), n.Get("roleArn")
	return name != nil && role != nil && name.Kind == String && role.Kind == String && name.Text == "" && role.Text == ""
}

// notAnObject explains a document that is a list or a single value.
func (t *tree) notAnObject(found *findings) {
	hint := `begin with { "name": …`
	if items := t.root.Items; len(items) > 0 {
		switch first := items[0]; {
		case first.Get("stages") != nil || first.Get("pipeline") != nil:
			hint = "write each pipeline into a file of its own"
		case first.Get("actions") != nil:
			hint = `these are the stages of a pipeline; write {"name": …, "roleArn": …, "artifactStore": …, "stages": [ … ]}`
		case first.Get("actionTypeId") != nil:
			hint = "these are the actions of a stage; a document holds a whole pipeline"
		}
	}
	found.list, found.more = nil, 0
	found.report(t.root, "PL-D01", hint, "a pipeline document is an object; this is %s", article(t.root.Kind))
}

// hintBeside says what to do about a member that stands beside pipeline.
func hintBeside(name string) string {
	switch name {
	case "ResponseMetadata", "$metadata", "ResultMetadata":
		return "an SDK adds it to what AWS answers; remove it"
	case "name", "roleArn", "artifactStore", "artifactStores", "stages", "triggers", "variables", "pipelineType", "executionMode":
		return fmt.Sprintf("move %s into pipeline", name)
	}
	return didYouMean(name, []string{"pipeline", "tags", "metadata"})
}
