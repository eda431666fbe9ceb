package sync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	stdsync "sync"
	"time"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// fake is a target in memory. It behaves as AWS does where a pass could notice: it fills in defaults, hides
// secrets, counts versions, lists late, loses replies, and lets other people write in the wrong moment. It
// writes down every call.
type fake struct {
	account, region string

	mu        stdsync.Mutex
	pipelines map[string]*fakePipeline
	calls     []*call
	spoilers  []*spoiler

	listing  map[string]live.Summary  // not nil: what Inventory answers, however old
	reading  map[string]live.Pipeline // what Pipeline answers of a name, however old
	tagsErr  error                    // of the tag listing
	untagged map[string]bool          // names that the tag listing does not have
	onWrite  func(call)               // sees every write before it happens
	onCall   func(op string)          // sees every call before it happens
	types    func() (*pipeline.Types, error)

	secrets map[string][]string // :: name → the values of its versions
}

type fakePipeline struct {
	stored  *pipeline.Node // as sent, secrets included
	version int64
	created time.Time
	updated time.Time
	tags    map[string]string
	running []live.Execution
}

// call is one call as the fake saw it.
type call struct {
	op, name string            // name is of a pipeline
	secret   string            // the name of one
	tags     map[string]string // that Tags returned, or that Create and Tag set
	absent   bool              // Pipeline said so
	running  int               // executions that an Update cancels
	failed   bool
	refused  bool // for AWS's limits
}

func (c call) writes() bool {
	return c.op == "Create" || c.op == "Update" || c.op == "Delete" || c.op == "Tag" || c.op == "Untag"
}

func (c call) String() string {
	if c.name == "" {
		return c.op
	}
	return c.op + " " + c.name
}

// spoiler makes something of one call to op for name, once.
type spoiler struct {
	op, name string
	do       func()     // runs first: what other people do in that moment
	err      live.Class // not empty: the call fails
	lost     bool       // it fails with doubt
	done     bool       // though it failed, it happened
}

func newFake() *fake {
	return &fake{account: "111122223333", region: "eu-west-1", pipelines: map[string]*fakePipeline{}, reading: map[string]live.Pipeline{}, untagged: map[string]bool{}}
}

// spoil arms a spoiler.
func (f *fake) spoil(s spoiler) { f.spoilers = append(f.spoilers, &s) }

// enter records a call and returns what is to go wrong with it.
func (f *fake) enter(ctx context.Context, c call) (*call, spoiler) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s spoiler
	if i := slices.IndexFunc(f.spoilers, func(s *spoiler) bool { return s.op == c.op && (s.name == "" || s.name == c.name) }); i >= 0 {
		s = *f.spoilers[i]
		f.spoilers = slices.Delete(f.spoilers, i, i+1)
	}
	if ctx.Err() != nil {
		s.err = live.Canceled
	}
	if f.onCall != nil {
		f.onCall(c.op)
	}
	if s.do != nil {
		s.do()
	}
	if c.writes() && f.onWrite != nil {
		f.onWrite(c)
	}
	c.failed, c.refused = s.err != "", s.err == live.Throttled
	f.calls = append(f.calls, &c)
	return &c, s
}

func (f *fake) fail(op, name string, class live.Class, doubt bool) error {
	return &live.Error{Operation: op, Pipeline: name, Region: f.region, Message: "as told", Class: class, Doubt: doubt}
}

func (s spoiler) error(f *fake, c *call) error {
	if s.err == "" {
		return nil
	}
	return f.fail(c.op, c.name, s.err, s.lost)
}

func (f *fake) Identity(ctx context.Context) (live.Identity, error) {
	c, s := f.enter(ctx, call{op: "Identity"})
	return live.Identity{Account: f.account, Partition: "aws"}, s.error(f, c)
}

func (f *fake) Inventory(ctx context.Context) (live.Inventory, error) {
	c, s := f.enter(ctx, call{op: "Inventory"})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := s.error(f, c); err != nil {
		return live.Inventory{}, err
	}
	listing := f.listing
	if listing == nil {
		listing = f.listLocked()
	}
	i := live.Inventory{TagsErr: f.tagsErr, Calls: 2}
	for _, name := range slices.Sorted(maps.Keys(listing)) {
		s := listing[name]
		s.Tags = maps.Clone(s.Tags)
		if f.untagged[name] || f.tagsErr != nil {
			s.Tags = nil
		}
		i.Pipelines = append(i.Pipelines, s)
	}
	return i, nil
}

