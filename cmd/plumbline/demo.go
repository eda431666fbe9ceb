package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

//go:embed demo/*.json
var demoFiles embed.FS

var demoRegions = []string{"us-east-1", "eu-west-1"}

func demoCommand(a *app) *cobra.Command {
	var exit bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A tour with an AWS and a git repository of its own",
		Long: `Play a tour of what plumbline does, with nothing but this program: an AWS CodePipeline
with two regions in this process, and a git repository in a temporary folder. What
happens in between is real: commits, the AWS SDK over HTTP, the code of plan and apply, and
at the end the daemon with its metrics. After the tour it stays up for you to play on,
with a page on which every state of a pipeline can be seen, until Ctrl-C.

Exit codes: 0 the tour went as told; 1 a step did not.`,
		Example: `  plumbline demo
  plumbline demo --exit`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.demo(cmd.Context(), exit)
		},
	}
	cmd.Flags().BoolVar(&exit, "exit", false, "end after the tour")
	return cmd
}

// tour is the state of a demonstration.
type tour struct {
	*app
	*world
	aws      *emulator.Server
	endpoint string
	repo     *source.Scratch
	step     int
	dir      string // where everything of the tour is
	journal  *journal.Journal
	daemon   *demoDaemon     // from the last step on
	shop     *source.Scratch // for the page, after the tour
}

// demo plays the tour, then stays up unless told otherwise.
func (a *app) demo(ctx context.Context, exit bool) error {
	dir, err := os.MkdirTemp("", "plumbline-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for the demo's AWS: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	// What a person has set for a real AWS does not reach the tour.
	own := *a
	own.environ, own.getenv = nil, func(string) string { return "" }
	own.credentials = credentials.NewStaticCredentialsProvider("demo", "demo", "")
	t := &tour{app: &own, aws: emulator.New(emulator.Options{}), endpoint: "http://" + listener.Addr().String(), dir: dir}
	served := make(chan error, 1)
	go func() { served <- web.Serve(ctx, listener, t.aws, web.ServeConfig{}) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			fmt.Fprintf(a.stderr, "plumbline: warning: %v\n", err)
		}
	}()

	defer t.end()
	if err := t.build(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{t.firstSync, t.commitAChange, t.editByHand, t.pushABrokenFile, t.failAnExecution} {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("step %d of the tour did not go as told: %w", t.step, err)
		}
	}
	if exit {
		t.say("\nThat was the tour. Without --exit it stays up for you to play on.")
		return nil
	}
	return t.stay(ctx)
}

// build makes the repository and the two targets.
func (t *tour) build(ctx context.Context) error {
	var err error
	if t.repo, err = source.NewScratch(filepath.Join(t.dir, "pipelines.git")); err != nil {
		return err
	}
	if t.journal, err = journal.Open(filepath.Join(t.dir, "state")); err != nil {
		return err
	}
	cfg := config.Default()
	cfg.AWS.EndpointURL = t.endpoint
	cfg.AWS.RequestsPerSecond, cfg.AWS.Burst, cfg.AWS.WritesPerSecond = 200, 100, 100 // it is our own AWS
	t.world = &world{cfg: cfg}
	for _, region := range demoRegions {
		target := config.Target{Name: region, Region: region, Policy: cfg.Policy.TargetPolicy}
		target.Policy.Mode = config.ModeEnforce
		r, err := t.reader(ctx, &worldFlags{}, cfg, target, readerOptions{})
		if err != nil {
			return err
		}
		st := targetOf(target, cfg, r)
		st.Writer, st.Journal, st.Memory = live.NewWriter(r), t.journal, &sync.Memory{}
		t.targets = append(t.targets, st)
	}
	return nil
}

// openRepo makes the repository the world's source, once there is a commit in it.
func (t *tour) openRepo() error {
	s, err := source.Open(source.Config{Name: "demo", URL: t.repo.Path()})
	if err != nil {
		return err
	}
	t.origins = []*origin{{name: s.Name(), source: s}}
	return nil
}

func (t *tour) say(format string, args ...any) { fmt.Fprintf(t.stdout, format+"\n", args...) }

// title begins a step.
func (t *tour) title(format string, args ...any) {
	t.step++
	t.say("\n%s", t.paint(text.Bold, fmt.Sprintf("%d. ", t.step)+fmt.Sprintf(format, args...)))
}

// git shows a commit as it is made.
func (t *tour) git(message string, files map[string]string) error {
	id, err := t.repo.Commit(message, files)
	if err != nil {
		return err
	}
	t.say("   git: commit %s %q", id[:7], message)
	return nil
}

