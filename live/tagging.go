package live

import (
	"context"
	"maps"

	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"

	"github.com/plumbline/plumbline/pipeline"
)

// taggingService is the Resource Groups Tagging API: the tags of a hundred pipelines in one call.
var taggingService = service{iam: "tag"}

var opGetResources = &operation{
	name:      "GetResources",
	doing:     "listing tags",
	service:   taggingService,
	level:     AnyLevel,
	unchecked: true,
	limit:     listLimit,
	result:    func() any { return new(tagging.GetResourcesOutput) },
	send: func(ctx context.Context, r *Reader, retryer aws.Retryer, change func(*middleware.Stack) error) error {
		_, err := r.tagging.GetResources(ctx, nil, func(o *tagging.Options) {
			o.Retryer = retryer
			o.APIOptions = append(o.APIOptions, change)
		})
		return err
	},
}

// taggedPipelines is what the tagging API knows of this target's pipelines.
type taggedPipelines struct {
	byName map[string]map[string]string
	calls  int
	err    error
}

type taggedResource struct {
	arn  string
	tags []tag
}

var tagListing = listing[taggedResource]{
	op: opGetResources,
	// The bare service also brings webhooks and action types; no narrower filter is documented.
	request: object("ResourceTypeFilters", pipeline.NewArray(text("codepipeline")), "ResourcesPerPage", number(100)),
	list:    "ResourceTagMappingList", item: resourceIn,
	tokenIn: "PaginationToken", tokenOut: "PaginationToken",
}

// taggedPipelines lists all tagged pipelines of the target. Its account has to be known, to tell its ARNs.
func (r *Reader) taggedPipelines(ctx context.Context) taggedPipelines {
	id, err := r.Identity(ctx)
	if err != nil {
		return taggedPipelines{err: err}
	}
	found, calls, err := tagListing.all(ctx, r)
	if err != nil {
		return taggedPipelines{calls: calls, err: err}
	}
	byName := map[string]map[string]string{}
	for _, res := range found {
		a, ok := parseARN(res.arn)
		if !ok || a.region != r.cfg.Region || a.account != id.Account {
			continue
		}
		tags, err := r.latest.tagsOf(a.pipeline, res.tags)
		if err != nil {
			return taggedPipelines{calls: calls, err: r.unusable(ctx, opGetResources, "", err)}
		}
		if old, ok := byName[a.pipeline]; ok && !maps.Equal(old, tags) {
			err := r.unusable(ctx, opGetResources, "", unreadable("pipeline %q twice, with different tags", a.pipeline))
			return taggedPipelines{calls: calls, err: err}
		}
		byName[a.pipeline] = tags
	}
	return taggedPipelines{byName: byName, calls: calls}
}

func resourceIn(n *pipeline.Node) (taggedResource, error) {
	res := taggedResource{arn: n.Str("ResourceARN")}
	if res.arn == "" {
		return res, unreadable("a resource without an ARN")
	}
	var err error
	res.tags, err = itemsIn(n, "Tags", tagIn("Key", "Value"))
	return res, err
}
