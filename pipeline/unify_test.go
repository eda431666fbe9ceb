package pipeline_test

import (
	"testing"

	"github.com/plumbline/plumbline/pipeline"
)

// The targets of a test: two accounts, two regions, two partitions.
var places = []pipeline.Target{
	{Name: "a", Region: "us-east-1", Account: "111122223333", Partition: "aws"},
	{Name: "b", Region: "eu-west-1", Account: "111122223333", Partition: "aws"},
	{Name: "c", Region: "cn-north-1", Account: "444455556666", Partition: "aws-cn"},
}

func TestUnify(t *testing.T) {
	for name, test := range map[string]struct {
		in   [3]string
		want string // "" for none
	}{
		"an ARN": {
			[3]string{`"arn:aws:sqs:us-east-1:111122223333:q"`, `"arn:aws:sqs:eu-west-1:111122223333:q"`, `"arn:aws-cn:sqs:cn-north-1:444455556666:q"`},
			`"arn:${target.partition}:sqs:${target.region}:${target.account}:q"`,
		},
		"the same everywhere": {
			[3]string{`"arn:aws:sqs:us-east-1:111122223333:q"`, `"arn:aws:sqs:us-east-1:111122223333:q"`, `"arn:aws:sqs:us-east-1:111122223333:q"`},
			`"arn:aws:sqs:us-east-1:111122223333:q"`,
		},
		"a fixed region beside one's own": {
			[3]string{`"us-east-1 to us-east-1"`, `"us-east-1 to eu-west-1"`, `"us-east-1 to cn-north-1"`},
			`"us-east-1 to ${target.region}"`,
		},
		"in a word": {[3]string{`"xus-east-1"`, `"xeu-west-1"`, `"xcn-north-1"`}, ""},
		"the number of a zone": {
			[3]string{`"us-east-1a"`, `"eu-west-1a"`, `"cn-north-1a"`}, "",
		},
		"digits around an account": {[3]string{`"1111222233330"`, `"1111222233330"`, `"4444555566660"`}, ""},
		"in a bucket":              {[3]string{`"b-us-east-1-x"`, `"b-eu-west-1-x"`, `"b-cn-north-1-x"`}, `"b-${target.region}-x"`},
		"something else":           {[3]string{`"web"`, `"web"`, `"api"`}, ""},
		"of unequal length":        {[3]string{`"us-east-1 and"`, `"eu-west-1"`, `"cn-north-1"`}, ""},
		"what looks like a variable": {
			[3]string{`"${target.name} us-east-1 $${var.x} ${x}"`, `"${target.name} eu-west-1 $${var.x} ${x}"`, `"${target.name} cn-north-1 $${var.x} ${x}"`},
			`"$${target.name} ${target.region} $$${var.x} ${x}"`,
		},
		"a dollar before a region": {[3]string{`"$us-east-1"`, `"$eu-west-1"`, `"$cn-north-1"`}, ""},
		"keys": {
			[3]string{`{"x":1,"us-east-1":{"r":"us-east-1"}}`, `{"x":1,"eu-west-1":{"r":"eu-west-1"}}`, `{"x":1,"cn-north-1":{"r":"cn-north-1"}}`},
			`{"x":1,"${target.region}":{"r":"${target.region}"}}`,
		},
		"keys of all regions": {
			[3]string{`{"us-east-1":1,"eu-west-1":2}`, `{"eu-west-1":2,"us-east-1":1}`, `{"us-east-1":1,"eu-west-1":2}`},
			`{"us-east-1":1,"eu-west-1":2}`,
		},
		"other keys":    {[3]string{`{"a":1}`, `{"b":1}`, `{"c":1}`}, ""},
		"other numbers": {[3]string{`[1]`, `[1]`, `[2]`}, ""},
		"more items":    {[3]string{`[1]`, `[1]`, `[1,1]`}, ""},
		"other types":   {[3]string{`"1"`, `"1"`, `1`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var trees []*pipeline.Node
			for _, text := range test.in {
				n, err := pipeline.Decode([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				trees = append(trees, n)
			}
			got := ""
			if n := pipeline.Unify(trees, places); n != nil {
				got = n.String()
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
