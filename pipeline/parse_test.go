package pipeline

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

const base = `{
  "name": "web",
  "roleArn": "arn:aws:iam::123456789012:role/pipeline",
  "artifactStore": {"type": "S3", "location": "web-artifacts"},
  "stages": [
    {"name": "Source", "actions": [
      {"name": "Fetch", "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
       "configuration": {"S3Bucket": "code", "S3ObjectKey": "code.zip", "PollForSourceChanges": "false"},
       "outputArtifacts": [{"name": "Code"}]}
    ]},
    {"name": "Build", "actions": [
      {"name": "Compile", "actionTypeId": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"},
       "configuration": {"ProjectName": "web"},
       "inputArtifacts": [{"name": "Code"}]}
    ]}
  ]
}
`

// edited returns base with texts replaced: old, new, old, new, …
func edited(t testing.TB, pairs ...string) string {
	t.Helper()
	s := base
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(s, pairs[i]) {
			t.Fatalf("base has no %q", pairs[i])
		}
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	return s
}

// brief writes problems as "line:column rule", one after the other.
func brief(problems []Problem) string {
	var all []string
	for _, p := range problems {
		all = append(all, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Rule))
	}
	return strings.Join(all, ", ")
}

func TestEnvelopes(t *testing.T) {
	bare := strings.TrimSpace(base)
	tests := map[string]struct{ file, want string }{
		"bare":                    {bare, ""},
		"schema":                  {`{"$schema": "x",` + bare[1:], ""},
		"version":                 {`{"version": 3,` + bare[1:], "1:13 PL-D04"},
		"wrapped":                 {`{"pipeline": ` + bare + `}`, ""},
		"wrapped, schema":         {`{"$schema": "x", "pipeline": ` + bare + `}`, ""},
		"wrapped, metadata":       {`{"metadata": {"created": 1.5e9}, "pipeline": ` + bare + `}`, "1:14 PL-D03"},
		"wrapped, tags":           {`{"tags": [{"key": "a", "value": ""}], "pipeline": ` + bare + `}`, ""},
		"wrapped, other":          {`{"tag": [], "pipeline": ` + bare + `}`, "1:2 CP-F11"},
		"bare, tags":              {`{"tags": [],` + bare[1:], "1:2 CP-F11"},
		"bare, metadata":          {`{"metadata": {},` + bare[1:], "1:2 CP-F11"},
		"tags no list":            {`{"tags": {"a": "b"}, "pipeline": ` + bare + `}`, "1:10 CP-F10"},
		"tag without value":       {`{"tags": [{"key": "a"}], "pipeline": ` + bare + `}`, "1:11 CP-F01"},
		"pipeline no object":      {`{"pipeline": []}`, "1:14 CP-F10"},
		"pipeline null":           {`{"pipeline": null}`, "1:14 PL-J08"},
		"null":                    {`null`, "1:1 PL-D01"},
		"text":                    {`"x"`, "1:1 PL-D01"},
		"empty object":            {`{}`, "1:1 PL-D02"},
		"only a version":          {`{"version": 3}`, "1:1 PL-D02"},
		"CloudFormation names":    {`{"Name": "x", "Stages": []}`, "1:1 PL-D02"},
		"CloudFormation":          {`{"AWSTemplateFormatVersion": "2010-09-09", "Resources": {}}`, "1:1 PL-D02"},
		"custom action type":      {`{"category": "Build", "provider": "Mine", "version": "1", "settings": {}}`, "1:1 PL-D02"},
		"some other JSON":         {`{"name": "x", "scripts": {}, "devDependencies": {}}`, "1:1 PL-D02"},
		"hardly more than a name": {`{"name": "x"}`, "1:1 CP-F01, 1:1 CP-F01, 1:1 CP-S07"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			doc, problems := check("f", []byte(test.file), Target{})
			if got := brief(problems); got != test.want {
				t.Errorf("got  %s\nwant %s\n%s", got, test.want, told(problems))
			}
			if doc == nil || HasErrors(problems) {
				return
			}
			for _, m := range doc.Declaration().Members {
				if Declaration.Field(m.Name) == nil || m.Name == "version" {
					t.Errorf("the declaration keeps %s", m.Name)
				}
			}
			if wantTags := test.want == "" && strings.Contains(test.file, `"tags"`); (doc.Tags != nil) != wantTags {
				t.Errorf("tags are %v", doc.Tags)
			}
		})
	}
}

