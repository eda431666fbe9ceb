package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	"go.uber.org/zap"
)

// Config says which target to talk to, as whom, and how fast. Only Region is required.
type Config struct {
	Region  string
	Account string // the account that the credentials must belong to, see [Reader.Identity]; "" for any
	Profile string // of the shared AWS configuration files; "" for AWS_PROFILE or the default

	// Credentials replaces the SDK's default chain; nil for that chain.
	Credentials aws.CredentialsProvider
	// AssumeRole is the role to take with those credentials; nil for none.
	AssumeRole *AssumeRole

	// EndpointURL is where every service is asked, instead of AWS. When it is "" the SDK's own settings
	// (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_CODEPIPELINE, the profile) apply. Plain http is accepted to a
	// loopback address only: requests carry whole pipelines.
	EndpointURL string
	// HTTPClient sends the requests; nil for one of the Reader's own, which honours AWS_CA_BUNDLE. It should
	// follow no redirects.
	HTTPClient interface {
		Do(*http.Request) (*http.Response, error)
	}

	Hasty             bool          // reads that AWS throttles have three attempts, instead of waiting for their turn
	RequestsPerSecond float64       // to CodePipeline, all attempts together; zero is 3
	Burst             int           // requests that may be made at once after a calm; zero is 10
	WritesPerSecond   float64       // of RequestsPerSecond; zero is 1
	Timeout           time.Duration // for one attempt, its credentials and its whole reply; zero is 20 s

	// Observe, where it is not nil, is told of every attempt. It must not block.
	Observe func(Attempt)
	Log     *zap.Logger // nil for none
}

// AssumeRole names a role to take before anything else is asked.
type AssumeRole struct {
	ARN         string
	ExternalID  string // "" for none
	SessionName string // shown in CloudTrail; "" is "plumbline"
}

// Attempt is one request as it went over the wire, or its wait when it never did.
type Attempt struct {
	Operation string        // as AWS calls it
	Waited    time.Duration // for its turn
	Took      time.Duration // from then to the end of the reply
	Class     Class         // "" for success

	// ServerTime is AWS's clock when it answered, to the second; zero where no answer told it.
	ServerTime time.Time
}

// The rates of the services beside CodePipeline. They have allowances of their own, which we hardly use.
const (
	taggingPerSecond, taggingBurst = 5, 10
	stsPerSecond, stsBurst         = 2, 5
	secretsPerSecond, secretsBurst = 5, 10 // of Secrets Manager and Parameter Store together
	queuesPerSecond, queuesBurst   = 20, 20
	lookupsPerSecond, lookupsBurst = 2, 1 // what CloudTrail allows; our limiter gives way to other clients when throttled
)

// Reader reads one target. It is safe for concurrent use.
type Reader struct {
	cfg        Config
	pipelines  *codepipeline.Client
	tagging    *resourcegroupstaggingapi.Client
	sts        *sts.Client
	secrets    *secretsmanager.Client
	parameters *ssm.Client
	trail      *cloudtrail.Client
	queues     *sqs.Client
	retryer    *retry.Standard // of reads
	emulated   bool            // CodePipeline is asked at an address that is not AWS's

	common, writes, tags, identities *limiter
	vault                            *limiter // of what keeps secrets
	lookups                          *limiter // of CloudTrail
	polls                            *limiter // of SQS
	identity                         identityCache
	latest                           sharing
}

// Writer reads and writes one target.
type Writer struct{ *Reader }

// NewWriter returns a Writer that shares r's clients and its allowance of requests.
func NewWriter(r *Reader) *Writer { return &Writer{r} }

