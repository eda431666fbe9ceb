package pipeline

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// TestDigests: the digest of a document is in tags of live pipelines everywhere. If a release gave another one
// to the same file, every pipeline would look as if its file had changed. The wanted digests were computed by
// another program; a line of digests.txt never changes, and new documents are added at its end.
func TestDigests(t *testing.T) {
	wanted, err := os.ReadFile("testdata/digests/digests.txt")
	if err != nil {
		t.Fatal(err)
	}
	target := Target{Name: "eu", Region: "eu-west-1", Account: "111122223333", Partition: "aws", Vars: map[string]string{"service": "shop"}}
	byDigest := map[string][]string{}
	n := 0
	for line := range strings.Lines(string(wanted)) {
		digest, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		data, err := os.ReadFile(filepath.Join("testdata/digests", name))
		if err != nil {
			t.Fatal(err)
		}
		f, problems := Parse(name, data)
		if f == nil {
			t.Fatalf("%s: %v", name, problems)
		}
		doc, more := f.For(target)
		if HasErrors(problems) || HasErrors(more) {
			t.Errorf("%s is not a good document: %v %v", name, problems, more)
		}
		if doc.Digest() != digest {
			t.Errorf("%s has the digest %s, and must have %s", name, doc.Digest(), digest)
		}
		byDigest[doc.Digest()] = append(byDigest[doc.Digest()], name)
		n++
	}
	if n < 20 {
		t.Errorf("only %d documents", n)
	}
	for _, names := range byDigest {
		switch all := strings.Join(names, " "); {
		case len(names) == 1:
		case all == "01-bare.json 05-other-order.json", all == "15-unicode.json 16-escapes.json": // one document, written in two ways
		default:
			t.Errorf("different documents have one digest: %s", all)
		}
	}
	if len(byDigest) != n-2 {
		t.Errorf("%d digests of %d documents, two of which are written twice", len(byDigest), n)
	}
}

// The digest's own way to the RFC 8785 form agrees with that of the JSON package.
func TestCanonicalForm(t *testing.T) {
	names := []string{"a", "b", "", "é", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "\U0001f600", "\ud7ff", "z\ue000", "z\U00010000", "z", "\"", "\\", "\x01", "\n", "<&>", "\u2028", "\x7f"}
	numbers := []string{"0", "-0", "1", "10", "999999999999999", "9007199254740993", "1e3", "1.50", "1e21", "1e-7", "123456789012345678901234567890", "-1", "0.1"}
	random := rand.New(rand.NewPCG(1, 2))
	var tree func(depth int) *Node
	tree = func(depth int) *Node {
		switch random.IntN(6 - min(depth, 4)) {
		case 0:
			return NewString(names[random.IntN(len(names))] + names[random.IntN(len(names))])
		case 1:
			return &Node{Kind: Number, Text: numbers[random.IntN(len(numbers))]}
		case 2:
			return &Node{Kind: Bool, Text: "true"}
		case 3:
			return NewArray(tree(depth+1), tree(depth+1))
		}
		o := NewObject()
		for _, i := range random.Perm(len(names))[:random.IntN(len(names))] {
			o.Members = append(o.Members, Member{Name: names[i], Value: tree(depth + 1)})
		}
		return o
	}
	for range 2000 {
		n := tree(0)
		want := jsontext.Value(n.JSON())
		if err := want.Canonicalize(); err != nil {
			t.Fatal(err)
		}
		if got := string(n.appendCanonical(nil)); got != string(want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}
