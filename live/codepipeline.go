package live

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/smithy-go/middleware"

	"github.com/plumbline/plumbline/pipeline"
)

var pipelineService = service{iam: "codepipeline"}

// How much of a reply is read: a page of a listing is well below 1 MiB in practice, and a tree takes about
// thirty times its text.
const (
	listLimit  = 16 << 20
	otherLimit = 4 << 20
)

// The operations of CodePipeline.
var (
	opListPipelines  = pipelineOperation("ListPipelines", "listing pipelines", (*codepipeline.Client).ListPipelines, isList, isUnchecked, isAny)
	opGetPipeline    = pipelineOperation("GetPipeline", "reading pipeline", (*codepipeline.Client).GetPipeline)
	opGetState       = pipelineOperation("GetPipelineState", "reading the state of pipeline", (*codepipeline.Client).GetPipelineState)
	opListExecutions = pipelineOperation("ListPipelineExecutions", "listing executions of pipeline", (*codepipeline.Client).ListPipelineExecutions, isList)
	opListActions    = pipelineOperation("ListActionExecutions", "listing runs of actions of pipeline", (*codepipeline.Client).ListActionExecutions, isList)
	opListRuleRuns   = pipelineOperation("ListRuleExecutions", "listing runs of rules of pipeline", (*codepipeline.Client).ListRuleExecutions, isList)
	opListTags       = pipelineOperation("ListTagsForResource", "reading tags of pipeline", (*codepipeline.Client).ListTagsForResource)
	opListTypes      = pipelineOperation("ListActionTypes", "listing action types", (*codepipeline.Client).ListActionTypes, isList, isUnchecked, isAny)
	opListRules      = pipelineOperation("ListRuleTypes", "listing rule types", (*codepipeline.Client).ListRuleTypes, isList, isUnchecked, isAny)
	opCreate         = pipelineOperation("CreatePipeline", "creating pipeline", (*codepipeline.Client).CreatePipeline, isWrite)
	opUpdate         = pipelineOperation("UpdatePipeline", "updating pipeline", (*codepipeline.Client).UpdatePipeline, isWrite)
	opDelete         = pipelineOperation("DeletePipeline", "deleting pipeline", (*codepipeline.Client).DeletePipeline, isWrite)
	opTag            = pipelineOperation("TagResource", "tagging pipeline", (*codepipeline.Client).TagResource, isWrite)
	opUntag          = pipelineOperation("UntagResource", "removing tags of pipeline", (*codepipeline.Client).UntagResource, isWrite)
)

// operations are all that this package ever calls, by name.
var operations = byName(opListPipelines, opGetPipeline, opGetState, opListExecutions, opListActions, opListRuleRuns, opListTags, opListTypes, opListRules,
	opCreate, opUpdate, opDelete, opTag, opUntag, opGetResources, opGetCallerIdentity, opAssumeRole, opLookupEvents,
	opDescribeSecret, opGetSecretValue, opGetParameter,
	opReceiveMessage, opDeleteMessages, opQueueState)

func byName(ops ...*operation) map[string]*operation {
	m := make(map[string]*operation, len(ops))
	for _, op := range ops {
		m[op.name] = op
	}
	return m
}

func isList(op *operation)      { op.limit = listLimit }
func isWrite(op *operation)     { op.write = true }
func isUnchecked(op *operation) { op.unchecked = true }
func isAny(op *operation)       { op.level = AnyLevel }

func pipelineOperation[In, Out any](
	name, doing string,
	method func(*codepipeline.Client, context.Context, *In, ...func(*codepipeline.Options)) (*Out, error),
	traits ...func(*operation),
) *operation {
	op := &operation{
		name: name, doing: doing, service: pipelineService, level: PipelineLevel, limit: otherLimit,
		result: func() any { return new(Out) },
	}
	op.send = func(ctx context.Context, r *Reader, retryer aws.Retryer, change func(*middleware.Stack) error) error {
		_, err := method(r.pipelines, ctx, new(In), func(o *codepipeline.Options) {
			o.Retryer = retryer
			o.APIOptions = append(o.APIOptions, change)
		})
		return err
	}
	for _, trait := range traits {
		trait(op)
	}
	return op
}

