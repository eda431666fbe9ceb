package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/source"
)

// TestMain lets the scripts run this test binary as the program itself.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"plumbline": main})
}

// TestScripts plays the command line as people use it. Each script has a folder, an emulator and a home of its
// own, and beside testscript's own commands those of scriptCommands.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		Setup:         setUp,
		Cmds:          scriptCommands,
		Condition:     condition,
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// scriptCommands are what a script can do besides running the program.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"commit":  cmdCommit,
	"control": cmdControl,
	"calls":   cmdCalls,
	"replace": cmdReplace,
	"api":     cmdAPI,
	"edit":    cmdEdit,
	"untimed": cmdUntimed,
	"hold":    cmdHold,
}

// example is the document that this project began from. It is not part of the repository.
func example() string {
	path, err := filepath.Abs("../../../shared/examples/testing-pipeline.json")
	if err != nil {
		return ""
	}
	return path
}

func condition(name string) (bool, error) {
	if name == "example" {
		_, err := os.Stat(example())
		return err == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// setUp gives a script an emulator, and settings that come from nowhere else.
func setUp(env *testscript.Env) error {
	server := httptest.NewServer(emulator.New(emulator.Options{}))
	env.Defer(server.Close)
	env.Setenv("ENDPOINT", server.URL)
	env.Setenv("EXAMPLE", example())
	for key, value := range settings(env.WorkDir) {
		env.Setenv(key, value)
	}
	env.Values[repositories{}] = map[string]*source.Scratch{}
	return nil
}

// settings are those of a person who has credentials and nothing else.
func settings(home string) map[string]string {
	none := filepath.Join(home, "none")
	return map[string]string{
		"HOME": home, "PLUMBLINE_STATE_DIR": filepath.Join(home, ".state"),
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
	}
}

// repositories is the key of a script's git repositories, :: folder → repository.
type repositories struct{}

// commit FOLDER MESSAGE FILE... commits files of the script's folder to the repository FOLDER, which the first
// commit makes. A file that is not there is deleted in the repository.
func cmdCommit(ts *testscript.TestScript, _ bool, args []string) {
	repos := ts.Value(repositories{}).(map[string]*source.Scratch)
	repo := repos[args[0]]
	if repo == nil {
		var err error
		repo, err = source.NewScratch(ts.MkAbs(args[0]))
		ts.Check(err)
		repos[args[0]] = repo
	}
	files := map[string]string{}
	for _, name := range args[2:] {
		data, err := os.ReadFile(ts.MkAbs(name))
		if err != nil {
			data = nil
		}
		files[name] = string(data)
	}
	_, err := repo.Commit(args[1], files)
	ts.Check(err)
}

// hold FOLDER keeps a state folder as a daemon with a remote repository does, until the script ends.
func cmdHold(ts *testscript.TestScript, _ bool, args []string) {
	s, err := source.Open(source.Config{URL: "https://127.0.0.1:1/x.git", StateDir: ts.MkAbs(args[0])})
	ts.Check(err)
	ts.Defer(func() { ts.Check(s.Close()) })
}

// control METHOD PATH [BODY] talks to the emulator's control interface: faults, outcomes, calls.
func cmdControl(ts *testscript.TestScript, _ bool, args []string) {
	_, err := control(ts.Getenv("ENDPOINT"), args...)
	ts.Check(err)
}

func control(endpoint string, args ...string) ([]byte, error) {
	body := strings.Join(args[2:], "")
	req, err := http.NewRequestWithContext(context.Background(), args[0], endpoint+"/_emulator/"+args[1], strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	return send(req)
}

func send(req *http.Request) ([]byte, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s: %s", resp.Status, reply)
	}
	return reply, err
}

// calls OPERATION=N... checks how often the emulator was asked, and begins to count anew.
func cmdCalls(ts *testscript.TestScript, _ bool, args []string) {
	reply, err := control(ts.Getenv("ENDPOINT"), http.MethodGet, "calls")
	ts.Check(err)
	var calls []emulator.Call
	ts.Check(json.Unmarshal(reply, &calls))
	counts := map[string]int{}
	for _, c := range calls {
		counts[c.Operation]++
	}
	for _, arg := range args {
		operation, want, _ := strings.Cut(arg, "=")
		if got := fmt.Sprint(counts[operation]); got != want {
			ts.Fatalf("%s was called %s times, not %s; all calls: %v", operation, got, want, counts)
		}
	}
	_, err = control(ts.Getenv("ENDPOINT"), http.MethodDelete, "calls")
	ts.Check(err)
}

// replace FILE OLD NEW changes a text that must be there.
func cmdReplace(ts *testscript.TestScript, _ bool, args []string) {
	before := ts.ReadFile(args[0])
	if !strings.Contains(before, args[1]) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(before, args[1], args[2], 1)), 0o600))
}

// untimed FILE copies a JSON output to FILE.json without its times.
func cmdUntimed(ts *testscript.TestScript, _ bool, args []string) {
	text := regexp.MustCompile(`(?m)^ *"(started|finished)": .*\n`).ReplaceAllString(ts.ReadFile(args[0]), "")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".json"), []byte(text), 0o600))
}

// api REGION OPERATION BODY makes an API call as another tool would.
func cmdAPI(ts *testscript.TestScript, neg bool, args []string) {
	reply, err := api(ts.Getenv("ENDPOINT"), args[0], args[1], args[2])
	if neg != (err != nil) {
		ts.Fatalf("%s: %v", args[1], err)
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", reply)
}

func api(endpoint, region, operation, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "CodePipeline_20150709."+operation)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=other/20260101/"+region+"/codepipeline/aws4_request, SignedHeaders=host, Signature=0")
	return send(req)
}

