package live

import (
	"context"
	"encoding/xml"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
)

var stsService = service{iam: "sts"}

var opGetCallerIdentity = &operation{
	name:      "GetCallerIdentity",
	doing:     "asking who we are",
	service:   stsService,
	level:     FreeLevel,
	unchecked: true,
	limit:     64 << 10,
	result:    func() any { return new(sts.GetCallerIdentityOutput) },
	send: func(ctx context.Context, r *Reader, retryer aws.Retryer, change func(*middleware.Stack) error) error {
		_, err := r.sts.GetCallerIdentity(ctx, nil, func(o *sts.Options) {
			o.Retryer = retryer
			o.APIOptions = append(o.APIOptions, change)
		})
		return err
	},
}

// opAssumeRole is called by the SDK, when it needs credentials.
var opAssumeRole = &operation{name: "AssumeRole", doing: "taking a role", service: stsService, level: RoleLevel}

// Identity is whose credentials are used.
type Identity struct {
	Account   string // twelve digits
	ARN       string // of the user or the assumed role
	Partition string // aws, aws-cn, aws-us-gov, …
}

// identityCache holds the identity that belongs to one access key. Keys change when credentials are
// refreshed, which is when somebody may have swapped the role behind them.
type identityCache struct {
	turn chan struct{} // holds one token; who takes it may use the fields. Unlike a mutex it can be waited for with a ctx

	key string
	id  Identity
}

func newIdentityCache() identityCache {
	c := identityCache{turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// Identity returns whose credentials these are. It asks STS once for each access key. The error's class is
// [Credentials] and it holds an [*AccountError] where they belong to another account than configured.
func (r *Reader) Identity(ctx context.Context) (Identity, error) {
	select {
	case <-r.identity.turn:
	case <-ctx.Done():
		return Identity{}, r.failure(ctx, &exchange{op: opGetCallerIdentity}, "", nil, ctx.Err())
	}
	defer func() { r.identity.turn <- struct{}{} }()

	bounded, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	creds, err := r.sts.Options().Credentials.Retrieve(bounded)
	cancel()
	if err != nil {
		return Identity{}, r.failure(ctx, &exchange{op: opGetCallerIdentity}, "", nil, err)
	}
	if r.identity.key != creds.AccessKeyID {
		var id Identity
		err := r.call(ctx, opGetCallerIdentity, "", nil, func(reply []byte) (err error) {
			id, err = identityIn(reply)
			return err
		})
		if err != nil {
			return Identity{}, err
		}
		r.identity.key, r.identity.id = creds.AccessKeyID, id
	}
	id := r.identity.id
	if want := r.cfg.Account; want != "" && id.Account != want {
		return id, &Error{
			Operation: opGetCallerIdentity.name, Region: r.cfg.Region, Class: Credentials, Err: &AccountError{want, id.Account},
		}
	}
	return id, nil
}

func identityIn(reply []byte) (Identity, error) {
	var x struct {
		XMLName xml.Name `xml:"GetCallerIdentityResponse"`
		ARN     string   `xml:"GetCallerIdentityResult>Arn"`
		Account string   `xml:"GetCallerIdentityResult>Account"`
	}
	if err := xml.Unmarshal(reply, &x); err != nil {
		return Identity{}, err
	}
	parts := strings.Split(x.ARN, ":")
	if len(parts) < 6 || parts[0] != "arn" || x.Account == "" || parts[4] != x.Account {
		return Identity{}, unreadable("account %q and ARN %q do not make an identity", x.Account, x.ARN)
	}
	return Identity{Account: x.Account, ARN: x.ARN, Partition: parts[1]}, nil
}
