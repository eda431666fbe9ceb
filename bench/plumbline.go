package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// plumbline is the program of this repository, as it is built for people. Its files are in a git repository.
type plumbline struct {
	*site
	repository *source.Scratch
	listen     string // of the daemon
}

// unlimited replaces plumbline's own limit of 3 calls and 1 write a second, which is there for AWS, where AWS has none.
const unlimited = "aws: {requestsPerSecond: 10000, burst: 10000, writesPerSecond: 10000}\n"

// token lets the bench ask the daemon for a look at everything.
const token = "the-token-of-a-daemon-that-is-measured"

func plumblineVersion(ctx context.Context, b *bench) (string, error) {
	return installed(ctx, b.plumbline, "version")
}

func openPlumbline(_ context.Context, s *site) (runner, error) { return newPlumbline(s) }

func newPlumbline(s *site) (*plumbline, error) {
	repository, err := source.NewScratch(filepath.Join(s.dir, "pipelines.git"))
	if err != nil {
		return nil, err
	}
	p := &plumbline{site: s, repository: repository}
	if p.listen, err = freeAddress(); err != nil {
		return nil, err
	}
	return p, os.WriteFile(filepath.Join(s.dir, "token"), []byte(token), 0o600)
}

// configure writes the configuration. limit is a part of it, such as unlimited; "" is what people have who say nothing.
func (p *plumbline) configure(limit string) error {
	n, layout := len(p.fleet.projects), sync.ByTarget
	if p.fleet.everywhere {
		layout = sync.Everywhere
	}
	config := fmt.Sprintf(`name: bench
source: {url: ./pipelines.git, layout: %s}
regions: [%s]
policy: {mode: enforce, limits: {creates: %d, updates: %d}}
state: {dir: ./state}
web: {listen: "%s", tokenFile: ./token}
log: {level: error}
%s`, layout, strings.Join(p.fleet.regions(), ", "), n, n, p.listen, limit)
	return os.WriteFile(filepath.Join(p.dir, "plumbline.yaml"), []byte(config), 0o644)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// write commits. The first commit is packed, as what a clone brings is.
func (p *plumbline) write(ctx context.Context, pipelines []int) error {
	files := map[string]string{}
	for _, i := range pipelines {
		data, err := p.fleet.file(i)
		if err != nil {
			return err
		}
		folder := p.fleet.region(i) + "/"
		if p.fleet.everywhere {
			folder = ""
		}
		files[fmt.Sprintf("%steam-%02d/%s.json", folder, i%100, p.fleet.name(i))] = string(data)
	}
	if _, err := p.repository.Commit("Change pipelines", files); err != nil {
		return err
	}
	if len(files) < 2 {
		return nil
	}
	_, _, err := run(p.command(ctx, "git", "-C", p.repository.Path(), "gc", "--quiet"))
	return err
}

func (p *plumbline) run(ctx context.Context, scenario string) (usage, error) {
	limit := unlimited
	if p.slow {
		limit = ""
	}
	if err := p.configure(limit); err != nil {
		return usage{}, err
	}
	args := []string{"apply"}
	switch scenario {
	case nothing:
		args = []string{"plan", "--detailed-exitcode"} // another exit code than 0 is a difference
	case oneDrift:
		args = append(args, "--overwrite")
	case restart:
		return p.restart(ctx)
	}
	used, _, err := run(p.command(ctx, p.bench.plumbline, args...))
	return used, err
}

// restart starts a daemon and stops it when it knows that everything is in sync. The CPU time is that until its end.
func (p *plumbline) restart(ctx context.Context) (usage, error) {
	d, err := p.start(ctx)
	if err != nil {
		return usage{}, err
	}
	ready := time.Since(d.start)
	err = d.inSync(ctx)
	used, stopping := d.stop()
	used.Wall = ready
	return used, errors.Join(err, stopping)
}

// daemon is a plumbline run that has made its first pass.
type daemon struct {
	*watch
	url    string
	output *strings.Builder
}

// start starts a daemon and waits until it has a report of each target.
func (p *plumbline) start(ctx context.Context) (*daemon, error) {
	cmd := p.command(ctx, p.bench.plumbline, "run")
	d := &daemon{url: "http://" + p.listen, output: &strings.Builder{}}
	cmd.Stdout, cmd.Stderr = d.output, d.output
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var err error
	if d.watch, err = watched(cmd); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(2 * time.Millisecond) {
		_, err := d.get(ctx, "/readyz")
		if err == nil {
			return d, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			_, stopping := d.stop()
			return nil, errors.Join(fmt.Errorf("the daemon has no report: %w", err), stopping)
		}
	}
}

// stop ends the daemon and tells what it took.
func (d *daemon) stop() (usage, error) {
	err := d.cmd.Process.Signal(syscall.SIGTERM)
	if waiting := d.cmd.Wait(); waiting != nil {
		err = errors.Join(err, fmt.Errorf("plumbline run: %w\n%s", waiting, tail([]byte(d.output.String()))))
	}
	return d.end(), err
}

func (d *daemon) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, data)
	}
	return data, err
}

// inSync is an error where anything is not as the files say.
func (d *daemon) inSync(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, d.cmd.Path, "status", "--url", d.url, "-o", "json")
	_, out, err := run(cmd)
	if err != nil {
		return fmt.Errorf("the daemon is not in sync: %w", err)
	}
	if !json.Valid(out) {
		return errors.New("plumbline status prints no JSON")
	}
	return nil
}

// refresh has the daemon look at everything now.
func (d *daemon) refresh(ctx context.Context) error {
	return post(ctx, d.url+"/api/v1/refresh", map[string]string{"Authorization": "Bearer " + token}, map[string]string{"reason": "measuring"}, nil)
}