func (f *fake) listLocked() map[string]live.Summary {
	list := map[string]live.Summary{}
	for name, p := range f.pipelines {
		list[name] = live.Summary{Name: name, Version: p.version, Created: p.created, Tags: maps.Clone(p.tags)}
	}
	return list
}

// freeze makes the listing stay as it is now, until thaw.
func (f *fake) freeze() { f.listing = f.listLocked() }
func (f *fake) thaw()   { f.listing = nil; clear(f.reading) }

func (f *fake) Pipeline(ctx context.Context, name string) (live.Pipeline, error) {
	c, s := f.enter(ctx, call{op: "Pipeline", name: name})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := s.error(f, c); err != nil {
		return live.Pipeline{}, err
	}
	if old, ok := f.reading[name]; ok {
		return old, nil
	}
	p := f.pipelines[name]
	if p == nil {
		c.absent = true
		return live.Pipeline{}, f.fail("GetPipeline", name, live.NotFound, false)
	}
	return p.shown(), nil
}

func (f *fake) Tags(ctx context.Context, name string) (map[string]string, error) {
	c, s := f.enter(ctx, call{op: "Tags", name: name})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := s.error(f, c); err != nil {
		return nil, err
	}
	p := f.pipelines[name]
	if p == nil {
		return nil, f.fail("ListTagsForResource", name, live.NotFound, false)
	}
	c.tags = map[string]string{}
	maps.Copy(c.tags, p.tags)
	return maps.Clone(c.tags), nil
}

func (f *fake) Types(ctx context.Context) (*pipeline.Types, error) {
	c, s := f.enter(ctx, call{op: "Types"})
	if err := s.error(f, c); err != nil {
		return nil, err
	}
	return f.types()
}

func (f *fake) Running(ctx context.Context, name string) ([]live.Execution, error) {
	c, s := f.enter(ctx, call{op: "Running", name: name})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := s.error(f, c); err != nil {
		return nil, err
	}
	if p := f.pipelines[name]; p != nil {
		return slices.Clone(p.running), nil
	}
	return nil, f.fail("ListPipelineExecutions", name, live.NotFound, false)
}

func (f *fake) SecretVersion(ctx context.Context, ref pipeline.Reference) (string, error) {
	c, s := f.enter(ctx, call{op: "SecretVersion", secret: ref.ID})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := s.error(f, c); err != nil {
		return "", err
	}
	versions := f.secrets[ref.ID]
	if len(versions) == 0 {
		return "", f.fail("DescribeSecret", ref.ID, live.NotFound, false)
	}
	return fmt.Sprint("v", len(versions)), nil
}

func (f *fake) Secret(ctx context.Context, ref pipeline.Reference) (value, version string, err error) {
	c, s := f.enter(ctx, call{op: "Secret", secret: ref.ID})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := s.error(f, c); err != nil {
		return "", "", err
	}
	versions := f.secrets[ref.ID]
	if len(versions) == 0 {
		return "", "", f.fail("GetSecretValue", ref.ID, live.NotFound, false)
	}
	return versions[len(versions)-1], fmt.Sprint("v", len(versions)), nil
}

func (f *fake) Create(ctx context.Context, declaration *pipeline.Node, tags map[string]string) (live.Pipeline, error) {
	name := declaration.Str("name")
	c, s := f.enter(ctx, call{op: "Create", name: name, tags: maps.Clone(tags)})
	f.mu.Lock()
	defer f.mu.Unlock()
	err := s.error(f, c)
	if err != nil && !s.done {
		return live.Pipeline{}, err
	}
	if f.pipelines[name] != nil {
		return live.Pipeline{}, f.fail("CreatePipeline", name, live.NameInUse, false)
	}
	f.putLocked(declaration, tags)
	return f.pipelines[name].shown(), err
}

func (f *fake) Update(ctx context.Context, declaration *pipeline.Node) (live.Pipeline, error) {
	name := declaration.Str("name")
	running := 0
	if p := f.pipelines[name]; p != nil && p.stored.Str("executionMode") != "PARALLEL" {
		running = len(p.running)
	}
	c, s := f.enter(ctx, call{op: "Update", name: name, running: running})
	f.mu.Lock()
	defer f.mu.Unlock()
	err := s.error(f, c)
	if err != nil && !s.done {
		return live.Pipeline{}, err
	}
	p := f.pipelines[name]
	if p == nil {
		return live.Pipeline{}, f.fail("UpdatePipeline", name, live.NotFound, false)
	}
	f.putLocked(declaration, p.tags)
	return p.shown(), err
}

