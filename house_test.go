package plumbline_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/plumbline/plumbline"

// levels is the house: a package may import those of lower levels only. A new folder gets its place here.
var levels = map[string]int{ // :: first folder → level
	"pipeline":  0,
	"source":    1,
	"differ":    1,
	"live":      1,
	"journal":   1,
	"sync":      2,
	"execution": 2,
	"metrics":   3,
	"web":       3,
	"cmd":       4,
	"deploy":    4, // tests of the files for operators
	"bench":     4, // measures the program from outside; nothing imports it
	"sim":       4, // tests of all of it together, in simulated time

	// These two stand beside the house: they import nothing of ours, and only programs import them.
	"config":   3,
	"emulator": 3,
}

// file is one Go file as the rules see it.
type file struct {
	room    string // first folder, "" for the root
	test    bool
	imports map[string]string // :: path → name, "" where none is given
	clock   bool              // asks for the time
}

// rule is one arrow. why is said, after the place and the import, when it breaks.
type rule struct {
	broken func(f file, imported string) bool
	why    string
}

// Test files are held to the arrows between our own packages only: they may use any test library, read their own
// testdata, and start the emulator.
var rules = []rule{
	{
		func(f file, imported string) bool {
			to := room(imported)
			if to == f.room || to == "" || f.room == "" || (f.test && to == "emulator" && f.room != "config") {
				return false
			}
			return levels[to] >= levels[f.room]
		},
		"imports point downward only (cmd → {web, metrics} → {sync, execution} → {source, differ, live, journal} → pipeline), so that each package can be read, tested and changed with only those below it in mind",
	},
	{
		func(f file, imported string) bool {
			return room(imported) == "config" && f.room != "config" && f.room != "cmd" && (f.room != "deploy" || !f.test)
		},
		"only cmd knows how a configuration is written: every other package has a Config struct of its own, which cmd fills; the tests of deploy may read the samples there",
	},
	{
		func(f file, imported string) bool {
			return room(imported) == "emulator" && f.room != "emulator" && f.room != "cmd" && f.room != "bench" && !f.test
		},
		"the emulator is for tests, for two commands and for bench: nothing that talks to AWS may depend on our idea of it",
	},
	{
		func(f file, imported string) bool {
			return (f.room == "emulator" || f.room == "config") && room(imported) != "" && room(imported) != f.room
		},
		"the emulator and config import nothing of ours: an emulator that shared our code could not disagree with it, and a configuration is only data",
	},
	{
		func(f file, imported string) bool {
			return f.room == "emulator" && !f.test && !strings.HasPrefix(imported, module) && strings.Contains(firstPart(imported), ".")
		},
		"the emulator uses the standard library only, so that others can embed it and nothing in it comes from the SDK that it is to be tested with",
	},
	{
		func(f file, imported string) bool {
			return !f.test && (f.room == "pipeline" || f.room == "differ") &&
				(imported == "context" || imported == "io/fs" || within(imported, "os", "net", "syscall"))
		},
		"pipeline and differ do no I/O and take no ctx: they are functions from values to values, which is why they can be tested by tables and trusted with plans",
	},
	{
		func(f file, imported string) bool {
			return !f.test && within(imported, "github.com/aws") && f.room != "live" && f.room != "cmd" && f.room != "bench"
		},
		"the AWS SDK is for live, where its retries and limits are tamed, for the credentials in cmd, and for the floor in bench",
	},
	{
		func(f file, imported string) bool {
			return !f.test && within(imported, "github.com/go-git", "github.com/fsnotify") && f.room != "source"
		},
		"where files come from is known to source alone: everybody else gets a Snapshot",
	},
	{
		func(f file, imported string) bool {
			return !f.test && within(imported, "github.com/prometheus") && f.room != "metrics" && f.room != "cmd"
		},
		"packages report what they did as values, and only metrics (and its wiring in cmd) counts them",
	},
	{
		func(f file, imported string) bool {
			_, ours := f.imports[module+"/sync"]
			return imported == "sync" && (ours || f.room == "sync") && f.imports["sync"] != "stdsync"
		},
		`in our package sync and in files that import it, the standard one is stdsync "sync", so that sync has one meaning per file`,
	},
}

// TestHouse holds the arrows between packages that docs/design.md describes.
func TestHouse(t *testing.T) {
	broken, files := violations(os.DirFS("."))
	for _, b := range broken {
		t.Error(b)
	}
	if files < 10 {
		t.Errorf("only %d Go files found: the test does not look at the repository", files)
	}
}

// violations returns a sentence for each broken arrow of a tree, and the number of files looked at.
func violations(tree fs.FS) (broken []string, files int) {
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "tools"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		files++
		source, err := fs.ReadFile(tree, name)
		if err == nil {
			var more []string
			more, err = inspect(name, source)
			broken = append(broken, more...)
		}
		return err
	})
	if err != nil {
		broken = append(broken, err.Error())
	}
	return broken, files
}

// inspect applies the rules to one file.
func inspect(name string, source []byte) ([]string, error) {
	f, err := parse(name, source)
	if err != nil {
		return nil, err
	}
	var broken []string
	if _, known := levels[f.room]; !known && f.room != "" {
		broken = append(broken, fmt.Sprintf("%s: the folder %s has no place in the house; give it one in levels in house_test.go and in docs/design.md", name, f.room))
	}
	if f.clock {
		broken = append(broken, fmt.Sprintf("%s asks for the time: pipeline and differ give the same answer at any time", name))
	}
	for imported := range f.imports {
		for _, r := range rules {
			if r.broken(f, imported) {
				broken = append(broken, fmt.Sprintf("%s imports %s: %s", name, imported, r.why))
			}
		}
	}
	slices.Sort(broken)
	return broken, nil
}