func utf16Of(order binary.AppendByteOrder, s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func TestSyntax(t *testing.T) {
	tests := map[string]struct{ file, want, message string }{
		"UTF-16 LE, mark":  {utf16Of(binary.LittleEndian, "\ufeff"+base), "0:0 PL-J02", "UTF-16"},
		"UTF-16 BE, mark":  {utf16Of(binary.BigEndian, "\ufeff"+base), "0:0 PL-J02", "UTF-16"},
		"UTF-16 LE":        {utf16Of(binary.LittleEndian, base), "0:0 PL-J02", "UTF-16"},
		"UTF-16 BE":        {utf16Of(binary.BigEndian, base), "0:0 PL-J02", "UTF-16"},
		"mark, and more":   {"\ufeff{\n \"stages\": [],\n \"x\": ü", "1:1 PL-J02, 3:7 PL-J05", "byte order mark"},
		"no UTF-8":         {"{\n \"ää\": \"\xe4\"}", "2:9 PL-J03", "0xe4"},
		"overlong":         {"{\"a\": \"\xc0\xaf\"}", "1:8 PL-J03", "0xc0"},
		"surrogate, raw":   {"{\"a\": \"\xed\xa0\x80\"}", "1:8 PL-J03", "0xed"},
		"lone surrogate":   {`{"a": "\ud800"}`, "1:8 PL-J05", "surrogate"},
		"low surrogate":    {`{"a": "\udc00x"}`, "1:8 PL-J05", "surrogate"},
		"NUL":              {"{\"a\": \"\x00\"}", "1:8 PL-J05", `'\x00'`},
		"nothing":          {"", "1:1 PL-J04", "empty"},
		"white space":      {" \r\n\t", "1:1 PL-J04", "empty"},
		"too large":        {base + strings.Repeat(" ", MaxFileSize+1-len(base)), "0:0 PL-J01", "1048577"},
		"comma at the end": {"{\n\"a\": [1,\n2,\n]}", "3:2 PL-J05", "a comma stands after the last item"},
		"two commas":       {`[1,,2]`, "1:4 PL-J05", "','"},
		"// comment":       {"{ // why\n}", "1:3 PL-J05", "comment"},
		"/* comment":       {"/* why */ {}", "1:1 PL-J05", "comment"},
		"# comment":        {"{}\n# why", "2:1 PL-J05", "more text follows"},
		"# comment inside": {"{\n# why\n}", "2:1 PL-J05", "comment"},
		"single quotes":    {`{'a': 1}`, "1:2 PL-J05", "single quotes"},
		"no quotes":        {"{\n  pipeline: 1}", "2:3 PL-J05", `"pipeline" stands without quotes`},
		"placeholder":      {`{"a": <ACCOUNT_ID>}`, "1:7 PL-J05", `"<ACCOUNT_ID>" stands without quotes`},
		"True":             {`{"a": True}`, "1:7 PL-J05", `"True" stands without quotes`},
		"text after":       {"{} x", "1:4 PL-J05", "more text follows"},
		"comma after":      {base + " ,", "18:2 PL-J05", "more text follows"},
		"colon after":      {base + ":", "18:1 PL-J05", "more text follows"},
		"brace after":      {"{}\n}", "2:1 PL-J05", "another } follows"},
		"two documents":    {"{}\n{}", "2:1 PL-J05", "a second document follows"},
		"a missing comma":  {"{\"a\": 1\n \"b\": 2}", "2:2 PL-J05", "a comma is missing before this"},
		"open quotes":      {"{\"a\": \"x\n}", "1:9 PL-J05", "runs over the end of its line"},
		"a tab in a text":  {"{\"a\": \"x\ty\"}", "1:9 PL-J05", "tab"},
		"the wrong brace":  {`{"a": [1}`, "1:9 PL-J05", "'}'"},
		"cut off":          {"{\n\"a\": [{\"b\": 1},\n", "3:1 PL-J05", "ends in the middle"},
		"cut in a text":    {`{"a": "b`, "1:9 PL-J05", "ends in the middle"},
		"plus":             {`{"a": +1}`, "1:7 PL-J05", "'+'"},
		"leading zero":     {`{"a": 01}`, "1:8 PL-J05", "'1'"},
		"NaN":              {`{"a": NaN}`, "1:7 PL-J05", "NaN"},
		"65 levels":        {strings.Repeat("[", 65) + strings.Repeat("]", 65), "1:65 PL-J06", "64"},
		"64 levels":        {strings.Repeat("[", 64) + strings.Repeat("]", 64), "1:1 PL-D01", "a list"},
		"65 objects":       {strings.Repeat(`{"a":`, 64) + "{}" + strings.Repeat("}", 64), "1:321 PL-J06", "64"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			doc, problems := check("f", []byte(test.file), Target{})
			if got := brief(problems); got != test.want || doc != nil {
				t.Fatalf("got  %s\nwant %s\n%s", got, test.want, told(problems))
			}
			if !strings.Contains(problems[0].Message, test.message) {
				t.Errorf("%q does not say %q", problems[0].Message, test.message)
			}
		})
	}
	if _, problems := check("f", nil, Target{}); brief(problems) != "1:1 PL-J04" {
		t.Error(problems)
	}
}