// sync makes a pass over both targets and shows what it did.
func (t *tour) sync(ctx context.Context) ([]*sync.Report, error) {
	reports, err := t.passOnce(ctx, sync.Input{})
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	t.printProblems(&out, mergeProblems(reports), nil)
	for _, r := range reports {
		t.printReport(&out, r)
	}
	for line := range strings.Lines(out.String()) {
		fmt.Fprint(t.stdout, "   "+line)
	}
	for _, r := range reports {
		if r.Err != nil {
			return nil, r.Err
		}
		for _, c := range r.Changes {
			if c.Err != nil {
				return nil, c.Err
			}
		}
	}
	return reports, nil
}

// expect checks that the pass made just these changes in every region where any are named.
func expect(reports []*sync.Report, want map[string][]string) error {
	for _, r := range reports {
		var got []string
		for _, c := range r.Changes {
			got = append(got, fmt.Sprintf("%s %s %s", c.Outcome, c.Verb, c.Pipeline))
		}
		if !slices.Equal(got, want[r.Region]) {
			return fmt.Errorf("in %s plumbline did %q, not %q", r.Region, got, want[r.Region])
		}
	}
	return nil
}

func both(changes ...string) map[string][]string {
	want := map[string][]string{}
	for _, region := range demoRegions {
		want[region] = changes
	}
	return want
}

func demoFile(name string) string {
	data, err := demoFiles.ReadFile("demo/" + name)
	if err != nil {
		panic(err) // unreachable: the file is part of the program
	}
	return string(data)
}

func (t *tour) firstSync(ctx context.Context) error {
	t.title("A repository of two pipelines meets an AWS account without any.")
	if err := t.git("two pipelines", map[string]string{"web.json": demoFile("web.json"), "api.json": demoFile("api.json")}); err != nil {
		return err
	}
	if err := t.openRepo(); err != nil {
		return err
	}
	reports, err := t.sync(ctx)
	if err != nil {
		return err
	}
	if err := expect(reports, both("applied create api", "applied create web")); err != nil {
		return err
	}
	t.say("   Both are live in both regions. ${target.region} in the files became each region's own.")
	return nil
}

func (t *tour) commitAChange(ctx context.Context) error {
	t.title("Somebody changes a stage, by a commit.")
	changed := strings.Replace(demoFile("web.json"), `"ProjectName": "web"`, `"ProjectName": "web-2"`, 1)
	if err := t.git("web: build with project web-2", map[string]string{"web.json": changed}); err != nil {
		return err
	}
	reports, err := t.sync(ctx)
	if err != nil {
		return err
	}
	if err := expect(reports, both("applied update web")); err != nil {
		return err
	}
	t.say("   Only web was read and written; version and digest in its tags say that api has not moved.")
	return nil
}

func (t *tour) editByHand(ctx context.Context) error {
	region := demoRegions[1]
	t.title("Somebody edits api in %s by hand, as in the console.", region)
	hand := t.targets[1].Writer.(*live.Writer)
	now, err := hand.Pipeline(ctx, "api")
	if err != nil {
		return err
	}
	edited := now.Declaration.Clone()
	action := edited.List("stages")[1].List("actions")[0]
	action.Get("configuration").Set("ProjectName", pipeline.NewString("my-experiment"))
	if _, err := hand.Update(ctx, edited); err != nil {
		return err
	}
	t.say("   somebody: UpdatePipeline api in %s", region)
	reports, err := t.sync(ctx)
	if err != nil {
		return err
	}
	if err := expect(reports, map[string][]string{region: {"applied update api"}}); err != nil {
		return err
	}
	if again, err := hand.Pipeline(ctx, "api"); err != nil || strings.Contains(again.Declaration.String(), "my-experiment") {
		return errors.Join(errors.New("the edit is still there"), err)
	}
	t.say("   The drift was seen and put back, since the demo's mode is enforce; apply would only report it.")
	return nil
}

func (t *tour) pushABrokenFile(ctx context.Context) error {
	t.title("Somebody pushes a broken file.")
	broken := strings.Replace(demoFile("web.json"), `"inputArtifacts": [{"name": "Site"}]`, `"inputArtifacts": [{"name": "Sites"}], "runorder": 2`, 1)
	if err := t.git("web: a little too fast", map[string]string{"web.json": broken}); err != nil {
		return err
	}
	reports, err := t.sync(ctx)
	if err != nil {
		return err
	}
	if err := expect(reports, both("held update web")); err != nil {
		return err
	}
	if problems := mergeProblems(reports); len(problems) != 2 || problems[0].Line == 0 {
		return fmt.Errorf("%d problems were reported, not the two with their places", len(problems))
	}
	t.say("   Nothing was lost: web stays live as it was, and all other files still apply.")
	fixed := strings.Replace(demoFile("web.json"), `"ProjectName": "web"`, `"ProjectName": "web-2"`, 1)
	if err := t.git("web: as it was", map[string]string{"web.json": fixed}); err != nil {
		return err
	}
	reports, err = t.sync(ctx)
	if err != nil {
		return err
	}
	return expect(reports, both())
}
