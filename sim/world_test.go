package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// settings are what a process is told of a target: the part of a configuration that the checker has to know.
type settings struct {
	name, region string
	account      string // "" for any
	mode         sync.Mode
	adopt        sync.Adoption
	prune        bool
	grace        time.Duration
	limits       sync.Limits
	whenBusy     sync.WhenBusy
	maxWait      time.Duration
	readOnly     bool
}

// feed is what a process is told of a source.
type feed struct {
	repo    *repo
	targets []string // its fence
}

// setup is the configuration of a process.
type setup struct {
	instance string
	targets  []settings
	feeds    []feed
	interval time.Duration // of targets and sources
	pace     pace
}

// pace is what a process may ask of AWS, of each in a second; zero values are a configuration that says nothing.
type pace struct {
	requests float64
	burst    int
	writes   float64
}

func (s *setup) target(region string) *settings {
	for i := range s.targets {
		if s.targets[i].region == region {
			return &s.targets[i]
		}
	}
	return nil
}

func (s *setup) feed(source string) *feed {
	for i := range s.feeds {
		if s.feeds[i].repo.name == source {
			return &s.feeds[i]
		}
	}
	return nil
}

func (f *feed) mayTouch(target string) bool {
	return len(f.targets) == 0 || slices.Contains(f.targets, target)
}

// instance is a daemon over its whole life: processes on one disk.
type instance struct {
	id    string
	disk  *disk
	setup setup // of the next process

	count   int
	proc    *proc // nil: none runs
	ran     *proc // the latest
	loop    *sync.Loop
	journal *journal.Journal
	cancel  context.CancelFunc
	done    chan struct{}
	lost    bool // its state was lost at some time
	filled  bool // its disk was full at some time
	blind   bool // the process could not open its journal, and writes nothing as long as it lives
}

// world is everything that a seed makes.
type world struct {
	t         testing.TB
	seed      uint64
	dice      *rand.Rand
	on        map[string]bool // fault families
	h         *history
	server    *emulator.Server
	repos     []*repo
	all       []*instance
	log       *logged
	logger    *zap.Logger
	names     int // of pipelines that files ever had
	skew      time.Duration
	skewLock  stdsync.Mutex
	setups    map[*proc]setup
	observe   func(*sync.Report) // is told of all reports; nil for nobody
	calmFrom  int                // the event with which the calm began
	quietFrom int                // the event from which on nothing is to be done any more
	final     []violation        // what was not settled then
	searched  int                // bytes of logs, journals and requests that were searched for secrets
}

// chance is true once in n.
func (w *world) chance(n int) bool { return w.dice.IntN(n) == 0 }

func pick[T any](w *world, list ...T) T { return list[w.dice.IntN(len(list))] }

func newWorld(t testing.TB, seed uint64, on map[string]bool) *world {
	w := &world{t: t, seed: seed, dice: rand.New(rand.NewPCG(seed, 9)), on: map[string]bool{}, h: &history{}, log: &logged{}, setups: map[*proc]setup{}}
	for _, family := range families {
		w.on[family] = w.chance(3)
		if chosen, named := on[family]; named {
			w.on[family] = chosen
		}
	}
	level := zap.InfoLevel
	w.logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(w.log), level))
	w.server = emulator.New(emulator.Options{
		Account: account, AutoApprove: true, Seed: seed, Now: w.aws, KeepUnknown: true, OnEffect: func(e emulator.Effect) { w.h.add(event{effect: &e}) },
		ActionDuration: pick(w, 0, 0, 10*time.Second, 4*time.Minute),
		FailOnUpdate:   w.chance(2), KeepType: w.chance(2), CreateOnUpdate: w.chance(2), KeepVersion: w.chance(2), RefuseAbsent: w.chance(2),
		DefaultType: pick(w, "V1", "V2"),
	})
	w.settle()
	return w
}

// aws is the clock of AWS.
func (w *world) aws() time.Time {
	w.skewLock.Lock()
	defer w.skewLock.Unlock()
	return time.Now().Add(w.skew)
}

