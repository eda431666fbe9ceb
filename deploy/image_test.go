package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func absent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

// instruction is one of a Dockerfile, its lines joined.
type instruction struct{ name, rest string }

// dockerfile returns the stages of the Dockerfile; what stands before the first FROM is the first of them.
func dockerfile(t *testing.T) [][]instruction {
	t.Helper()
	joined := strings.ReplaceAll(read(t, "../Dockerfile"), "\\\n", " ")
	stages := [][]instruction{nil}
	for line := range strings.Lines(joined) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		if name == "FROM" {
			stages = append(stages, nil)
		}
		last := len(stages) - 1
		stages[last] = append(stages[last], instruction{name, strings.TrimSpace(rest)})
	}
	return stages
}

// argument returns what follows an instruction of a stage, "" where there is none.
func argument(stage []instruction, name string) string {
	i := slices.IndexFunc(stage, func(in instruction) bool { return in.name == name })
	if i < 0 {
		return ""
	}
	return stage[i].rest
}

// variables returns what the image sets, in the form of os.Environ.
func variables(t *testing.T) []string {
	stages := dockerfile(t)
	return strings.Fields(argument(stages[len(stages)-1], "ENV"))
}

// imageVariables returns those of them that override a configuration.
func imageVariables(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(variables(t), func(v string) bool { return !strings.HasPrefix(v, "PLUMBLINE_") })
}

// plumbline runs the program and returns what it printed. Go keeps what it builds for that.
func plumbline(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"run", "../cmd/plumbline"}, args...)...).CombinedOutput()
	return string(out), err
}

// knows complains if the program does not know a command with its flags.
func knows(t *testing.T, args []string) {
	t.Helper()
	if out, err := plumbline(t, append(slices.Clone(args), "--help")...); err != nil || !strings.Contains(out, "Usage:\n  plumbline "+args[0]) {
		t.Errorf("plumbline %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// list reads the JSON form of CMD and ENTRYPOINT.
func list(t *testing.T, rest string) (all []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(rest), &all); err != nil || len(all) == 0 {
		t.Errorf("%q is no list, so there would have to be a shell: %v", rest, err)
	}
	return all
}

// TestDockerfile compares the Dockerfile with what it is built from.
func TestDockerfile(t *testing.T) {
	stages := dockerfile(t)
	if len(stages) != 3 || argument(stages[2], "FROM") != "scratch" {
		t.Fatalf("%d stages, the last from %q", len(stages)-1, argument(stages[len(stages)-1], "FROM"))
	}
	floor := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch([]byte(read(t, "../go.mod")))
	image := regexp.MustCompile(`^GO_IMAGE=golang:([0-9.]+)-`).FindStringSubmatch(argument(stages[0], "ARG"))
	if image == nil || floor == nil || version.Compare("go"+image[1], "go"+string(floor[1])) < 0 {
		t.Errorf("it builds with %q, and go.mod wants %q", image, floor)
	}
	source := read(t, "../cmd/plumbline/version.go")
	for _, in := range stages[1] {
		for _, set := range regexp.MustCompile(`-X main\.(\w+)=`).FindAllStringSubmatch(in.rest, -1) {
			if !regexp.MustCompile(`(?m)^var .*\b` + set[1] + `\b.* string$`).MatchString(source) {
				t.Errorf("it sets %s, which version.go does not have", set[1])
			}
		}
	}
	if user := argument(stages[2], "USER"); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("the user is %q, not a number above 0", user)
	}
	last := stages[2]
	if entry := list(t, argument(last, "ENTRYPOINT")); !reflect.DeepEqual(entry, []string{"/plumbline"}) {
		t.Errorf("the entry point is %q", entry)
	}
	knows(t, list(t, argument(last, "CMD")))
	_, check, _ := strings.Cut(argument(last, "HEALTHCHECK"), "CMD ")
	knows(t, list(t, check)[1:])
	listen := configuration(t, "compose/plumbline.yaml", imageVariables(t)...).Web.Listen
	if port := argument(last, "EXPOSE"); listen != ":"+port || !strings.Contains(check, "http://127.0.0.1:"+port+`"`) {
		t.Errorf("it listens on %s, exposes %s, and its health is %s", listen, port, check)
	}
}

// TestDockerignore looks for each package of the program in what is sent to the build.
func TestDockerignore(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "../cmd/plumbline").Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/plumbline/plumbline/"
	sent := strings.Split(read(t, "../.dockerignore"), "\n")
	for line := range strings.Lines(string(out)) {
		name, ours := strings.CutPrefix(strings.TrimSpace(line), module)
		folder, _, _ := strings.Cut(name, "/")
		if ours && !slices.Contains(sent, "!"+folder) {
			t.Errorf("the program imports %s, which .dockerignore keeps from the build: add !%s", name, folder)
		}
	}
	if !slices.Contains(sent, "*") || !slices.Contains(sent, "!cmd") {
		t.Errorf(".dockerignore does not begin with nothing: %q", sent)
	}
}
