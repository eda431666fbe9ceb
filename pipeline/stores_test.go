package pipeline

import "testing"

// Where the target is known, so is the pipeline's own region; where it is not, what stands in for it is not judged.
func TestRegions(t *testing.T) {
	at := func(region string) []string {
		return []string{`"configuration": {"ProjectName"`, `"region": "` + region + `", "configuration": {"ProjectName"`}
	}
	source := func(region string) []string {
		return []string{`"configuration": {"S3Bucket"`, `"region": "` + region + `", "configuration": {"S3Bucket"`}
	}
	stores := func(names ...string) []string {
		list := ""
		for i, name := range names {
			if i > 0 {
				list += ", "
			}
			list += `"` + name + `": {"type": "S3", "location": "web"}`
		}
		return []string{`"artifactStore": {"type": "S3", "location": "web-artifacts"}`, `"artifactStores": {` + list + `}`}
	}
	join := func(edits ...[]string) (all []string) {
		for _, e := range edits {
			all = append(all, e...)
		}
		return all
	}
	tests := map[string]struct {
		edits        []string
		want, nobody string // for a target in eu-west-1, and without one
	}{
		"own region":                {at("eu-west-1"), "", ""},
		"another region":            {at("us-east-1"), "13:18 CP-X01", ""},
		"two regions":               {join(source("eu-west-1"), at("us-east-1")), "13:18 CP-X01", "13:18 CP-X01"},
		"a variable, another":       {join(source("${target.region}"), at("us-east-1")), "13:18 CP-X01", ""},
		"a variable, the same":      {join(source("${target.region}"), at("eu-west-1")), "", ""},
		"a store of another region": {stores("us-east-1"), "4:21 CP-X02, 4:22 CP-X06", ""},
		"no store":                  {join(stores("eu-west-1"), at("us-east-1")), "13:18 CP-X02", "13:18 CP-X02"},
		"stores for both":           {join(stores("eu-west-1", "us-east-1"), at("us-east-1")), "", ""},
		"own store by variable":     {join(stores("${target.region}", "us-east-1"), at("us-east-1")), "", ""},
		"a store too many":          {join(stores("eu-west-1", "us-east-1")), "4:70 CP-X06", "4:22 CP-X06"},
		"a source elsewhere":        {join(stores("eu-west-1", "us-east-1"), source("us-east-1")), "8:18 CP-X04", ""},
		"a region that is none":     {join(stores("eu-west-1"), at("mars-north-1")), "13:18 CP-F12", "13:18 CP-F12"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := []byte(edited(t, test.edits...))
			for _, c := range []struct {
				target Target
				want   string
			}{{eu(), test.want}, {Target{}, test.nobody}} {
				if _, problems := check("f", file, c.target); brief(problems) != c.want {
					t.Errorf("target %q: got %s, want %s\n%s", c.target.Name, brief(problems), c.want, told(problems))
				}
			}
		})
	}
}

// References to variables: who may use what, when.
func TestReferences(t *testing.T) {
	tests := map[string]struct{ value, want string }{
		"execution":          {"#{codepipeline.PipelineExecutionId}", ""},
		"source":             {"#{Src.VersionId}", ""},
		"in JSON":            {`[{\"name\": \"V\", \"value\": \"#{Src.ETag}\"}]`, ""},
		"in JSON, wrong":     {`[{\"name\": \"V\", \"value\": \"#{Sorc.ETag}\"}]`, "13:90 CP-N04"},
		"letter case":        {"#{src.VersionId}", "13:58 CP-N04"},
		"unknown key":        {"#{Src.CommitId}", "13:58 CP-N12"},
		"rule":               {"#{rule.Check}", "13:58 CP-N04"},
		"no period":          {"#{Src}", "13:58 CP-N04"},
		"no key":             {"#{Src.}", "13:58 CP-N04"},
		"empty":              {"#{}", "13:58 CP-N04"},
		"within another":     {"#{a#{Src.ETag}", ""},
		"never closed":       {"x #{Src.ETag", "13:60 CP-N04"},
		"a variable of ours": {"#{${var.space}.ETag}", ""},
		"just a number sign": {"# {Src.ETag} #", ""},
		"shell":              {"${#list} $# ${x#y}", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := edited(t, `"outputArtifacts"`, `"namespace": "Src", "outputArtifacts"`, `"ProjectName": "web"`, `"ProjectName": "web", "Extra": "`+test.value+`"`)
			if _, problems := check("f", []byte(file), Target{Rules: map[string]Severity{"CP-A04": Off}}); brief(problems) != test.want {
				t.Errorf("got %s, want %s\n%s", brief(problems), test.want, told(problems))
			}
		})
	}
}