// A document cut off anywhere is one problem, and never a document.
func TestCutOff(t *testing.T) {
	whole := strings.TrimSpace(base)
	for i := range len(whole) {
		f, problems := Parse("f", []byte(whole[:i]))
		if f != nil || len(problems) != 1 || !HasErrors(problems) {
			t.Fatalf("cut at %d: %v", i, problems)
		}
	}
}

func TestPlaces(t *testing.T) {
	tests := map[string]struct{ file, want string }{
		"line feed":           {edited(t, `"Build", "owner"`, `"build", "owner"`), "12:56 CP-F04"},
		"CRLF":                {strings.ReplaceAll(edited(t, `"Build", "owner"`, `"build", "owner"`), "\n", "\r\n"), "12:56 CP-F04"},
		"tabs":                {strings.ReplaceAll(edited(t, `"Build", "owner"`, `"build", "owner"`), "      ", "\t"), "12:51 CP-F04"},
		"letters":             {edited(t, `"S3Bucket": "code"`, `"S3Bucket": "cödé 🚀日本", "AllowOverrideForS3ObjectKey": 1`), "8:81 CP-F10"},
		"escaped letters":     {edited(t, `"S3Bucket": "code"`, `"S3Bucket": "c\u00f6de", "K": 1`), "8:51 CP-A04, 8:56 CP-F10"},
		"mark":                {"\ufeff" + edited(t, `"name": "web"`, `"name": "we b"`), "1:1 PL-J02, 2:11 CP-F03"},
		"a path with slashes": {edited(t, `"S3Bucket": "code"`, `"S3Bucket": "code", "a/b~c": 1`), "8:46 CP-A04, 8:55 CP-F10"},
		"all at once": {
			edited(t, `"web",`, `"w b",`, `role/`, `user/`, `"S3",`, `"s3",`, `"Source", "owner"`, `"source", "owner"`, `"web"}`, `7}`, `"Code"}]}
    ]}
  ]`, `"Kode"}]}
    ]}
  ]`),
			"2:11 CP-F03, 3:14 CP-F03, 4:29 CP-F04, 7:54 CP-F04, 7:54 CP-S03, 13:41 CP-F10, 14:36 CP-R02",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, problems := check("f", []byte(test.file), Target{})
			if got := brief(problems); got != test.want {
				t.Errorf("got  %s\nwant %s\n%s", got, test.want, told(problems))
			}
		})
	}
	_, problems := check("f", []byte(tests["a path with slashes"].file), Target{})
	if want := "/stages/0/actions/0/configuration/a~1b~0c"; problems[0].Path != want {
		t.Errorf("the path is %s, want %s", problems[0].Path, want)
	}
}

