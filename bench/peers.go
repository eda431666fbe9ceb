package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// The scenarios, in the order in which they follow each other.
const (
	createAll   = "create"  // nothing is there yet
	nothing     = "nothing" // all is as wanted: is it?
	oneFile     = "file"    // one file has changed
	oneDrift    = "drift"   // somebody has changed one pipeline
	restart     = "restart" // a daemon starts, until it knows that all is as wanted
	accessKey   = "bench"
	pluginDir   = "TERRAFORM_PLUGIN_DIR" // where Terraform finds its provider without a network
	terraformIs = "hashicorp/aws"
)

var scenarios = []string{createAll, nothing, oneFile, oneDrift, restart}

// site is where a program works in one measurement.
type site struct {
	bench *bench
	dir   string // for the program's files
	aws   *account
	fleet *fleet
	slow  bool // AWS throttles at the moment
}

// tool is a program that can be measured.
type tool struct {
	name string
	most int // pipelines; a region has 1,000 at most, and only some are measured with several
	// version says what is installed; an error says why it cannot be measured here.
	version func(ctx context.Context, b *bench) (string, error)
	// open prepares the program to work at a site.
	open func(ctx context.Context, s *site) (runner, error)
}

// runner is a program at work at a site.
type runner interface {
	// write puts some pipelines of the fleet where the program reads them.
	write(ctx context.Context, pipelines []int) error
	// run makes what is live as the files say, or for nothing and restart only looks; errNotMeant if it has no such scenario.
	run(ctx context.Context, scenario string) (usage, error)
}

var errNotMeant = errors.New("it is no daemon: its restart is its next run")

var tools = []tool{
	{"plumbline", maxFleet, plumblineVersion, openPlumbline},
	{"terraform", perRegion, terraformVersion, openTerraform},
	{"aws", perRegion, awsVersion, openCLI},
	{"boto3", perRegion, botoVersion, openBoto},
	{"floor", maxFleet, floorVersion, openFloor},
}

func toolNames() []string {
	var names []string
	for _, t := range tools {
		names = append(names, t.name)
	}
	return names
}

// command returns a command of the program, in its folder and with an environment in which nothing of the person's counts.
func (s *site) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "AWS_") && !strings.HasPrefix(entry, "TF_") && !strings.HasPrefix(entry, "PLUMBLINE_") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env,
		"AWS_ENDPOINT_URL="+s.aws.url, "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY=bench", "AWS_REGION="+regions[0], "AWS_DEFAULT_REGION="+regions[0],
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_PAGER=",
		"CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE="+os.DevNull, "TF_IN_AUTOMATION=1")
	return cmd
}

// installed runs a program for its version.
func installed(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return "", fmt.Errorf("%s: %w %s", name, err, line)
	}
	return line, nil
}

// terraform is Terraform with its AWS provider, which keeps its state in a file.
type terraform struct{ *site }

func terraformVersion(ctx context.Context, b *bench) (string, error) {
	if _, err := exec.LookPath("terraform"); err != nil {
		return "", err
	}
	s := &site{bench: b, dir: filepath.Join(b.dir, "terraform-version"), aws: &account{url: "http://127.0.0.1:1"}, fleet: newFleet(1)}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return "", err
	}
	t, err := openTerraform(ctx, s)
	if err != nil {
		return "", err
	}
	_, out, err := run(t.(terraform).command(ctx, "terraform", "version"))
	return string(bytes.Join(regexp.MustCompile(`Terraform v\S+|provider \S+ v\S+`).FindAll(out, -1), []byte(", "))), err
}

func openTerraform(ctx context.Context, s *site) (runner, error) {
	t := terraform{s}
	if err := t.write(ctx, nil); err != nil {
		return nil, err
	}
	args := []string{"init", "-input=false", "-no-color"}
	if dir := os.Getenv(pluginDir); dir != "" {
		args = append(args, "-plugin-dir="+dir)
	}
	if _, _, err := run(s.command(ctx, "terraform", args...)); err != nil {
		return nil, fmt.Errorf("finds no provider %s; %s can name a folder of providers: %w", terraformIs, pluginDir, err)
	}
	return t, nil
}