// settle makes the sources, the targets and the instances.
func (w *world) settle() {
	regions := []string{"eu-west-1", "us-east-1", "ap-south-1"}[:pick(w, 1, 1, 1, 2, 3)]
	for i := range pick(w, 1, 1, 2) {
		r := &repo{name: []string{"platform", "apps"}[i], depth: pick(w, 0, 0, 3)}
		size := pick(w, 1, 2, 3, 5, 8)
		if w.on["mass"] {
			size = pick(w, 8, 14, 25)
		}
		r.push(func(files map[string]file) {
			for range size {
				w.addFile(files)
			}
		})
		w.repos = append(w.repos, r)
	}
	common := setup{instance: "plumbline", pace: pace{20, 20, 5}, interval: pick(w, time.Minute, 2*time.Minute, 5*time.Minute)}
	for i, region := range regions {
		s := settings{
			name: []string{"eu", "us", "ap"}[i], region: region, account: pick(w, "", account),
			mode: pick(w, sync.Apply, sync.Apply, sync.Enforce, sync.Enforce, sync.Detect), adopt: pick(w, sync.AdoptIdentical, sync.AdoptIdentical, sync.AdoptNever, sync.AdoptAlways),
			prune: w.on["prune"] || w.chance(4), grace: pick(w, time.Minute, 10*time.Minute), limits: sync.DefaultLimits,
			whenBusy: pick(w, sync.Wait, sync.Wait, sync.Interrupt), maxWait: pick(w, 0, 0, 5*time.Minute), readOnly: w.chance(16),
		}
		if w.on["mass"] && w.chance(2) {
			s.limits = sync.Limits{Creates: pick(w, 1, 3, 10), Updates: pick(w, 1, 2), UpdatesPercent: pick(w, 0, 10), Deletes: pick(w, 1, 2), DeletesPercent: 20}
		}
		if w.on["crash"] && s.mode == sync.Detect {
			s.mode = sync.Enforce
		}
		common.targets = append(common.targets, s)
	}
	for _, r := range w.repos {
		f := feed{repo: r}
		if len(common.targets) > 1 && w.chance(4) {
			f.targets = []string{common.targets[0].name}
		}
		common.feeds = append(common.feeds, f)
	}
	for i := range w.count("pages", 120) { // other people's, so that a listing of tags has two pages
		f := file{name: fmt.Sprintf("crowd%03d", i), key: "k", mode: "SUPERSEDED", tags: map[string]string{"team": "crowd"}}
		var in map[string]any
		decode([]byte(f.text()), &in)
		if _, err := w.person(regions[0], "CreatePipeline", in); err != nil {
			w.t.Fatal(err)
		}
	}
	for i := range 1 + w.count("two", 1) {
		s := common
		s.targets, s.feeds = slices.Clone(common.targets), slices.Clone(common.feeds)
		if i == 1 && w.chance(2) {
			s.instance = "other"
		}
		w.all = append(w.all, &instance{id: []string{"a", "b"}[i], disk: newDisk(w.seed + uint64(i)), setup: s})
	}
	if w.on["prune"] || w.chance(2) { // deletes wait for a journal that is a day old
		for _, i := range w.all {
			j, err := journal.OpenOn(mount{i.disk, &proc{of: i, name: i.id + "0"}, &history{off: true}}, "/state")
			if err != nil {
				w.t.Fatal(err)
			}
			j.Close()
		}
		time.Sleep(25 * time.Hour)
	}
}

// count is n where a family is on.
func (w *world) count(family string, n int) int {
	if w.on[family] {
		return n
	}
	return 0
}

func (w *world) addFile(files map[string]file) {
	f := file{name: fmt.Sprintf("p%02d", w.names), key: "k0", mode: pick(w, "SUPERSEDED", "SUPERSEDED", "QUEUED", "PARALLEL")}
	w.names++
	if w.chance(3) {
		f.tags = map[string]string{"team": pick(w, "web", "core")}
	}
	f.token = w.on["secrets"] && w.chance(2)
	files[fmt.Sprintf("pipelines/%s.json", f.name)] = f
}

