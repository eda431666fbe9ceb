package pipeline

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// hostile makes files that are bad in one way n times over. Each is to take time in proportion to its size.
var hostile = []struct {
	name string
	most int // the n at which the file is about as large as a file may be
	file func(n int) string
}{
	{"nested arrays", 8000, func(n int) string {
		return declaring(`"stages": [` + times(n, ",", strings.Repeat("[", MaxDepth-2)+strings.Repeat("]", MaxDepth-2)) + `]`)
	}},
	{"unknown members", 50_000, func(n int) string { return declaring(times(n, ",", `"member%d": 1`)) }},
	{"one name in many letter cases", 30_000, func(n int) string {
		return declaring(joinedTimes(n, ",", func(i int) string {
			name := []byte("abcdefghijklmnop")
			for bit := range name {
				if i>>bit&1 == 1 {
					name[bit] -= 'a' - 'A'
				}
			}
			return fmt.Sprintf(`"%s": 1`, name)
		}))
	}},
	{"one name", 50_000, func(n int) string { return declaring(times(n, ",\n", `"abcdefgh": 1`)) }},
	{"nulls", 50_000, func(n int) string { return declaring(times(n, ",\n", `"member%d": null`)) }},
	{"empty stages", 90_000, func(n int) string { return declaring(`"stages": [` + times(n, ",\n", `{}`) + `]`) }},
	{"stages", 7000, func(n int) string {
		return declaring(`"stages": [` + times(n, ",", `{"name": "s%d", "actions": [`+actionText+`]}`) + `]`)
	}},
	{"stages of one name", 10_000, func(n int) string {
		return declaring(`"stages": [` + times(n, ",", `{"name": "s", "actions": []}`) + `]`)
	}},
	{"actions", 3500, func(n int) string {
		return inStage(times(n, ",", `{"name": "a%[1]d", "runOrder": %[1]d, "namespace": "n%[1]d", "outputArtifacts": [{"name": "o%[1]d"}], "inputArtifacts": [{"name": "i%[1]d"}], "configuration": {"x": "#{n.y}"}, `+typeText+`}`))
	}},
	{"source actions", 4000, func(n int) string {
		return declaring(`"triggers": [` + times(50, ",", `{"providerType": "CodeStarSourceConnection", "gitConfiguration": {"sourceActionName": "x%d", "push": [{}]}}`) + `], "stages": [{"name": "s", "actions": [` +
			times(n, ",", `{"name": "a%[1]d", "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "CodeStarSourceConnection", "version": "1"}, "configuration": {"FullRepositoryId": "o/r", "BranchName": "b%[1]d"}}`) + `]}]`)
	}},
	{"input artifacts", 20_000, func(n int) string {
		return inStage(`{"name": "a", "inputArtifacts": [` + times(n, ",", `{"name": "i%d"}`) + `], ` + typeText + `}`)
	}},
	{"output artifacts", 20_000, func(n int) string {
		return inStage(`{"name": "a", "outputArtifacts": [` + times(n, ",", `{"name": "i%d"}`) + `], ` + typeText + `}`)
	}},
	{"configuration keys", 30_000, func(n int) string {
		return inStage(`{"name": "a", "configuration": {` + times(n, ",", `"ProjectName%d": "x"`) + `}, ` + typeText + `}`)
	}},
	{"references in one value", 20_000, func(n int) string { return configured("ProjectName", times(n, " ", "#{space%d.key}")) }},
	{"open references", 200_000, func(n int) string { return configured("ProjectName", times(n, "", "#{a")) }},
	{"unknown variables", 20_000, func(n int) string { return configured("ProjectName", times(n, " ", "${var.name%d}")) }},
	{"open variables", 150_000, func(n int) string { return configured("ProjectName", times(n, "", "${var.")) }},
	{"escapes", 80_000, func(n int) string { return configured("ProjectName", times(n, "", `\ud83d\ude00`)) }},
	{"findings in a string", 30_000, func(n int) string {
		return configured("EnvironmentVariables", "["+times(n, ",", `{\"n\u0061me\": %d}`)+"]")
	}},
	{"wrong words in a string", 100_000, func(n int) string { return configured("Capabilities", times(n, ",", "CAP%d")) }},
	{"variables", 20_000, func(n int) string { return declaring(`"variables": [` + times(n, ",", `{"name": "v"}`) + `]`) }},
	{"triggers", 5000, func(n int) string {
		return declaring(`"triggers": [` + times(n, ",", `{"gitConfiguration": {"sourceActionName": "x%d", "push": [{}, {}, {}]}}`) + `]`)
	}},
	{"filters", 20_000, func(n int) string {
		return declaring(`"triggers": [{"gitConfiguration": {"sourceActionName": "x", "push": [` + times(n, ",", `{"branches": {"includes": ["b%d"]}}`) + `]}}]`)
	}},
	{"rules of a condition", 6000, func(n int) string {
		return declaring(`"stages": [{"name": "s"}, {"name": "t", "beforeEntry": {"conditions": [{"rules": [` +
			times(n, ",", `{"name": "r%d", "inputArtifacts": [{"name": "i"}], "ruleTypeId": {"category": "Rule", "provider": "LambdaInvoke"}, "configuration": {"FunctionName": "#{rule.x}"}}`) + `]}]}}]`)
	}},
	{"stores", 10_000, func(n int) string {
		return declaring(`"artifactStores": {` + times(n, ",", `"region-%d": {"type": "S3", "location": "b"}`) + `}`)
	}},
	{"tags", 20_000, func(n int) string {
		return `{"pipeline": {"name": "p", "stages": []}, "tags": [` + times(n, ",", `{"key": "k", "value": "*"}`) + `]}`
	}},
	{"placeholders", 30_000, func(n int) string {
		return inStage(`{"name": "a", "configuration": {` + times(n, ",\n", `"k%d": "<your-value>"`) + `}, ` + typeText + `}`)
	}},
	{"braces", 500_000, func(n int) string { return strings.Repeat("{\n", n) }},
	{"lines of text", 100_000, func(n int) string { return strings.Repeat("key: -\n", n) }},
}