func (t terraform) write(context.Context, []int) error {
	data, err := t.fleet.terraform(t.aws.url)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(t.dir, "main.tf.json"), data, 0o644)
}

func (t terraform) run(ctx context.Context, scenario string) (usage, error) {
	args := []string{"apply", "-auto-approve", "-input=false", "-no-color"}
	switch scenario {
	case nothing:
		args = []string{"plan", "-detailed-exitcode", "-input=false", "-no-color"} // another exit code than 0 is a difference
	case restart:
		return usage{}, errNotMeant
	}
	used, _, err := run(t.command(ctx, "terraform", args...))
	return used, err
}

// cli is the aws command, called once for each pipeline, one after the other, as a script would. The comparing is done
// here and not counted.
type cli struct{ *site }

func awsVersion(ctx context.Context, _ *bench) (string, error) {
	return installed(ctx, "aws", "--version")
}

func openCLI(_ context.Context, s *site) (runner, error) { return cli{s}, nil }

func (c cli) write(_ context.Context, pipelines []int) error {
	return c.fleet.writeFiles(c.dir, pipelines)
}

func (c cli) run(ctx context.Context, scenario string) (usage, error) {
	var sum usage
	if scenario == restart {
		return sum, errNotMeant
	}
	aws := func(args ...string) ([]byte, error) {
		used, out, err := run(c.command(ctx, "aws", append([]string{"codepipeline", "--output", "json"}, args...)...))
		sum = sum.add(used)
		return out, err
	}
	for _, i := range c.fleet.all() {
		input := "file://" + c.fleet.path(c.dir, i)
		if scenario == createAll {
			if _, err := aws("create-pipeline", "--cli-input-json", input); err != nil {
				return sum, err
			}
			continue
		}
		live, err := aws("get-pipeline", "--name", c.fleet.name(i))
		if err != nil {
			return sum, err
		}
		same, err := c.fleet.is(i, live)
		if err != nil {
			return sum, err
		}
		if same {
			continue
		}
		if scenario == nothing {
			return sum, fmt.Errorf("%s differs: %s", c.fleet.name(i), live)
		}
		if _, err := aws("update-pipeline", "--cli-input-json", input); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// script is one process that is told what to do and where the files are: boto3 and the floor.
type script struct {
	*site
	command func(ctx context.Context, purpose, dir string) *exec.Cmd
}

func (s script) write(_ context.Context, pipelines []int) error {
	return s.fleet.writeFiles(filepath.Join(s.dir, "files"), pipelines)
}

func (s script) run(ctx context.Context, scenario string) (usage, error) {
	purpose := "sync"
	switch scenario {
	case createAll:
		purpose = "create"
	case nothing:
		purpose = "check"
	case restart:
		return usage{}, errNotMeant
	}
	used, _, err := run(s.command(ctx, purpose, filepath.Join(s.dir, "files")))
	return used, err
}

func openScript(s *site, command func(ctx context.Context, purpose, dir string) *exec.Cmd) (runner, error) {
	return script{s, command}, os.MkdirAll(filepath.Join(s.dir, "files"), 0o755)
}

//go:embed boto3_sync.py
var botoSource []byte

func botoVersion(ctx context.Context, _ *bench) (string, error) {
	return installed(ctx, "python3", "-c", `import boto3, sys; print("boto3", boto3.__version__, "Python", sys.version.split()[0])`)
}

func openBoto(_ context.Context, s *site) (runner, error) {
	file := filepath.Join(s.dir, "boto3_sync.py")
	if err := os.WriteFile(file, botoSource, 0o644); err != nil {
		return nil, err
	}
	return openScript(s, func(ctx context.Context, purpose, dir string) *exec.Cmd {
		return s.command(ctx, "python3", file, purpose, dir)
	})
}

func openFloor(_ context.Context, s *site) (runner, error) {
	return openScript(s, func(ctx context.Context, purpose, dir string) *exec.Cmd {
		cmd := s.command(ctx, s.bench.self, purpose, dir)
		cmd.Env = append(cmd.Env, roleVariable+"=floor")
		return cmd
	})
}
