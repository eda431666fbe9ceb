package pipeline

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func eu() Target {
	return Target{Name: "eu", Region: "eu-west-1", Account: "210987654321", Partition: "aws", Vars: map[string]string{
		"bucket": "shop-eu", "quotes": `"}],"roleArn":"x\`, "empty": "", "again": "${var.bucket}", "role": "roleArn", "region": "eu-west-1",
	}}
}

func TestVariables(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"builtins":             {"${target.name} ${target.region} ${target.account} ${target.partition}", "eu eu-west-1 210987654321 aws"},
		"var":                  {"a-${var.bucket}-b", "a-shop-eu-b"},
		"empty":                {"a${var.empty}b", "ab"},
		"quotes":               {"${var.quotes}", `"}],"roleArn":"x\`},
		"not twice":            {"${var.again}", "${var.bucket}"},
		"escape":               {"$${target.name} $${var.x}", "${target.name} ${var.x}"},
		"a dollar before":      {"$$${var.bucket}", "$${var.bucket}"},
		"CodePipeline's":       {"#{SourceVariables.CommitId} #{variables.x}", "#{SourceVariables.CommitId} #{variables.x}"},
		"others":               {"${AWS::Region} ${CODEBUILD_ID} ${Target.name} ${vars.x} ${target} $target.name ${ target.name}", "${AWS::Region} ${CODEBUILD_ID} ${Target.name} ${vars.x} ${target} $target.name ${ target.name}"},
		"open":                 {"${target.name", "${target.name"},
		"others are no escape": {"$${AWS::Region}", "$${AWS::Region}"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := edited(t, `"code"`, NewString(test.text).String())
			doc, problems := check("f", []byte(file), eu())
			problems = slices.DeleteFunc(problems, func(p Problem) bool { // what AWS makes of #{…}, and of a shell's ${…}
				return p.Rule == "CP-N04" || p.Rule == "CP-N07" || p.Rule == "PL-D07" && p.Severity == Warning
			})
			if len(problems) > 0 {
				t.Fatal(told(problems))
			}
			configuration := doc.Declaration().List("stages")[0].List("actions")[0].Get("configuration")
			if diff := cmp.Diff(test.want, configuration.Str("S3Bucket")); diff != "" {
				t.Error(diff)
			}
			if got := len(configuration.Members); got != 3 {
				t.Errorf("the configuration has %d members", got)
			}
			if n, err := Decode(doc.Declaration().JSON()); err != nil || !n.Equal(doc.Declaration()) {
				t.Errorf("the declaration is not what it says: %v", err)
			}
		})
	}
}

func TestUnknownVariables(t *testing.T) {
	nobody := Target{}
	stores := func(name string) string {
		return edited(t, `"artifactStore": {"type": "S3", "location": "web-artifacts"}`, `"artifactStores": {"eu-west-1": {"type": "S3", "location": "web"}, "`+name+`": {"type": "S3", "location": "web"}}`)
	}
	tests := map[string]struct {
		file   string
		target Target
		want   string
		hint   string
	}{
		"builtin, misspelt":       {edited(t, `"code"`, `"${target.regoin}"`), eu(), "8:38 PL-V01", `did you mean "target.region"?`},
		"builtin, no target":      {edited(t, `"code"`, `"${target.x}"`), nobody, "8:38 PL-V01", "known here: target.name"},
		"nested":                  {edited(t, `"code"`, `"${var.${target.name}}"`), eu(), "8:38 PL-V01", ""},
		"var, misspelt":           {edited(t, `"code"`, `"${var.buket}"`), eu(), "8:38 PL-V01", `did you mean "var.bucket"? (write $${…}`},
		"var, no target":          {edited(t, `"code"`, `"${var.buket}"`), nobody, "", ""},
		"two in one text":         {edited(t, `"code"`, `"${var.a} ${var.b}"`), eu(), "8:38 PL-V01, 8:38 PL-V01", ""},
		"in a name":               {edited(t, `"S3Bucket": "code"`, `"S3Bucket": "code", "${var.x}": "y"`), eu(), "8:46 PL-V01", ""},
		"a role, no target":       {edited(t, `arn:aws:iam::123456789012:role/pipeline`, `${var.role}`), nobody, "", ""},
		"a role from builtins":    {edited(t, `arn:aws:iam::123456789012:role`, `arn:${target.partition}:iam::${target.account}:role`), nobody, "", ""},
		"a wrong value":           {edited(t, `arn:aws:iam::123456789012:role/pipeline`, `${var.bucket}`), eu(), "3:14 CP-F03", ""},
		"enum, no target":         {edited(t, `"Build", "owner"`, `"${var.x}", "owner"`), nobody, "", ""},
		"category, no target":     {edited(t, `"Source", "owner"`, `"${var.x}", "owner"`), nobody, "", ""},
		"artifact, no target":     {edited(t, `"Code"`, `"${var.x}"`), nobody, "", ""},
		"artifacts, no target":    {edited(t, `"outputArtifacts": [{"name": "Code"}]`, `"outputArtifacts": [{"name": "Code"}, {"name": "${var.x}"}, {"name": "${var.y}"}]`), nobody, "9:27 CP-R04", ""},
		"keys, no target":         {strings.Replace(edited(t, `"Source", "actions"`, `"${var.x}", "actions"`), `"Build", "actions"`, `"${var.y}", "actions"`, 1), nobody, "", ""},
		"region in names":         {stores("eu-west-${target.region}"), eu(), "4:70 CP-F12", ""},
		"region in names, fits":   {strings.Replace(stores("us-east-1"), `"eu-west-1"`, `"${target.region}"`, 1), eu(), "4:77 CP-X06", ""},
		"equal to another":        {stores("${target.region}"), eu(), "4:70 PL-J07", "another variable"},
		"equal, in letter case":   {edited(t, `"S3Bucket": "code"`, `"S3Bucket": "code", "s3${var.b}": "x"`), Target{Region: "eu-west-1", Vars: map[string]string{"b": "bucket"}}, "8:46 PL-J07", ""},
		"equal, without a target": {strings.Replace(stores("us-east-1"), `"eu-west-1"`, `"${target.region}"`, 1), nobody, "", ""},
		"var in names, no target": {stores("${var.region}"), nobody, "", ""},
		"var in names, equal":     {stores("${var.region}"), eu(), "4:70 PL-J07", ""},
		"no member by variable":   {edited(t, `  "stages"`, `  "${var.role}": "x",`+"\n"+`  "stages"`), eu(), "5:3 PL-J07, 5:18 CP-F03", ""},
		"a new region":            {edited(t, `"configuration": {"ProjectName"`, `"region": "${target.region}", "configuration": {"ProjectName"`), Target{Region: "xx-new-1"}, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, problems := check("f", []byte(test.file), test.target)
			if got := brief(problems); got != test.want {
				t.Fatalf("got  %s\nwant %s\n%s", got, test.want, told(problems))
			}
			if len(problems) > 0 && !strings.Contains(problems[0].Hint, test.hint) {
				t.Errorf("the hint is %q", problems[0].Hint)
			}
		})
	}
}

// Two targets read one file at once, share what has no variables, and never change the file.
func TestSubstitutionShares(t *testing.T) {
	file := edited(t, `"web-artifacts"`, `"artifacts-${target.region}"`, `"ProjectName": "web"`, `"ProjectName": "${var.bucket}", "x y": 7`)
	f, problems := Parse("f", []byte(file))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	before := f.tree().root.String()
	us := Target{Name: "us", Region: "us-east-1", Vars: map[string]string{"bucket": "shop-us"}}
	var docs [2]*Document
	var wait sync.WaitGroup
	for i, target := range []Target{eu(), us} {
		wait.Go(func() { docs[i], _ = f.For(target) })
	}
	wait.Wait()
	for i, want := range []string{"artifacts-eu-west-1", "artifacts-us-east-1"} {
		if got := docs[i].Declaration().Str("artifactStore", "location"); got != want {
			t.Errorf("the location is %s, want %s", got, want)
		}
	}
	if f.tree().root.String() != before {
		t.Error("the file was changed")
	}
	for i := range docs {
		stages := docs[i].Declaration().List("stages")
		if stages[0] != f.tree().declaration.List("stages")[0] || stages[1] == f.tree().declaration.List("stages")[1] {
			t.Error("the first stage is not shared, or the second is")
		}
	}
	if docs[0].Digest() == docs[1].Digest() {
		t.Error("the digests are equal")
	}
	if alone, _ := f.For(us); alone.Digest() != docs[1].Digest() {
		t.Error("the digest is another the second time")
	}
}

// TestTreesReadAgain: what a file says can be told again when its tree was collected, for each target its own.
func TestTreesReadAgain(t *testing.T) {
	f, problems := Parse("f", []byte(`{"pipeline":`+strings.Replace(base, `"name": "web"`, `"name": "web-${target.region}"`, 1)+`,"tags":[{"key":"a","value":"b"}]}`))
	if f == nil || !f.variables {
		t.Fatal(problems)
	}
	for _, region := range []string{"eu-west-1", "us-east-1"} {
		doc, problems := f.For(Target{Name: region, Region: region})
		first, digest := doc.Declaration().String(), doc.Digest()
		runtime.GC()
		runtime.GC()
		if doc.declaration.Value() != nil || f.written.Value() != nil {
			t.Fatal("the tree is kept")
		}
		again, _ := f.For(Target{Name: region, Region: region})
		if doc.Declaration().String() != first || again.Digest() != digest || !strings.Contains(first, "web-"+region) || doc.Name != "web-"+region || doc.Tags["a"] != "b" {
			t.Errorf("%s was\n%s\nand is\n%s\n%v", region, first, doc.Declaration(), problems)
		}
	}
}