// Every way to write one name twice is a problem, for every name of the table.
func TestDuplicateNames(t *testing.T) {
	names := []string{}
	var collect func(*Shape)
	collect = func(s *Shape) {
		for _, f := range s.Fields {
			names = append(names, f.Name)
			collect(f.Shape)
		}
		if s.Elem != nil {
			collect(s.Elem)
		}
	}
	collect(Declaration)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for _, twin := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], fmt.Sprintf(`\u%04x%s`, name[0], name[1:]), strings.Replace(name, "s", "ſ", 1)} {
			for _, between := range []string{"", many(20)} { // few and many members are looked at in different ways
				for _, pair := range [][2]string{{name, twin}, {twin, name}} {
					file := fmt.Sprintf("{\"stages\": [],\n\"x\": {\"%s\": 1, %s\n\"%s\": 2}}", pair[0], between, pair[1])
					_, problems := Parse("f", []byte(file))
					if got := brief(problems); got != "3:1 PL-J07" {
						t.Errorf("%s: %s", file, got)
					}
				}
			}
		}
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d": 0, `, i)
	}
	return b.String()
}

func TestNumbers(t *testing.T) {
	for number, want := range map[string]string{
		"1": "", "999": "", "0": "CP-F05", "-0": "CP-F05", "-1": "CP-F05", "1000": "CP-F05", "1e3": "CP-F10", "1.0": "CP-F10", "1E0": "CP-F10",
		"99999999999999999999": "CP-F05", "-99999999999999999999": "CP-F05", `"1"`: "CP-F10", "true": "CP-F10", "[1]": "CP-F10", "{}": "CP-F10",
		"0.0000000000000000000000000000000000000000000000000000000000000000001": "CP-F10",
	} {
		_, problems := check("f", []byte(edited(t, `"configuration": {"ProjectName"`, `"runOrder": `+number+`, "configuration": {"ProjectName"`)), Target{})
		if got := brief(problems); want == "" && got != "" || want != "" && got != "13:20 "+want {
			t.Errorf("runOrder %s: %s, want %s", number, got, want)
		}
	}
}