// edit REGION PIPELINE OLD NEW changes a live pipeline as somebody would in the console.
func cmdEdit(ts *testscript.TestScript, _ bool, args []string) {
	endpoint := ts.Getenv("ENDPOINT")
	reply, err := api(endpoint, args[0], "GetPipeline", fmt.Sprintf(`{"name":%q}`, args[1]))
	ts.Check(err)
	if !bytes.Contains(reply, []byte(args[2])) {
		ts.Fatalf("%s has no %q: %s", args[1], args[2], reply)
	}
	_, err = api(endpoint, args[0], "UpdatePipeline", strings.Replace(string(reply), args[2], args[3], 1))
	ts.Check(err)
}

// TestReadme runs every command of README.md in its order, in a folder with the files that it speaks of.
func TestReadme(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	w := newReadmeWorld(t)
	for _, block := range fenced(string(text)) {
		switch block.language {
		case "yaml":
			w.write("plumbline.yaml", block.text)
		case "sh":
			for line := range strings.Lines(block.text) {
				w.run(root, strings.TrimSpace(line))
			}
		}
	}
	if w.ran < 10 {
		t.Errorf("only %d commands were found in the README", w.ran)
	}
}

type fence struct{ language, text string }

// fenced returns the fenced blocks of a Markdown text.
func fenced(text string) []fence {
	var blocks []fence
	parts := strings.Split("\n"+text, "\n```")
	for i := 1; i+1 <= len(parts); i += 2 {
		language, body, _ := strings.Cut(parts[i], "\n")
		blocks = append(blocks, fence{language, body})
	}
	return blocks
}

// readmeWorld is a machine of a newcomer.
type readmeWorld struct {
	t      *testing.T
	dir    string
	server *httptest.Server
	ran    int
	daemon string // the address of the running daemon
}

func newReadmeWorld(t *testing.T) *readmeWorld {
	w := &readmeWorld{t: t, dir: t.TempDir(), server: httptest.NewServer(emulator.New(emulator.Options{}))}
	t.Cleanup(w.server.Close)
	for key, value := range settings(w.dir) {
		t.Setenv(key, value)
	}
	t.Setenv("AWS_ENDPOINT_URL", w.server.URL)
	web := demoFile("web.json")
	w.write("here/pipelines/web.json", web)
	repo, err := source.NewScratch(filepath.Join(w.dir, "pipelines"))
	if err == nil {
		_, err = repo.Commit("web", map[string]string{"web.json": web})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(w.dir, "here"))
	return w
}

func (w *readmeWorld) write(path, text string) {
	path = filepath.Join(w.dir, path)
	if !strings.Contains(path, "/here/") {
		path = filepath.Join(w.dir, "here", filepath.Base(path))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs one command of the README. Those of Go itself are taken for what they stand for: the tests are
// running, and the program is this one.
func (w *readmeWorld) run(root, line string) {
	w.ran++
	args := strings.Fields(line)
	switch {
	case line == "go test ./...":
		return
	case strings.HasPrefix(line, "go "):
		if _, err := os.Stat(filepath.Join(root, args[2])); err != nil {
			w.t.Errorf("%s: %v", line, err)
		}
		if args[1] != "run" {
			return
		}
		args = append([]string{"plumbline"}, args[3:]...)
	case args[0] != "plumbline":
		w.t.Errorf("the README has a command that this test does not know: %s", line)
		return
	}
	switch args[1] {
	case "run":
		w.startDaemon()
		return
	case "status":
		args = append(args, "--url", w.daemon)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	var stdout, stderr watched
	stdout.stopAt, stdout.stop = "Play on", cancel // the demo stays up until it is interrupted
	if args[1] == "emulator" {
		args[3] = "127.0.0.1:0" // the README's port may be taken
		stdout.stopAt = "serving"
	}
	code := run(ctx, args[1:], &app{stdout: &stdout, stderr: &stderr, getenv: os.Getenv, environ: os.Environ()})
	if code != exitDone {
		w.t.Errorf("%s: exit code %d\n%s%s", line, code, stdout.String(), stderr.String())
	}
	w.t.Logf("$ %s\n%s%s", line, stdout.String(), stderr.String())
}

// startDaemon runs the daemon until the end of the test.
func (w *readmeWorld) startDaemon() {
	w.t.Setenv("PLUMBLINE_WEB_LISTEN", "127.0.0.1:0") // the README's port may be taken
	ctx, stop := context.WithCancel(w.t.Context())
	log, done := &watched{}, make(chan int, 1)
	a := &app{stdout: log, stderr: log, getenv: os.Getenv, environ: os.Environ()}
	go func() { done <- run(ctx, []string{"run"}, a) }()
	w.t.Cleanup(func() {
		stop()
		if code := <-done; code != exitDone {
			w.t.Errorf("plumbline run: exit code %d\n%s", code, log.String())
		}
	})
	address := regexp.MustCompile(`"address":"([^"]+)"`)
	for range 500 {
		if m := address.FindStringSubmatch(log.String()); m != nil && strings.Contains(log.String(), "the source was read") {
			w.daemon = "http://" + m[1]
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("the daemon does not start:\n%s", log.String())
}

// watched is an output that ends a command when it has said a certain thing.
type watched struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	stopAt string
	stop   func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if w.stop != nil && strings.Contains(w.buf.String(), w.stopAt) {
		w.stop()
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