// start starts a process, as cmd/plumbline does.
func (w *world) start(i *instance) {
	i.count++
	ctx, cancel := context.WithCancel(context.Background())
	p := &proc{of: i, name: fmt.Sprintf("%s%d", i.id, i.count), onDeath: cancel}
	i.proc, i.ran, i.cancel, i.done = p, p, cancel, make(chan struct{})
	s := i.setup
	s.targets, s.feeds = slices.Clone(s.targets), slices.Clone(s.feeds)
	w.setups[p] = s
	w.h.add(event{proc: p, begin: true})
	var stateErr error
	i.journal, stateErr = journal.OpenOn(mount{i.disk, p, w.h}, "/state")
	i.blind = stateErr != nil
	cfg := sync.LoopConfig{
		Instance: s.instance, Interval: s.interval, Sweep: time.Hour, Log: w.logger,
		OnReport: func(r *sync.Report) {
			if p.step() == nil {
				w.h.add(event{proc: p, report: r})
			}
			if w.observe != nil {
				w.observe(r)
			}
		},
	}
	for _, f := range s.feeds {
		cfg.Feeds = append(cfg.Feeds, sync.Feed{Source: reading{f.repo, p, w.h}, Interval: s.interval, Origin: sync.Origin{Targets: f.targets}})
	}
	for _, t := range s.targets {
		r, err := live.NewReader(ctx, live.Config{
			Region: t.region, Account: t.account, EndpointURL: "http://localhost", HTTPClient: client{w.server, p, w.h}, Log: w.logger,
			Credentials: credentials.NewStaticCredentialsProvider(p.name+"@"+account, canary, ""), RequestsPerSecond: s.pace.requests, Burst: s.pace.burst, WritesPerSecond: s.pace.writes,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		limits := t.limits
		target := sync.Target{
			Name: t.name, Region: t.region, Mode: t.mode, Adopt: t.adopt, Prune: sync.Prune{Enabled: t.prune, Grace: t.grace}, Limits: &limits,
			WhenBusy: t.whenBusy, MaxWait: t.maxWait, Live: r, Writer: live.NewWriter(r), Journal: i.journal, Allow: &pipeline.Fences{Roles: []string{goodRole}},
		}
		if t.readOnly {
			target.NoWrite = "the target is readOnly in the configuration"
		}
		if stateErr != nil {
			target.NoWrite = fmt.Sprintf("the state folder cannot be written: %v", stateErr)
		}
		cfg.Targets = append(cfg.Targets, target)
	}
	i.loop = sync.NewLoop(cfg)
	done, loop := i.done, i.loop
	go func() { loop.Run(ctx); close(done) }()
}

// stop ends a process as SIGTERM does, or as it ends when it is dead already.
func (w *world) stop(i *instance) {
	if i.proc == nil {
		return
	}
	i.cancel()
	<-i.done
	if i.journal != nil {
		i.journal.Close()
	}
	if i.proc.isDead() {
		i.disk.crash(w.dice)
	}
	w.h.add(event{proc: i.proc, end: true})
	i.proc, i.journal = nil, nil
}

// kill ends a process as SIGKILL does.
func (w *world) kill(i *instance) {
	if i.proc != nil {
		i.proc.kill()
		w.stop(i)
	}
}

// person makes a call of somebody who is not a daemon. It fails as calls do.
func (w *world) person(region, operation string, in any) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/", bytes.NewReader(body))
	req.Header.Set("X-Amz-Target", "CodePipeline_20150709."+operation)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=person@"+account+"/20260101/"+region+"/codepipeline/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := perform(w.server, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%v", out)
	}
	return out, nil
}

// run plays the world: a time of faults, then a calm, at whose end everything is as it should be.
func (w *world) run(steps int) {
	for _, i := range w.all {
		w.start(i)
		time.Sleep(time.Duration(w.dice.IntN(int(time.Minute))))
	}
	for range steps {
		w.bury()
		w.act()
		time.Sleep(pick(w, time.Second, 10*time.Second, 45*time.Second, 2*time.Minute, 6*time.Minute) + time.Duration(w.dice.IntN(int(5*time.Second))))
	}
	w.calm()
}

// bury takes notice of processes that have died.
func (w *world) bury() {
	for _, i := range w.all {
		if i.proc != nil && i.proc.isDead() {
			w.stop(i)
			if w.on["lost"] && w.chance(2) {
				i.disk.wipe()
				i.lost = true
			}
		}
		if i.proc == nil && w.chance(2) {
			w.start(i)
		}
	}
}

// calm ends all faults and waits until everything is as the files say, or policy holds it.
func (w *world) calm() {
	w.bury()
	w.server.ClearFaults()
	for _, r := range w.repos {
		r.mu.Lock()
		r.trouble, r.slow = nil, 0
		r.mu.Unlock()
	}
	for _, i := range w.all {
		i.disk.mu.Lock()
		i.disk.full, i.disk.bad, i.disk.ahead = false, 0, 0
		i.disk.mu.Unlock()
		if i.proc != nil {
			i.proc.killAfter(0)
		}
		if i.proc == nil || i.proc.isDead() || i.blind {
			w.stop(i)
			w.start(i)
		}
	}
	w.calmFrom = w.h.note("the calm begins") + 1
	interval := w.all[0].setup.interval
	time.Sleep(freeze) // a suspension that ends later would let something be done when all is settled
	for range 30 {
		time.Sleep(2*interval + 8*time.Minute)
		if len(w.unsettled()) == 0 {
			break
		}
	}
	time.Sleep(4 * interval) // what one pass has done lets the next one do more: an old pipeline goes when the new one is there
	// What nobody is told of is found out all the same, in two intervals.
	if w.chance(2) {
		w.commit("the last commit", func(files map[string]file) {
			for _, path := range sortedPaths(files) {
				if f := files[path]; f.broken == "" && !f.token {
					f.key = "last"
					files[path] = f
					return
				}
			}
		})
		time.Sleep(2*interval + time.Minute)
		for range 2 {
			if len(w.unsettled()) == 0 {
				break
			}
			time.Sleep(30 * time.Minute) // an execution may still run
		}
	}
	w.h.note("the last passes")
	quiet := w.h.mark()
	time.Sleep(3 * interval)
	w.h.note("the end")
	w.t.Helper()
	w.finish(quiet)
}

func (h *history) mark() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.events)
}