// NewReader prepares a Reader. It reads the SDK's configuration but asks AWS nothing; ctx governs that much
// only. It fails for a missing region, an unknown profile, or an endpoint in plain http that is not loopback.
func NewReader(ctx context.Context, cfg Config) (*Reader, error) {
	if cfg.Region == "" {
		return nil, errors.New("a target needs a region")
	}
	cfg.setDefaults()
	r := &Reader{
		cfg:        cfg,
		retryer:    newRetryer(),
		common:     newLimiter(cfg.RequestsPerSecond, cfg.Burst, cfg.Log),
		writes:     newLimiter(cfg.WritesPerSecond, 1, cfg.Log),
		tags:       newLimiter(taggingPerSecond, taggingBurst, cfg.Log),
		identities: newLimiter(stsPerSecond, stsBurst, cfg.Log),
		vault:      newLimiter(secretsPerSecond, secretsBurst, cfg.Log),
		lookups:    newLimiter(lookupsPerSecond, lookupsBurst, cfg.Log),
		polls:      newLimiter(queuesPerSecond, queuesBurst, cfg.Log),
		identity:   newIdentityCache(),
	}
	shared, err := r.loadConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration for %s: %w", cfg.Region, err)
	}
	r.pipelines = codepipeline.NewFromConfig(shared, func(o *codepipeline.Options) { r.override(&o.BaseEndpoint) })
	r.tagging = resourcegroupstaggingapi.NewFromConfig(shared, func(o *resourcegroupstaggingapi.Options) { r.override(&o.BaseEndpoint) })
	r.sts = sts.NewFromConfig(shared, func(o *sts.Options) { r.override(&o.BaseEndpoint) })
	r.secrets = secretsmanager.NewFromConfig(shared, func(o *secretsmanager.Options) { r.override(&o.BaseEndpoint) })
	r.parameters = ssm.NewFromConfig(shared, func(o *ssm.Options) { r.override(&o.BaseEndpoint) })
	r.trail = cloudtrail.NewFromConfig(shared, func(o *cloudtrail.Options) { r.override(&o.BaseEndpoint) })
	r.queues = sqs.NewFromConfig(shared, func(o *sqs.Options) { r.override(&o.BaseEndpoint) })
	r.emulated = r.pipelines.Options().BaseEndpoint != nil
	for _, base := range []*string{
		r.pipelines.Options().BaseEndpoint, r.tagging.Options().BaseEndpoint, r.sts.Options().BaseEndpoint,
		r.secrets.Options().BaseEndpoint, r.parameters.Options().BaseEndpoint, r.trail.Options().BaseEndpoint,
		r.queues.Options().BaseEndpoint,
	} {
		if err := checkEndpoint(aws.ToString(base)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (c *Config) setDefaults() {
	if c.RequestsPerSecond <= 0 {
		c.RequestsPerSecond = 3
	}
	if c.Burst <= 0 {
		c.Burst = 10
	}
	if c.WritesPerSecond <= 0 {
		c.WritesPerSecond = 1
	}
	if c.Timeout <= 0 {
		c.Timeout = 20 * time.Second
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Observe == nil {
		c.Observe = func(Attempt) {}
	}
}

// loadConfig resolves the SDK's settings for this target. The retryer is ours in every client that the SDK
// makes for itself too, whatever AWS_RETRY_MODE says: the adaptive one slows down whole processes.
func (r *Reader) loadConfig(ctx context.Context) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRegion(r.cfg.Region),
		config.WithRetryer(func() aws.Retryer { return newRetryer() }),
		config.WithLogger(logging.Nop{}),
		config.WithHTTPClient(r.httpClient()),
		config.WithAPIOptions([]func(*middleware.Stack) error{awsmiddleware.AddUserAgentKey(userAgent)}),
	}
	if r.cfg.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(r.cfg.Profile))
	}
	if r.cfg.Credentials != nil {
		options = append(options, config.WithCredentialsProvider(r.cfg.Credentials))
	}
	if r.cfg.EndpointURL != "" {
		options = append(options, config.WithBaseEndpoint(r.cfg.EndpointURL))
	}
	shared, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return shared, err
	}
	if r.cfg.HTTPClient != nil {
		// Not earlier: the loader refuses a client that it cannot give the certificates of AWS_CA_BUNDLE.
		shared.HTTPClient = r.cfg.HTTPClient
	}
	if r.cfg.AssumeRole != nil {
		shared.Credentials = r.assumedRole(shared)
	}
	shared.Credentials = markedCredentials{shared.Credentials}
	return shared, nil
}

// httpClient is the SDK's own kind, which honours AWS_CA_BUNDLE and follows no redirect of a request that has
// a body. Its timeout is for what is asked outside of our attempts: credentials. Idle connections go before
// a peer is likely to drop them, because a write that meets a dropped one is left in doubt.
func (r *Reader) httpClient() config.HTTPClient {
	return awshttp.NewBuildableClient().WithTimeout(r.cfg.Timeout).
		WithTransportOptions(func(t *http.Transport) { t.IdleConnTimeout = 30 * time.Second })
}

// assumedRole takes a role by the STS of the target's own region: the global one does not know regions that
// have to be enabled first.
func (r *Reader) assumedRole(shared aws.Config) aws.CredentialsProvider {
	client := sts.NewFromConfig(shared, func(o *sts.Options) {
		r.override(&o.BaseEndpoint)
		o.APIOptions = append(o.APIOptions, r.newAttempt(opAssumeRole.name, r.identities).add,
			func(stack *middleware.Stack) error { return addBody(stack, nil) })
	})
	role := r.cfg.AssumeRole
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, role.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "plumbline"
		if role.SessionName != "" {
			o.RoleSessionName = role.SessionName
		}
		if role.ExternalID != "" {
			o.ExternalID = &role.ExternalID
		}
	}))
}

// override makes an explicit endpoint win over the environment's; the SDK lets AWS_ENDPOINT_URL_<service>
// win over its caller's setting.
func (r *Reader) override(base **string) {
	if r.cfg.EndpointURL != "" {
		*base = &r.cfg.EndpointURL
	}
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("endpoint %q is no URL such as https://localhost:4566", clean(endpoint))
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return fmt.Errorf("endpoint %q: plain http is accepted to a loopback address only", clean(endpoint))
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// markedCredentials marks the errors of a provider, to tell them from those of the call that needed it.
type markedCredentials struct{ aws.CredentialsProvider }

func (m markedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := m.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = &credentialsError{err}
	}
	return c, err
}

// Invalidate makes the next Retrieve ask anew, where the provider keeps what it got.
func (m markedCredentials) Invalidate() {
	if cache, ok := m.CredentialsProvider.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
}

// expiredCodes are AWS's words for credentials that were good once.
var expiredCodes = map[string]bool{"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true}

// renewCredentials drops credentials that AWS calls expired, although by our clock they are not yet, so that
// the next call does not come with them again.
func (r *Reader) renewCredentials() {
	if cache, ok := r.sts.Options().Credentials.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
}
