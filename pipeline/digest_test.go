package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		if doc.Digest != digest {
			t.Errorf("%s has the digest %s, and must have %s", name, doc.Digest, digest)
		}
		byDigest[doc.Digest] = append(byDigest[doc.Digest], name)
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