// finish stops everything.
func (w *world) finish(quiet int) {
	w.quietFrom = quiet
	w.final = w.unsettled()
	for _, i := range w.all {
		w.stop(i)
	}
}

func (w *world) commit(why string, change func(files map[string]file)) {
	r := pick(w, w.repos...)
	before := r.head()
	c := r.push(change)
	w.h.note("%s: %s is at %.8s%s", why, r.name, c.id, difference(before, c))
}

// difference is what a commit changed, for people.
func difference(before, after *commit) string {
	var b strings.Builder
	for _, path := range sortedPaths(before.files) {
		if _, there := after.files[path]; !there {
			fmt.Fprintf(&b, " -%s", path)
		}
	}
	for _, path := range sortedPaths(after.files) {
		f, was := after.files[path], before.files[path]
		if f.text() != was.text() {
			fmt.Fprintf(&b, " %s=%s/%s/%s/%v%s", path, f.name, f.key, f.mode, f.tags, f.broken)
		}
	}
	return b.String()
}

// describe is what the seed has made, for people.
func (w *world) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "families:")
	for _, family := range families {
		if w.on[family] {
			fmt.Fprintf(&b, " %s", family)
		}
	}
	for _, i := range w.all {
		fmt.Fprintf(&b, "\n%s is %s, every %s", i.id, i.setup.instance, i.setup.interval)
		for _, t := range i.setup.targets {
			fmt.Fprintf(&b, "\n  %+v", t)
		}
		for _, f := range i.setup.feeds {
			fmt.Fprintf(&b, "\n  %s depth %d, fence %v", f.repo.name, f.repo.depth, f.targets)
		}
	}
	return b.String()
}

var errTrouble = errors.New("the source cannot be read")

// logged is what all daemons have logged.
type logged struct {
	mu   stdsync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// take returns what was logged since it was called last.
func (l *logged) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := bytes.Clone(l.text.Bytes())
	l.text.Reset()
	return text
}