func parse(name string, source []byte) (file, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	f := file{test: strings.HasSuffix(name, "_test.go"), imports: map[string]string{}}
	if folder, _, found := strings.Cut(name, "/"); found {
		f.room = folder
	}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, fmt.Errorf("%s: reading an import: %w", name, err)
		}
		f.imports[imported] = ""
		if spec.Name != nil {
			f.imports[imported] = spec.Name.Name
		}
	}
	if !f.test && (f.room == "pipeline" || f.room == "differ") {
		f.clock = asksTime(syntax)
	}
	return f, nil
}

// asksTime reports whether a file calls one of the functions of package time that depend on the clock.
func asksTime(syntax *ast.File) (found bool) {
	ast.Inspect(syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		found = found || ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick"}, sel.Sel.Name)
		return true
	})
	return found
}

// room returns the first folder of one of our packages, "" for all others.
func room(imported string) string {
	rest, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return ""
	}
	return firstPart(rest)
}

func firstPart(imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	return first
}

// within reports whether a package is one of trees or below one.
func within(imported string, trees ...string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return imported == tree || strings.HasPrefix(imported, tree+"/")
	})
}

// TestHouseCanFail shows each arrow breaking, and what must not count as broken.
func TestHouseCanFail(t *testing.T) {
	const ours = module + "/"
	tests := []struct {
		name, file, source string
		want               string // in the one violation; "" for none
	}{
		{"downward", "sync/a.go", `import "` + ours + `live"`, ""},
		{"upward", "live/a.go", `import "` + ours + `sync"`, "downward only"},
		{"sideways", "source/a.go", `import "` + ours + `differ"`, "downward only"},
		{"sideways, higher", "execution/a.go", `import _ "` + ours + `sync"`, "downward only"},
		{"upward in a test", "pipeline/a_test.go", `import "` + ours + `differ"`, "downward only"},
		{"below its own folder", "cmd/plumbline/a.go", `import "` + ours + `cmd/other"`, ""},
		{"config in cmd", "cmd/plumbline/a.go", `import "` + ours + `config"`, ""},
		{"config in tests of samples", "deploy/a_test.go", `import "` + ours + `config"`, ""},
		{"config in deploy", "deploy/a.go", `import "` + ours + `config"`, "only cmd knows"},
		{"config in metrics", "metrics/a.go", `import "` + ours + `config"`, "only cmd knows"},
		{"ours in config", "config/a.go", `import "` + ours + `pipeline"`, "import nothing of ours"},
		{"emulator in cmd", "cmd/plumbline/a.go", `import "` + ours + `emulator"`, ""},
		{"emulator in a test", "live/a_test.go", `import "` + ours + `emulator"`, ""},
		{"emulator in the house", "web/a.go", `import "` + ours + `emulator"`, "for tests, for two commands"},
		{"ours in the emulator", "emulator/a_test.go", `import "` + ours + `pipeline"`, "could not disagree"},
		{"a library in the emulator", "emulator/a.go", `import "example.com/x"`, "standard library only"},
		{"a library in its tests", "emulator/a_test.go", `import "github.com/aws/aws-sdk-go-v2/service/codepipeline"`, ""},
		{"the standard library in the emulator", "emulator/a.go", `import "net/http"`, ""},
		{"network in pipeline", "pipeline/a.go", `import "net/netip"`, "no I/O"},
		{"files in differ", "differ/a.go", `import "os"`, "no I/O"},
		{"ctx in differ", "differ/a.go", `import "context"`, "take no ctx"},
		{"files in a test", "differ/a_test.go", `import "os"`, ""},
		{"the clock in differ", "differ/a.go", `import "time"; var start = time.Now()`, "asks for the time"},
		{"times in differ", "differ/a.go", `import "time"; const day = 24 * time.Hour`, ""},
		{"the SDK in live", "live/a.go", `import "github.com/aws/smithy-go"`, ""},
		{"the SDK in sync", "sync/a.go", `import "github.com/aws/smithy-go"`, "AWS SDK"},
		{"git in cmd", "cmd/plumbline/a.go", `import "github.com/go-git/go-git/v5"`, "Snapshot"},
		{"git in source", "source/a.go", `import "github.com/go-git/go-billy/v5"`, ""},
		{"counting in sync", "sync/a.go", `import "github.com/prometheus/client_golang/prometheus"`, "only metrics"},
		{"two meanings of sync", "cmd/plumbline/a.go", `import ("sync"; plumb "` + ours + `sync")`, "one meaning"},
		{"std sync in sync", "sync/a_test.go", `import "sync"`, "one meaning"},
		{"stdsync in sync", "sync/a.go", `import stdsync "sync"`, ""},
		{"sync elsewhere", "live/a.go", `import "sync"`, ""},
		{"a new folder", "internal/x/a.go", "", "no place in the house"},
		{"a new folder of tests", "deployment/a_test.go", "", "no place in the house"},
		{"tools and testdata", "tools/a.go", `import "` + ours + `cmd"`, ""},
		{"no Go", "live/a.go", "}", "expected declaration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := fstest.MapFS{tt.file: {Data: []byte("package p\n" + tt.source)}}
			got, _ := violations(tree)
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("complains: %q", got)
			case tt.want != "" && (len(got) == 0 || !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, tt.want) })):
				t.Errorf("got %q, want a sentence with %q", got, tt.want)
			}
		})
	}
}
