package emulator_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
)

const corpus = "../../shared/corpus"

// exceptions are the exports that are not read back as they are, and why.
var exceptions = map[string]exception{
	"010": {why: "the file was written by hand: no read of the service lacks the empty lists", change: func(export doc) {
		eachAction(export["pipeline"].(doc), func(a doc) {
			for _, k := range []string{"inputArtifacts", "outputArtifacts"} {
				if a[k] == nil {
					a[k] = []any{}
				}
			}
		})
	}},
	"045": {why: "a live V2 pipeline without the default trigger, against the reports it is built on", opts: emulator.Options{NoDefaultTrigger: true}},
	"124": {why: "the name in the ARN was changed, the one in the pipeline was not", change: func(export doc) {
		m := export["metadata"].(doc)
		m["pipelineArn"] = strings.Replace(m["pipelineArn"].(string), ":coorp-staging-codepipeline-store", ":codepipeline-test", 1)
	}},
}

type exception struct {
	why    string
	opts   emulator.Options
	change func(export doc)
}

// TestExports creates what others exported from live pipelines and reads it back: the two must be the same.
func TestExports(t *testing.T) {
	files, _ := filepath.Glob(corpus + "/*.json")
	if len(files) == 0 {
		t.Skip("the corpus of real documents is not here")
	}
	exports := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var export doc
		if err := json.Unmarshal(b, &export); err != nil || export["metadata"] == nil {
			continue
		}
		exports++
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			ex := exceptions[name[:3]]
			if ex.change != nil {
				ex.change(export)
			}
			readBack(t, ex.opts, export["pipeline"].(doc), export["metadata"].(doc))
		})
	}
	if exports != 20 {
		t.Errorf("%d exports in the corpus, want 20", exports)
	}
}

func readBack(t *testing.T, opts emulator.Options, export, metadata doc) {
	_, url := serve(t, opts)
	arn := strings.Split(metadata["pipelineArn"].(string), ":")
	authorization := strings.NewReplacer("eu-west-1", arn[3], account, arn[4]).Replace(credential)
	request := normal(t, export)
	delete(request, "version")
	eachAction(request, func(a doc) {
		for k, v := range a["configuration"].(doc) {
			if v == "****" {
				a["configuration"].(doc)[k] = "dummy"
			}
		}
	})
	body, err := json.Marshal(doc{"pipeline": request})
	if err != nil {
		t.Fatal(err)
	}
	if status, reply, _ := post(t, url, "CodePipeline_20150709.CreatePipeline", authorization, string(body)); status != 200 {
		t.Fatalf("refused: %v", reply)
	}
	_, reply, _ := post(t, url, "CodePipeline_20150709.GetPipeline", authorization, fmt.Sprintf(`{"name":%q}`, export["name"]))
	want := normal(t, export)
	want["version"] = 1.0
	if diff := cmp.Diff(want, reply["pipeline"]); diff != "" {
		t.Errorf("the export (-) is read back as (+):\n%s", diff)
	}
	if got := reply["metadata"].(doc)["pipelineArn"]; got != metadata["pipelineArn"] {
		t.Errorf("ARN is %v, want %v", got, metadata["pipelineArn"])
	}
}

// normal is a copy of an export with the differences that are no differences: what the service did not show when
// the export was made (types and modes came in 2023), and what people did to the file.
func normal(t *testing.T, export doc) (p doc) {
	t.Helper()
	b, err := json.Marshal(export)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]any{"pipelineType": "V1", "executionMode": "SUPERSEDED"} {
		if p[k] == nil {
			p[k] = v
		}
	}
	eachAction(p, func(a doc) {
		delete(a["actionTypeId"].(doc), "__type") // very old CLIs printed it
	})
	return p
}

func eachAction(p doc, f func(a doc)) {
	for _, st := range p["stages"].([]any) {
		for _, a := range st.(doc)["actions"].([]any) {
			f(a.(doc))
		}
	}
}