// Pipeline is one pipeline as AWS sent it.
type Pipeline struct {
	// Declaration is the whole document, with version and with members that we do not know.
	Declaration *pipeline.Node
	Version     int64
	ARN         string            // only where it was read
	Created     time.Time         // only where it was read
	Updated     time.Time         // only where it was read
	Tags        map[string]string // only from [Writer.Create]; nil is unknown
}

// Pipeline reads a pipeline's present declaration. The error's class is [NotFound] where there is none of
// that name, and only then.
func (r *Reader) Pipeline(ctx context.Context, name string) (Pipeline, error) {
	return r.getPipeline(ctx, name, object("name", text(name)), 0)
}

// PipelineVersion reads an earlier declaration. The service keeps about the last ten; it reports an older one
// as [NotFound], like a pipeline that is not there.
func (r *Reader) PipelineVersion(ctx context.Context, name string, version int64) (Pipeline, error) {
	return r.getPipeline(ctx, name, object("name", text(name), "version", number(version)), version)
}

// getPipeline asks for a pipeline; wanted is the version that the reply must hold, 0 for any.
func (r *Reader) getPipeline(ctx context.Context, name string, request *pipeline.Node, wanted int64) (Pipeline, error) {
	var found Pipeline
	err := r.callJSON(ctx, opGetPipeline, name, request, func(reply *pipeline.Node) error {
		p, err := declarationIn(reply, name)
		if err != nil {
			return err
		}
		if wanted != 0 && p.Version != wanted {
			return unreadable("asked for version %d, got %d", wanted, p.Version)
		}
		metadata := reply.Get("metadata")
		p.ARN = metadata.Str("pipelineArn")
		if p.ARN != "" && !r.isOurs(p.ARN, name) {
			return unreadable("the ARN %q is of something else", p.ARN)
		}
		p.Created = timeIn(metadata, "created", &err)
		p.Updated = timeIn(metadata, "updated", &err)
		if err != nil {
			return err
		}
		found = p
		return nil
	})
	return found, err
}

// declarationIn returns the pipeline that a reply must hold.
func declarationIn(reply *pipeline.Node, name string) (Pipeline, error) {
	doc := reply.Get("pipeline")
	p := Pipeline{Declaration: doc, Version: doc.Int(0, "version")}
	switch {
	case doc == nil || doc.Kind != pipeline.Object:
		return p, unreadable("no pipeline in it")
	case doc.Str("name") != name:
		return p, unreadable("it is about pipeline %q", doc.Str("name"))
	case p.Version < 1:
		return p, unreadable("no version in it")
	case doc.Get("stages") == nil || doc.Get("stages").Kind != pipeline.Array:
		return p, unreadable("no stages in it")
	}
	return p, nil
}

// isOurs reports whether an ARN is that of the named pipeline in this target, as far as its account is known.
func (r *Reader) isOurs(s, name string) bool {
	a, ok := parseARN(s)
	return ok && a.pipeline == name && a.region == r.cfg.Region && (r.cfg.Account == "" || a.account == r.cfg.Account)
}

// Tags reads a pipeline's tags; a pipeline without tags has an empty map. It has to ask for the identity
// first, to know the pipeline's ARN.
func (r *Reader) Tags(ctx context.Context, name string) (map[string]string, error) {
	arn, err := r.arnOf(ctx, name)
	if err != nil {
		return nil, err
	}
	found, _, err := listing[tag]{
		op: opListTags, pipeline: name, request: object("resourceArn", text(arn)), list: "tags", item: tagIn("key", "value"),
	}.all(ctx, r)
	if err != nil {
		return nil, err
	}
	tags, err := tagMap(found)
	if err != nil {
		return nil, r.unusable(ctx, opListTags, name, err)
	}
	return tags, nil
}

// arnOf builds the ARN of a pipeline of this target.
func (r *Reader) arnOf(ctx context.Context, name string) (string, error) {
	id, err := r.Identity(ctx)
	if err != nil {
		return "", err
	}
	return "arn:" + id.Partition + ":codepipeline:" + r.cfg.Region + ":" + id.Account + ":" + name, nil
}
