package live

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// What a look at a target needs to tell whether everything that a pass does is allowed. None of it changes
// anything, and each is one call.

// Provenance is where the credentials of a target come from; it holds no part of them.
type Provenance struct {
	Source  string    // as the SDK calls its provider: EnvConfigCredentials, SSOProvider, …
	Expires time.Time // zero where they do not, or the provider does not say
}

// Provenance gets the credentials, as a call would, and tells where they come from.
func (r *Reader) Provenance(ctx context.Context) (Provenance, error) {
	bounded, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	creds, err := r.sts.Options().Credentials.Retrieve(bounded)
	if err != nil {
		return Provenance{}, r.failure(ctx, &exchange{op: opGetCallerIdentity}, "", nil, err)
	}
	found := Provenance{Source: clean(creds.Source)}
	if creds.CanExpire {
		found.Expires = creds.Expires
	}
	return found, nil
}

// FirstPage reads one page of pipelines, at most 1,000, without their tags; more reports whether there are others.
func (r *Reader) FirstPage(ctx context.Context) (found []Summary, more bool, err error) {
	found, next, err := pipelineListing.page(ctx, r, "")
	return found, next != "", err
}

// FirstTags reads one page of the tagging API. Only whether that works is told.
func (r *Reader) FirstTags(ctx context.Context) error {
	_, _, err := tagListing.page(ctx, r, "")
	return err
}

// ProbeTag asks whether tags may be set, by setting none at all on a pipeline that need not exist. It changes
// nothing whatever the answer is: [Denied] where it may not; nil or [NotFound] where it may, because AWS asks
// IAM first; anything else tells nothing.
func (w *Writer) ProbeTag(ctx context.Context, name string) error {
	return w.probe(ctx, opTag, name, "tags")
}

// ProbeUntag is ProbeTag for removing tags.
func (w *Writer) ProbeUntag(ctx context.Context, name string) error {
	return w.probe(ctx, opUntag, name, "tagKeys")
}

func (w *Writer) probe(ctx context.Context, op *operation, name, list string) error {
	arn, err := w.arnOf(ctx, name)
	if err != nil {
		return err
	}
	return w.call(ctx, op, name, object("resourceArn", text(arn), list, pipeline.NewArray()), nothing)
}
