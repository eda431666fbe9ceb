package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	stdsync "sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/plumbline/plumbline/emulator"
)

// missingBucket is what AWS says of an execution, and nowhere else, when a source bucket does not exist.
const missingBucket = "No bucket with the name code-bucket-01 was found"

// demoAlert is the alert of deploy/prometheus/alerts.yml that comes of an execution that failed.
const demoAlert = "PlumblineExecutionFailed"

// failAnExecution leaves the passes to the daemon, and shows how an execution that fails gets to people: by runs, by the
// metrics, by an alert.
func (t *tour) failAnExecution(ctx context.Context) error {
	t.title("The daemon takes over. A new pipeline reads from a bucket that does not exist.")
	if err := t.startDaemon(ctx); err != nil {
		return err
	}
	// What ended before it looked for the first time is history, and not counted.
	if _, err := t.daemon.series(ctx, `codepipeline_executions_total{.*pipeline="web",.*status="Succeeded"}`); err != nil {
		return err
	}
	if err := t.aws.Script(emulator.Outcome{Pipeline: "reports", Cause: "missing-bucket"}); err != nil {
		return err
	}
	if err := t.git("reports", map[string]string{"reports.json": demoFile("reports.json")}); err != nil {
		return err
	}
	counted, err := t.daemon.series(ctx, `codepipeline_executions_total{.*pipeline="reports",.*status="Failed"} 1`)
	if err != nil {
		return err
	}
	broken, err := t.daemon.series(ctx, `codepipeline_consecutive_failures{.*pipeline="reports".*} 1`)
	if err != nil {
		return err
	}
	t.say("   AWS accepts the pipeline, and starts it. `plumbline runs --failed` shows what comes of that:")
	if err := t.showFailed(ctx); err != nil {
		return err
	}
	t.say("   The daemon has counted both at http://%s/metrics:", t.daemon.address)
	for _, line := range append(counted, broken...) {
		t.say("   %s", t.paint(text.Faint, line))
	}
	t.say("   While that stays so, Prometheus tells you with the alert %s (deploy/prometheus/alerts.yml).", demoAlert)
	return nil
}

// showFailed shows what a person sees of the executions that failed.
func (t *tour) showFailed(ctx context.Context) error {
	var out bytes.Buffer
	own := *t.app
	own.stdout, own.stderr, own.width = &out, io.Discard, max(0, t.width-3)
	f := runsFlags{worldFlags: worldFlags{config: t.daemon.config}, failed: true, output: "text"}
	q, err := f.query(nil, time.Now())
	if err != nil {
		return err
	}
	if err := own.runs(ctx, &f, q); err != nil {
		return err
	}
	for line := range strings.Lines(out.String()) {
		fmt.Fprint(t.stdout, "   "+line)
	}
	if n := strings.Count(out.String(), "GetCode/GetCode: ConfigurationError: "+missingBucket); n != len(demoRegions) {
		return fmt.Errorf("%d executions show that the bucket is missing, not %d", n, len(demoRegions))
	}
	return nil
}

// demoDaemon is `plumbline run` in this process.
type demoDaemon struct {
	config  string   // its configuration file
	address net.Addr // of its page, status, health and metrics
	token   string   // with which people may act on the page
	log     *demoLog
	stop    context.CancelFunc
	ended   chan error
}

