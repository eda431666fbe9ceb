package pipeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// awsShape is one shape of the service's own model, as far as the table follows it.
type awsShape struct {
	Type     string
	Required []string
	Members  map[string]struct{ Shape string }
	Member   struct{ Shape string }
	Key      struct{ Shape string }
	Value    struct{ Shape string }
	Min, Max int
	Pattern  string
	Enum     []string
}

// awsDifferences is where the table is not the model, and why.
var awsDifferences = map[string]string{
	"pipeline.stages[].actions[].configuration{}: max 1000, here 50000":         "the live service reports 50,000 (CP-F07); from 1,001 on there is a warning",
	"pipeline.stages[].actions[].roleArn: min 0, here 1":                        "no text of length 0 matches the pattern; so the message says that it is empty",
	"pipeline.roleArn: min 0, here 1":                                           "as above",
	"pipeline.stages[].beforeEntry.conditions[].rules[].roleArn: min 0, here 1": "as above",
	"pipeline.stages[].onSuccess.conditions[].rules[].roleArn: min 0, here 1":   "as above",
	"pipeline.stages[].onFailure.conditions[].rules[].roleArn: min 0, here 1":   "as above",
	"pipeline.artifactStores: min 0, here 1":                                    "a pipeline without any store is refused all the same (CP-X02)",
}

// TestAgainstAWS compares the table with the model of the AWS SDK for Python, where that is installed.
func TestAgainstAWS(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "python3", "-c", `import botocore.loaders, json
print(json.dumps(botocore.loaders.Loader().load_service_model("codepipeline", "service-2", "2015-07-09")["shapes"]))`).Output()
	if err != nil {
		t.Skip("python3 with botocore is not installed: ", err)
	}
	shapes := map[string]awsShape{}
	if err := json.Unmarshal(out, &shapes); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	report := func(path, format string, args ...any) {
		difference := path + ": " + fmt.Sprintf(format, args...)
		found[difference] = true
		if awsDifferences[difference] == "" {
			t.Error(difference)
		}
	}
	rows := 0
	var compare func(path string, aws awsShape, ours *Shape)
	compare = func(path string, aws awsShape, ours *Shape) {
		rows++
		kind := map[string]Kind{"string": String, "integer": Number, "list": Array, "map": Object, "structure": Object}[aws.Type]
		if kind != ours.Kind {
			report(path, "%s, here %s", kind, ours.Kind)
			return
		}
		if aws.Min != ours.Min {
			report(path, "min %d, here %d", aws.Min, ours.Min)
		}
		if aws.Max != ours.Max {
			report(path, "max %d, here %d", aws.Max, ours.Max)
		}
		pattern := ""
		if ours.Pattern != nil {
			pattern = strings.TrimSuffix(strings.TrimPrefix(ours.Pattern.String(), "^(?:"), ")$")
		}
		if aws.Pattern != pattern {
			report(path, "pattern %s, here %s", aws.Pattern, pattern)
		}
		if !slices.Equal(slices.Sorted(slices.Values(aws.Enum)), slices.Sorted(slices.Values(ours.Enum))) {
			report(path, "enum %s, here %s", aws.Enum, ours.Enum)
		}
		switch aws.Type {
		case "list":
			compare(path+"[]", shapes[aws.Member.Shape], ours.Elem)
		case "map":
			compare(path+"{key}", shapes[aws.Key.Shape], ours.Names)
			compare(path+"{}", shapes[aws.Value.Shape], ours.Elem)
		case "structure":
			for _, name := range slices.Sorted(maps.Keys(aws.Members)) {
				field := ours.Field(name)
				if field == nil {
					report(path, "%s is not here", name)
					continue
				}
				if slices.Contains(aws.Required, name) != field.Required {
					report(path, "%s required, here %v", name, field.Required)
				}
				compare(path+"."+name, shapes[aws.Members[name].Shape], field.Shape)
			}
			for _, field := range ours.Fields {
				if _, ok := aws.Members[field.Name]; !ok {
					report(path, "%s is only here", field.Name)
				}
			}
		}
	}
	compare("pipeline", shapes["PipelineDeclaration"], Declaration)
	compare("tags", shapes["TagList"], tagList)
	t.Logf("%d rows compared, %d differ for a reason", rows, len(found))
	for difference, why := range awsDifferences {
		if !found[difference] {
			t.Errorf("%s (%s): there is no such difference any more", difference, cmp.Or(why, "?"))
		}
	}
}