// Hostile files are judged completely and in bounded time and space: a quadratic step would keep this test running
// for hours.
func TestBombs(t *testing.T) {
	const n = 100_000
	deep := strings.Repeat("[", MaxFileSize)
	members, objects := "{\"stages\":[],"+strings.TrimSuffix(many(n/2), ", ")+"}", "{\"stages\":["+strings.Repeat("{},", n)+"{}]}"
	tests := map[string]string{
		"deep lists":       deep,
		"deep objects":     strings.Repeat(`{"a":`, n),
		"unknown members":  members,
		"equal members":    `{"stages":[],` + strings.Repeat(`"a":0,`, n) + `"a":0}`,
		"objects":          objects,
		"lists":            `{"stages":[` + strings.Repeat("[],", n) + "[]]}",
		"nulls":            `{"stages":[` + strings.Repeat("null,", n) + "null]}",
		"numbers":          `{"stages":[` + strings.Repeat("1,", 4*n) + "1]}",
		"long name":        `{"stages":[],"` + strings.Repeat("a", 9*n) + `":1}`,
		"long text":        `{"stages":[],"name":"` + strings.Repeat("a", 9*n) + `"}`,
		"long number":      `{"stages":[],"version":` + strings.Repeat("9", 9*n) + `}`,
		"configuration":    edited(t, `"ProjectName": "web"`, `"ProjectName": "web", `+strings.TrimSuffix(many(n/2), ", ")),
		"variables":        edited(t, `"code"`, `"`+strings.Repeat("${var.x}", n)+`"`),
		"unknown variable": edited(t, `"code"`, `"`+strings.Repeat("${target.x}", n/2)+`"`),
		"references":       edited(t, `"ProjectName": "web"`, `"X": "`+strings.Repeat(`\n`, 4*n)+strings.Repeat("#{a.b}", n/100)+`"`),
		"open references":  edited(t, `"ProjectName": "web"`, `"X": "`+strings.Repeat("#{", 4*n)+`"`),
		"good references":  edited(t, `"ProjectName": "web"`, `"X": "`+strings.Repeat("#{rule.r}", n)+`"`, `{"name": "Build", `, `{"name": "Build", "onFailure": {"conditions": [{"rules": [{"name": "r"}]}]}, `),
		"dotted reference": edited(t, `"ProjectName": "web"`, `"X": "#{rule`+strings.Repeat(".a", 4*n)+`}"`),
		"triggers":         edited(t, `"stages": [`, `"triggers": [`+strings.Repeat(`{"gitConfiguration":{"sourceActionName":"x","push":[{},{}]}},`, n/10)+`{}], "stages": [`),
		"functions": edited(t, `"Build", "owner": "AWS", "provider": "CodeBuild"`, `"Deploy", "owner": "AWS", "provider": "CloudFormation"`,
			`"ProjectName": "web"`, `"ParameterOverrides": "{`+strings.Repeat(`\"a\":{\"Fn::GetParam\":[\"x\"]},`, n/10)+`}"`),
		"placeholders": edited(t, `"ProjectName": "web"`, strings.TrimSuffix(strings.ReplaceAll(many(n/3), ": 0", `: "<x>"`), ", ")),
		"artifacts": edited(t, `"outputArtifacts": [{`, `"outputArtifacts": [`+artifacts("o", n/4)+`{`,
			`"inputArtifacts": [{`, `"inputArtifacts": [`+artifacts("i", n/4)+`{`),
	}
	for name, file := range tests {
		t.Run(name, func(t *testing.T) {
			if len(file) > MaxFileSize {
				t.Fatalf("%d bytes", len(file))
			}
			doc, problems := check("f", []byte(file), Target{})
			if len(problems) > 2*(maxFindings+1) {
				t.Errorf("%d problems", len(problems))
			}
			if name != "variables" && name != "placeholders" && !HasErrors(problems) {
				t.Error("no error")
			}
			if doc != nil {
				canonical := Canonical(doc.Declaration(), "us-east-1")
				if !canonical.Equal(Canonical(canonical, "us-east-1")) {
					t.Error("the canonical form is not stable")
				}
			}
		})
	}
}

func artifacts(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"name":"%s%d"},`, prefix, i)
	}
	return b.String()
}

func TestExample(t *testing.T) {
	data, err := os.ReadFile("../../shared/examples/testing-pipeline.json")
	if err != nil {
		t.Skip("the example is not here: ", err)
	}
	_, problems := check("testing-pipeline.json", data, Target{})
	if got, want := brief(problems), "3:14 CP-F03, 16:28 CP-W01, 22:23 CP-F03, 44:23 CP-R02"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	errors := slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return p.Severity != Error })
	for i, hint := range []string{"1234567890 has 10 digits; it takes 12", "no dot", `makes "NewestCode.zip"; use one name`} {
		if !strings.Contains(errors[i].Hint, hint) {
			t.Errorf("%s: the hint is %q", errors[i], errors[i].Hint)
		}
	}
	mended := strings.NewReplacer("1234567890", "123456789012", "NewestCode.zip", "TheCode").Replace(string(data))
	if _, problems := check("mended.json", []byte(mended), Target{}); brief(problems) != "16:28 CP-W01" { // the source polls
		t.Error(told(problems))
	}
}

func TestProblemText(t *testing.T) {
	p := Problem{File: "a.json", Line: 2, Column: 3, Rule: "CP-F01", Severity: Error, Message: "it has no name"}
	if diff := cmp.Diff("a.json:2:3: error: it has no name (CP-F01)", p.String()); diff != "" {
		t.Error(diff)
	}
	p.Line = 0
	if diff := cmp.Diff("a.json: error: it has no name (CP-F01)", p.String()); diff != "" {
		t.Error(diff)
	}
}
