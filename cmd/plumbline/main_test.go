package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

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
	"commit":   cmdCommit,
	"control":  cmdControl,
	"calls":    cmdCalls,
	"replace":  cmdReplace,
	"api":      cmdAPI,
	"edit":     cmdEdit,
	"detach":   cmdDetach,
	"untimed":  cmdUntimed,
	"timeless": cmdTimeless,
	"hold":     cmdHold,
	"private":  cmdPrivate,
	"mode":     cmdMode,
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
	server := httptest.NewServer(emulator.New(emulator.Options{CustomActions: []string{"Test/Lab/2 Bench*:Number Fast:Boolean"}}))
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

// detach FOLDER puts the head of a repository on its newest commit instead of the branch.
func cmdDetach(ts *testscript.TestScript, _ bool, args []string) {
	repo := ts.Value(repositories{}).(map[string]*source.Scratch)[args[0]]
	commit, err := os.ReadFile(filepath.Join(repo.Path(), "refs", "heads", "main"))
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(repo.Path(), "HEAD"), commit, 0o600))
}

// hold FOLDER keeps a state folder as a daemon with a remote repository does, until the script ends.
func cmdHold(ts *testscript.TestScript, _ bool, args []string) {
	s, err := source.Open(source.Config{URL: "https://127.0.0.1:1/x.git", StateDir: ts.MkAbs(args[0])})
	ts.Check(err)
	ts.Defer(func() { ts.Check(s.Close()) })
}

// private FILE... makes sure that only their owner can read files, where the system knows of that.
func cmdPrivate(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := info.Mode().Perm(); runtime.GOOS != "windows" && got != 0o600 {
			ts.Fatalf("%s has the mode %v", name, got)
		}
	}
}

// control METHOD PATH [BODY] talks to the emulator's control interface: faults, outcomes, calls. A body @FILE is in a file.
func cmdControl(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 3 && strings.HasPrefix(args[2], "@") {
		args[2] = ts.ReadFile(args[2][1:])
	}
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
			ts.Fatalf("%s was called %s times, not %s; all calls: %v\n%+v", operation, got, want, counts, calls)
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

// untimed FILE copies a JSON output to FILE.json without its times and commits.
func cmdUntimed(ts *testscript.TestScript, _ bool, args []string) {
	text := regexp.MustCompile(`(?m)^ *"(started|finished|at|commit|commitTime)": .*\n`).ReplaceAllString(ts.ReadFile(args[0]), "")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".json"), []byte(text), 0o600))
}

// changing are parts of an output that are new each time, and what stands for them in a golden file.
var changing = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "EXECUTION"},
	{regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`), "2006-01-02T15:04:05Z"},
	{regexp.MustCompile(`\b[0-9a-f]{8}\b`), "COMMIT"},
	{regexp.MustCompile(`("durationSeconds": )[0-9.]+`), "${1}0"},
}

// timeless FROM TO copies an output without what is new each time.
func cmdTimeless(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	for _, c := range changing {
		text = c.pattern.ReplaceAllString(text, c.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// api REGION OPERATION BODY makes an API call as ann does in the console, with $ACCOUNT for its account where that is set.
// A body @FILE is in a file, in which REGION and ACCOUNT stand for what they say.
func cmdAPI(ts *testscript.TestScript, neg bool, args []string) {
	account, body := cmp.Or(ts.Getenv("ACCOUNT"), "123456789012"), args[2]
	if name, ok := strings.CutPrefix(body, "@"); ok {
		body = strings.NewReplacer("REGION", args[0], "ACCOUNT", account).Replace(ts.ReadFile(name))
	}
	reply, err := apiOf(account, ts.Getenv("ENDPOINT"), args[0], args[1], body)
	if neg != (err != nil) {
		ts.Fatalf("%s: %v", args[1], err)
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", reply)
}

func api(endpoint, region, operation, body string) ([]byte, error) {
	return apiOf("123456789012", endpoint, region, operation, body)
}

// apiOf is a call of the user ann in an account, who sits at the console.
func apiOf(account, endpoint, region, operation, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "CodePipeline_20150709."+operation)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=ann@"+account+"/20260101/"+region+"/codepipeline/aws4_request, SignedHeaders=host, Signature=0")
	req.Header.Set("User-Agent", "Mozilla/5.0")
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

// watched is an output that is read while it is written.
type watched struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// mode FILE START checks how the mode of a file, not followed where it is a link, starts: -rw-r----- or L.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Lstat(ts.MkAbs(args[0]))
	ts.Check(err)
	if mode := info.Mode().String(); !strings.HasPrefix(mode, args[1]) {
		ts.Fatalf("%s has the mode %s, not %s", args[0], mode, args[1])
	}
}
