package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// documents returns what people read of the repository, :: path → text. The changelog tells of the past.
func documents(t *testing.T) map[string]string {
	texts := map[string]string{}
	root := os.DirFS(filepath.Join("..", ".."))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md" || name == "CHANGELOG.md":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		texts[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) < 5 {
		t.Fatalf("only %d documents were found", len(texts))
	}
	return texts
}

// ciFiles returns the files for CI, :: path → text.
func ciFiles(t *testing.T) map[string]string {
	texts := map[string]string{}
	for _, name := range []string{"deploy/ci/github.yml", "deploy/ci/gitlab.yml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

// TestDocumentedCommands reads every command line of plumbline that a document or a file for CI has, and asks the
// program whether there is such a command with such flags and arguments.
func TestDocumentedCommands(t *testing.T) {
	found := 0
	check := func(where, line string) {
		for _, args := range commandLines(line) {
			found++
			if err := parses(args); err != nil {
				t.Errorf("%s: %s: %v", where, strings.Join(args, " "), err)
			}
		}
	}
	span := regexp.MustCompile("`([^`\n]+(?:\n[^`\n]+)?)`")
	for name, text := range documents(t) {
		for _, b := range blocks(text) {
			if b.language == "" || b.language == "yaml" || b.language == "json" {
				continue
			}
			for i, line := range strings.Split(b.text, "\n") {
				if line, is := strings.CutPrefix(line, "$ "); is || b.language != "console" {
					check(fmt.Sprintf("%s:%d", name, b.line+1+i), line)
				}
			}
		}
		for _, m := range span.FindAllStringSubmatchIndex(text, -1) {
			if inline := strings.ReplaceAll(text[m[2]:m[3]], "\n", " "); strings.HasPrefix(inline, "plumbline ") {
				check(fmt.Sprintf("%s:%d", name, strings.Count(text[:m[0]], "\n")+1), inline)
			}
		}
	}
	for name, text := range ciFiles(t) {
		for i, line := range strings.Split(text, "\n") {
			if !strings.HasPrefix(strings.TrimSpace(line), "#") {
				check(fmt.Sprintf("%s:%d", name, i+1), strings.NewReplacer("- run: ", "", "run: ", "", "- plumbline", "plumbline").Replace(line))
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d command lines were found", found)
	}
}

// commandLines returns the command lines of plumbline in a line of a shell, without comments and redirections.
func commandLines(line string) [][]string {
	line, _, _ = strings.Cut(line, " #")
	var all [][]string
	for _, part := range regexp.MustCompile(`&&|\|\|?|;|\$\(`).Split(line, -1) {
		words := strings.Fields(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(part), "&")))
		if len(words) > 2 && words[0] == "go" && words[1] == "run" && words[2] == "./cmd/plumbline" {
			words = append([]string{"plumbline"}, words[3:]...)
		}
		if len(words) < 2 || words[0] != "plumbline" {
			continue
		}
		var args []string
		for i := 1; i < len(words); i++ {
			if strings.HasPrefix(words[i], ">") || strings.HasPrefix(words[i], "2>") {
				if strings.HasSuffix(words[i], ">") {
					i++
				}
				continue
			}
			args = append(args, strings.Trim(words[i], `'")`))
		}
		all = append(all, args)
	}
	return all
}

// parses asks a new program of ours what it thinks of a command line, without running it.
func parses(args []string) error {
	root := (&app{}).rootCommand()
	root.InitDefaultCompletionCmd()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if cmd == root {
		return fmt.Errorf("there is no command in it")
	}
	if slices.Contains(rest, "--help") {
		return nil
	}
	cmd.InheritedFlags() // merges them
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// TestDocumentedCommandsCanFail shows what the check finds.
func TestDocumentedCommandsCanFail(t *testing.T) {
	for line, wrong := range map[string]string{
		"plumbline plan -o json > plan.json":           "",
		"plumbline apply --overwrite web && rm x":      "",
		"test -f x || plumbline config check 2> e.txt": "",
		"plumbline frob":                     "unknown command",
		"x && plumbline plan --frob":         "unknown flag",
		"plumbline run web":                  "unknown command",
		"go run ./cmd/plumbline demo --frob": "unknown flag",
	} {
		lines := commandLines(line)
		if len(lines) != 1 {
			t.Errorf("%s has %d command lines", line, len(lines))
			continue
		}
		if err := parses(lines[0]); (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", line, err, wrong)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks follows the links between documents, to files and to headings.
func TestLinks(t *testing.T) {
	texts, found := documents(t), 0
	for name, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			found++
			file, heading, _ := strings.Cut(m[1], "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join("..", "..", to)); err != nil {
				t.Errorf("%s: there is no %s", name, m[1])
			} else if heading != "" && !slices.Contains(headings(texts[to]), heading) {
				t.Errorf("%s: %s has no heading %s; there are %v", name, to, heading, headings(texts[to]))
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d links were found", found)
	}
}

// headings returns what GitHub makes of the headings of a text.
func headings(text string) []string {
	for _, b := range blocks(text) {
		text = strings.Replace(text, "\n"+b.text, "\n", 1)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		slug := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(slug, " ", "-"))
	}
	return all
}

// firstColumn returns the code in the first column of the table below a heading.
func firstColumn(t *testing.T, text, heading string) []string {
	_, chapter, found := strings.Cut(text, "\n"+heading+"\n")
	if !found {
		t.Fatalf("there is no %s", heading)
	}
	chapter, _, _ = strings.Cut(chapter, "\n#")
	var all []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(chapter, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

// TestGuideTables compares the tables of the guide with the program: holds, statuses, commands.
func TestGuideTables(t *testing.T) {
	guide := documents(t)["docs/guide.md"]
	for heading, want := range map[string][]string{
		"### Held, and what releases it": constants(t, "Hold"),
		"## What plan and apply do":      constants(t, "Status"),
		"## Commands":                    commandNames(),
	} {
		if got := firstColumn(t, guide, heading); !slices.Equal(got, want) {
			t.Errorf("docs/guide.md, %s: the table has\n%v and the program\n%v", heading, got, want)
		}
	}
}

// constants returns the values of the constants of a string type of package sync, which is where they are made.
func constants(t *testing.T, name string) []string {
	files, err := filepath.Glob(filepath.Join("..", "..", "sync", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal("package sync is not there", err)
	}
	var all []string
	for _, file := range files {
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			spec, is := n.(*ast.ValueSpec)
			if !is || len(spec.Values) != 1 {
				return true
			}
			if of, is := spec.Type.(*ast.Ident); !is || of.Name != name {
				return true
			}
			if value, is := spec.Values[0].(*ast.BasicLit); is && value.Value != `""` {
				text, err := strconv.Unquote(value.Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, text)
			}
			return true
		})
	}
	slices.Sort(all)
	return all
}

func commandNames() []string {
	var all []string
	root := (&app{}).rootCommand()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "help" {
			all = append(all, c.Name())
		}
	}
	slices.Sort(all)
	return all
}

// The exit codes in the guide are those of the help.
func TestExitCodes(t *testing.T) {
	_, chapter, _ := strings.Cut(documents(t)["docs/guide.md"], "\n## Commands\n")
	found := 0
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*\\|(.*)\\|$").FindAllStringSubmatch(chapter, -1) {
		cmd, _, err := (&app{}).rootCommand().Find([]string{m[1]})
		if err != nil {
			continue // TestGuideTables tells
		}
		_, help, told := strings.Cut(cmd.Long, "Exit codes:")
		for _, code := range regexp.MustCompile(`\b\d+\b`).FindAllString(m[2], -1) {
			found++
			if told && code != "130" && !regexp.MustCompile(`\b`+code+`\b`).MatchString(help) || !told && code != "1" {
				t.Errorf("the guide says that %s has the exit code %s, and its help does not", m[1], code)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d exit codes were found", found)
	}
}

// workflow is as much of a workflow of GitHub as ours may use. A key that is not here is a mistake, or a reason to
// think about it.
type workflow struct {
	Name        string            `yaml:"name"`
	On          map[string]any    `yaml:"on"`
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		Needs       string            `yaml:"needs"`
		If          string            `yaml:"if"`
		RunsOn      string            `yaml:"runs-on"`
		Timeout     int               `yaml:"timeout-minutes"`
		Permissions map[string]string `yaml:"permissions"`
		Concurrency struct {
			Group  string `yaml:"group"`
			Cancel bool   `yaml:"cancel-in-progress"`
		} `yaml:"concurrency"`
		Steps []struct {
			Name string            `yaml:"name"`
			If   string            `yaml:"if"`
			Uses string            `yaml:"uses"`
			With map[string]any    `yaml:"with"`
			Env  map[string]string `yaml:"env"`
			Run  string            `yaml:"run"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// TestGitHubWorkflow holds the workflow to what the guide promises: no event that gives strangers credentials, the
// least permissions, actions by commit, nothing of the pull request in a script.
func TestGitHubWorkflow(t *testing.T) {
	text := ciFiles(t)["deploy/ci/github.yml"]
	var w workflow
	if err := yaml.Load([]byte(text), &w, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		t.Fatal(err)
	}
	if _, there := w.On["pull_request"]; !there || len(w.On) != 1 || len(w.Permissions) != 0 {
		t.Errorf("it runs on %v with the permissions %v", w.On, w.Permissions)
	}
	want := map[string]map[string]string{
		"validate": {"contents": "read"},
		"plan":     {"contents": "read", "id-token": "write", "pull-requests": "write"},
	}
	if len(w.Jobs) != len(want) || !strings.Contains(w.Jobs["plan"].If, "head.repo.full_name == github.repository") {
		t.Errorf("the jobs are %v", w.Jobs)
	}
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`)
	for name, job := range w.Jobs {
		if fmt.Sprint(job.Permissions) != fmt.Sprint(want[name]) || job.Timeout == 0 {
			t.Errorf("%s has the permissions %v and the timeout %d", name, job.Permissions, job.Timeout)
		}
		for _, step := range job.Steps {
			if step.Uses != "" && !pinned.MatchString(step.Uses) || strings.Contains(step.Run, "${{") {
				t.Errorf("%s: %s%s is not pinned, or puts what a stranger may write into a script", name, step.Uses, step.Run)
			}
			if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
				t.Errorf("%s: the checkout leaves a token in the folder", name)
			}
		}
	}
	actionlint, err := exec.LookPath("actionlint")
	if err != nil {
		t.Skip("there is no actionlint; everything else was looked at")
	}
	if out, err := exec.CommandContext(t.Context(), actionlint, "-shellcheck=", filepath.Join("..", "..", "deploy", "ci", "github.yml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPreCommitHook reads the hook as pre-commit does, and asks the program whether it takes the command.
func TestPreCommitHook(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", ".pre-commit-hooks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct {
		ID          string   `yaml:"id"`
		Name        string   `yaml:"name"`
		Description string   `yaml:"description"`
		Entry       string   `yaml:"entry"`
		Args        []string `yaml:"args"`
		Language    string   `yaml:"language"`
		Files       string   `yaml:"files"`
		Filenames   *bool    `yaml:"pass_filenames"` // nil: true
	}
	if err := yaml.Load(text, &hooks, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		t.Fatal(err)
	}
	for _, h := range hooks {
		command := append(strings.Fields(h.Entry)[1:], h.Args...)
		if h.Filenames == nil || *h.Filenames {
			command = append(command, "pipelines/web.json")
		}
		if err := parses(command); err != nil {
			t.Errorf("%s: %v", h.ID, err)
		}
		if guide := documents(t)["docs/guide.md"]; !strings.Contains(guide, "{id: "+h.ID+"}") {
			t.Errorf("the guide does not know %s", h.ID)
		}
	}
	if len(hooks) == 0 {
		t.Error("there is no hook")
	}
}

// TestGitLabPipeline holds the jobs for GitLab to the same.
func TestGitLabPipeline(t *testing.T) {
	type job struct {
		Image        string              `yaml:"image"`
		Extends      string              `yaml:"extends"`
		Stage        string              `yaml:"stage"`
		Needs        []string            `yaml:"needs"`
		Rules        []map[string]string `yaml:"rules"`
		IDTokens     map[string]any      `yaml:"id_tokens"`
		Variables    map[string]string   `yaml:"variables"`
		BeforeScript []string            `yaml:"before_script"`
		Script       []string            `yaml:"script"`
		AfterScript  []string            `yaml:"after_script"`
		Artifacts    map[string]any      `yaml:"artifacts"`
	}
	var jobs map[string]job
	if err := yaml.Load([]byte(ciFiles(t)["deploy/ci/gitlab.yml"]), &jobs, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		t.Fatal(err)
	}
	for name, j := range jobs {
		if _, there := jobs[j.Extends]; j.Extends != "" && !there {
			t.Errorf("%s extends %s, which is not there", name, j.Extends)
		}
		forked := len(j.Rules) == 0 || !strings.Contains(j.Rules[0]["if"], "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID")
		if len(j.IDTokens) > 0 && forked {
			t.Errorf("%s gives credentials to merge requests from forks: %v", name, j.Rules)
		}
	}
	if len(jobs) != 3 || len(jobs["plumbline-plan"].IDTokens) != 1 {
		t.Errorf("the jobs are %v", jobs)
	}
}
