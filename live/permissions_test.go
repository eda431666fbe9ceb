package live

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// clients are those of the AWS services that this package imports, by import path.
var clients = map[string]any{
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail":               &cloudtrail.Client{},
	"github.com/aws/aws-sdk-go-v2/service/codepipeline":             &codepipeline.Client{},
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi": &resourcegroupstaggingapi.Client{},
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager":           &secretsmanager.Client{},
	"github.com/aws/aws-sdk-go-v2/service/sqs":                      &sqs.Client{},
	"github.com/aws/aws-sdk-go-v2/service/ssm":                      &ssm.Client{},
	"github.com/aws/aws-sdk-go-v2/service/sts":                      &sts.Client{},
}

// TestPermissionsComplete holds the table of operations to the code: what is sent is in it, and what is in it is
// sent. The policies that people give us are made from it.
func TestPermissionsComplete(t *testing.T) {
	sent := map[string]bool{}    // :: operation → a method of an SDK client by that name is used
	used := map[string]int{}     // :: variable opX → uses
	provides := map[string]int{} // :: package of credentials providers → uses
	for _, f := range sources(t) {
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if _, known := clients[path]; strings.Contains(path, "/service/") && !known {
				t.Errorf("%s is called too: add it to clients in this test", path)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "stscreds" {
					provides[n.Sel.Name]++
				}
				sent[n.Sel.Name] = sent[n.Sel.Name] || isOperation(n.Sel.Name)
			case *ast.Ident:
				if strings.HasPrefix(n.Name, "op") && len(n.Name) > 2 && n.Name[2] >= 'A' && n.Name[2] <= 'Z' {
					used[n.Name]++
				}
			}
			return true
		})
	}
	maps.DeleteFunc(sent, func(_ string, is bool) bool { return !is })
	sent["AssumeRole"] = provides["NewAssumeRoleProvider"] > 0
	for name := range provides {
		if name != "NewAssumeRoleProvider" && name != "AssumeRoleOptions" {
			t.Errorf("stscreds.%s may call STS: say in the table of operations what it calls", name)
		}
	}
	got, want := slices.Sorted(maps.Keys(operations)), slices.Sorted(maps.Keys(sent))
	if !slices.Equal(got, want) {
		t.Errorf("the table of operations has\n%q, and the code calls\n%q", got, want)
	}
	for name, n := range used {
		if n < 3 { // its declaration, the table, and somebody who sends it
			t.Errorf("%s is declared and never sent", name)
		}
	}
	if len(used) != len(operations) {
		t.Errorf("%d operations are declared, %d are in the table", len(used), len(operations))
	}
}

// sources parses the package without its tests.
func sources(t *testing.T) (files []*ast.File) {
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// isOperation reports whether one of the clients has an operation of that name.
func isOperation(name string) bool {
	for _, client := range clients {
		if m, ok := reflect.TypeOf(client).MethodByName(name); ok && m.Type.NumIn() > 2 {
			return true
		}
	}
	return false
}

// readVerb begins the names of operations that change nothing of ours.
var readVerb = regexp.MustCompile(`^(Get|List|Describe|Lookup|Assume)`)

func TestPermissions(t *testing.T) {
	for _, p := range Permissions() {
		switch service, name, _ := strings.Cut(p.Action, ":"); {
		case slices.Contains(Secret, p.Action):
			t.Errorf("%s hands out secrets", p.Action)
		case service == "" || name == "" || p.Level == "":
			t.Errorf("%+v is not whole", p)
		case p.Level == QueueLevel: // taking events off a queue is part of reading them
		case p.Write == readVerb.MatchString(name):
			t.Errorf("%+v: its name says otherwise", p)
		case p.Write && p.Level != PipelineLevel:
			t.Errorf("%+v: a write is about one pipeline", p)
		}
	}
}