func (f *fake) Delete(ctx context.Context, name string) error {
	c, s := f.enter(ctx, call{op: "Delete", name: name})
	f.mu.Lock()
	defer f.mu.Unlock()
	err := s.error(f, c)
	if err == nil || s.done {
		delete(f.pipelines, name) // AWS reports success for one that is not there
	}
	return err
}

func (f *fake) Tag(ctx context.Context, name string, tags map[string]string) error {
	c, s := f.enter(ctx, call{op: "Tag", name: name, tags: maps.Clone(tags)})
	return f.changeTags(s, c, func(live map[string]string) { maps.Copy(live, tags) })
}

func (f *fake) Untag(ctx context.Context, name string, keys []string) error {
	c, s := f.enter(ctx, call{op: "Untag", name: name})
	return f.changeTags(s, c, func(live map[string]string) {
		maps.DeleteFunc(live, func(key, _ string) bool { return slices.Contains(keys, key) })
	})
}

func (f *fake) changeTags(s spoiler, c *call, change func(map[string]string)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := s.error(f, c)
	if err != nil && !s.done {
		return err
	}
	p := f.pipelines[c.name]
	if p == nil {
		return f.fail(c.op+"Resource", c.name, live.NotFound, false)
	}
	change(p.tags)
	return err
}

// put writes a pipeline as anybody could: a new version, tags left alone.
func (f *fake) put(text string) {
	n, err := pipeline.Decode([]byte(text))
	if err != nil {
		panic(err)
	}
	if inner := n.Get("pipeline"); inner != nil {
		n = inner
	}
	f.putLocked(n, map[string]string{})
}

func (f *fake) putLocked(declaration *pipeline.Node, tags map[string]string) {
	name := declaration.Str("name")
	p := f.pipelines[name]
	if p == nil {
		p = &fakePipeline{created: time.Now(), tags: maps.Clone(tags)}
		f.pipelines[name] = p
	}
	sent := declaration.Clone()
	eachSecret(sent, func(action *pipeline.Node) {
		// The mask keeps the secret of the same action of the same stage, if nothing else of the action changes.
		if config := action.Get("configuration"); config.Str("OAuthToken") == pipeline.Mask && p.stored != nil {
			eachSecret(p.stored, func(old *pipeline.Node) {
				same := old.Clone()
				same.Get("configuration").Set("OAuthToken", pipeline.NewString(pipeline.Mask))
				if same.Equal(action) {
					config.Set("OAuthToken", old.Get("configuration", "OAuthToken"))
				}
			})
		}
	})
	p.stored = sent
	p.version++
	p.updated = time.Now()
}

// tagsOf returns the live tags, to be changed at will.
func (f *fake) tagsOf(name string) map[string]string { return f.pipelines[name].tags }

// key returns the live source key, which is what most tests change.
func (f *fake) key(name string) string {
	return f.pipelines[name].stored.List("stages")[0].List("actions")[0].Str("configuration", "S3ObjectKey")
}

func eachSecret(declaration *pipeline.Node, do func(action *pipeline.Node)) {
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			if action.Get("configuration", "OAuthToken") != nil {
				do(action)
			}
		}
	}
}

// shown is what a read shows of what was sent.
func (p *fakePipeline) shown() live.Pipeline {
	n := p.stored.Clone()
	eachSecret(n, func(action *pipeline.Node) {
		action.Get("configuration").Set("OAuthToken", pipeline.NewString(pipeline.Mask))
	})
	fill := func(o *pipeline.Node, name string, value *pipeline.Node) {
		if o.Get(name) == nil {
			o.Set(name, value)
		}
	}
	fill(n, "pipelineType", pipeline.NewString("V1"))
	fill(n, "executionMode", pipeline.NewString("SUPERSEDED"))
	for _, stage := range n.List("stages") {
		for _, action := range stage.List("actions") {
			fill(action, "runOrder", &pipeline.Node{Kind: pipeline.Number, Text: "1"})
			fill(action, "configuration", pipeline.NewObject())
			fill(action, "inputArtifacts", pipeline.NewArray())
			fill(action, "outputArtifacts", pipeline.NewArray())
		}
	}
	n.Set("version", &pipeline.Node{Kind: pipeline.Number, Text: fmt.Sprint(p.version)})
	return live.Pipeline{Declaration: n, Version: p.version, Created: p.created, Updated: p.updated}
}

// written returns the calls that wrote, and counts returns how many calls there were of each operation.
func (f *fake) written() []string {
	var list []string
	for _, c := range f.calls {
		if c.writes() {
			list = append(list, c.String())
		}
	}
	return list
}

func (f *fake) counts() map[string]int {
	n := map[string]int{}
	for _, c := range f.calls {
		n[c.op]++
	}
	return n
}