// startDaemon hands the journal over to a daemon, and waits until that listens.
func (t *tour) startDaemon(ctx context.Context) error {
	if err := t.journal.Close(); err != nil {
		return err
	}
	t.journal = nil
	d := &demoDaemon{config: filepath.Join(t.dir, "plumbline.yaml"), token: rand.Text(), log: &demoLog{}, ended: make(chan error, 1)}
	for file, text := range map[string]string{d.config: t.configuration(false), t.tokenFile(): d.token} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the configuration of the demo's daemon: %w", err)
		}
	}
	running, stop := context.WithCancel(ctx)
	d.stop, t.daemon = stop, d
	listening := make(chan net.Addr, 1)
	own := *t.app
	own.stdout, own.stderr = io.Discard, d.log
	own.listening = func(purpose string, at net.Addr) {
		if purpose == adminPurpose {
			listening <- at
		}
	}
	go func() { d.ended <- own.run(running, &worldFlags{config: d.config}) }()
	select {
	case d.address = <-listening:
		return nil
	case err := <-d.ended:
		d.ended <- nil
		return errors.Join(errors.New("the daemon has ended"), err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *tour) tokenFile() string { return filepath.Join(t.dir, "token") }

// configuration is that of the demo's daemon, with or without the shop.
func (t *tour) configuration(shop bool) string {
	sources := fmt.Sprintf("  - {name: demo, url: %q, interval: 2s, targets: [%s]}\n", t.repo.Path(), strings.Join(demoRegions, ", "))
	targets, overrides := "", ""
	for _, region := range demoRegions {
		targets += fmt.Sprintf("  - {name: %s, region: %[1]s}\n", region)
	}
	if shop {
		sources += fmt.Sprintf("  - {name: shop, url: %q, interval: 2s, layout: by-target, targets: [%s, %s]}\n", t.shop.Path(), shopSeen, shopUnseen)
		targets += fmt.Sprintf("  - {name: %s, region: %s, policy: {mode: apply}}\n  - {name: %s, region: %s, policy: {mode: apply}}\n", shopSeen, shopRegion, shopUnseen, shopRegionUnseen)
		overrides = ", overrides: [{pipelines: [pricing], mode: enforce}]"
	}
	return fmt.Sprintf(`# The configuration of the demo's daemon.
sources:
%stargets:
%spolicy: {mode: enforce%s}
drift: {interval: 2s}
executions: {interval: 1s}
aws: {endpointURL: %q, requestsPerSecond: 200, burst: 100, writesPerSecond: 100}
web: {listen: "127.0.0.1:0", tokenFile: %q}
state: {dir: %q}
log: {format: text}
`, sources, targets, overrides, t.endpoint, t.tokenFile(), filepath.Join(t.dir, "state"))
}

// patienceOfTour is how long a step may take to show in the metrics.
const patienceOfTour = 30 * time.Second

// series waits until the daemon's metrics have a line for each region that matches a pattern, and returns those lines.
func (d *demoDaemon) series(ctx context.Context, pattern string) ([]string, error) {
	line := regexp.MustCompile("^" + pattern)
	ctx, cancel := context.WithTimeout(ctx, patienceOfTour)
	defer cancel()
	for {
		metrics, err := d.metrics(ctx)
		var found []string
		for l := range strings.Lines(metrics) {
			if line.MatchString(l) {
				found = append(found, strings.TrimSpace(l))
			}
		}
		if len(found) == len(demoRegions) {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("the metrics have %d lines %s, not %d; the daemon's log:\n%s", len(found), pattern, len(demoRegions), d.log), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// metrics asks the daemon as Prometheus does.
func (d *demoDaemon) metrics(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.address.String()+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return string(body), err
}

// demoLog keeps what the daemon logs, until somebody is there to read it.
type demoLog struct {
	mu   stdsync.Mutex
	kept bytes.Buffer
	to   io.Writer // nil: it is kept
}

func (l *demoLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to != nil {
		return l.to.Write(p)
	}
	return l.kept.Write(p)
}

func (l *demoLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.String()
}

func (l *demoLog) show(to io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = to
}

// end stops what the tour has started.
func (t *tour) end() {
	if t.journal != nil {
		_ = t.journal.Close() // it is deleted with its folder
	}
	if t.daemon != nil {
		t.daemon.stop()
		if err := <-t.daemon.ended; err != nil {
			t.warn(fmt.Sprintf("the daemon did not end well: %v", err))
		}
	}
}

// stay leaves everything to the daemon, with a page on which there is something to see, and says how to play on.
func (t *tour) stay(ctx context.Context) error {
	if err := t.openShop(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("the fleet of the page did not come about: %w", err)
	}
	t.say(`
The tour is over; AWS, the repositories and the daemon stay up until Ctrl-C. Play on:

   http://%s/      every state a pipeline can be in, on a second fleet. Sign in with the token %s
   git clone %s pipelines      # change a file, commit, push: it is live within two seconds
   export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo AWS_ENDPOINT_URL=%s
   aws --endpoint-url %s codepipeline list-pipelines --region us-east-1
   plumbline list --config %s
   plumbline runs --config %s --watch

What the daemon logs:
`, t.daemon.address, t.daemon.token, t.repo.Path(), t.endpoint, t.endpoint, t.daemon.config, t.daemon.config)
	t.daemon.log.show(t.stdout)
	select {
	case <-ctx.Done():
		return nil
	case err := <-t.daemon.ended:
		t.daemon.ended <- nil
		return errors.Join(errors.New("the daemon has ended"), err)
	}
}