const (
	typeText   = `"actionTypeId": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"}`
	actionText = `{"name": "a", ` + typeText + `}`
)

// declaring puts members into a declaration.
func declaring(members string) string {
	return `{"name": "p", "roleArn": "arn:aws:iam::123456789012:role/r", ` + members + `}`
}

// inStage puts actions into a declaration.
func inStage(actions string) string {
	return declaring(`"stages": [{"name": "s", "actions": []}, {"name": "t", "actions": [` + actions + `]}]`)
}

// configured puts one configuration value into a declaration.
func configured(key, value string) string {
	return inStage(fmt.Sprintf(`{"name": "a", "configuration": {%q: "%s"}, %s}`, key, value, typeText))
}

// times joins n copies of a text, in which %d is the number of the copy.
func times(n int, separator, text string) string {
	return joinedTimes(n, separator, func(i int) string {
		if strings.Contains(text, "%") {
			return fmt.Sprintf(text, i)
		}
		return text
	})
}

func joinedTimes(n int, separator string, text func(i int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = text(i)
	}
	return strings.Join(parts, separator)
}

var hostileTarget = Target{
	Name: "prod", Region: "eu-west-1", Account: "123456789012", Partition: "aws", Vars: map[string]string{"env": "prod"},
	Rules: map[string]Severity{"CP-R07": Warning, "CP-T08": Warning}, Allow: &Fences{Roles: []string{"arn:*"}},
}

// TestLinear compares the memory that a file takes with that of a file twice as large. It would not see a loop that
// only looks at what is there; BenchmarkHostile shows how long each takes.
func TestLinear(t *testing.T) {
	const (
		n      = 1500 // more than the 1,000 findings that are kept, so that they count the same in both
		factor = 2.3  // lists and maps grow by doubling
		slack  = 64 << 10
	)
	for _, h := range hostile {
		once, twice := bytesOf(h.file(n)), bytesOf(h.file(2*n))
		if twice > factor*once+slack {
			t.Errorf("%s: %.0f bytes for %d of them, and %.0f for twice as many", h.name, once, n, twice)
		}
	}
}

// bytesOf returns how much memory is allocated to judge a file.
func bytesOf(text string) float64 {
	var least uint64
	for range 2 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		check("f.json", []byte(text), hostileTarget)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; least == 0 || used < least {
			least = used
		}
	}
	return float64(least)
}

// BenchmarkHostile judges the worst files that we know, each as large as it may be, and half as large.
func BenchmarkHostile(b *testing.B) {
	for _, h := range hostile {
		for _, n := range []int{h.most / 2, h.most} {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(h.name, " ", "_"), n), func(b *testing.B) {
				data := []byte(h.file(n))
				if len(data) > MaxFileSize {
					b.Fatalf("%d bytes are too many", len(data))
				}
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					check("f.json", slices.Clone(data), hostileTarget)
				}
			})
		}
	}
}
